"""A table of tests: their ids beside the rows where there is room, else above them; nothing of a remark is cut."""

from __future__ import annotations

from rich.cells import cell_len

from pytest_tfmem.report.rows import Row, table_of_tests

REMARK = "renamed from tests/test_a.py::test_with_a_long_name; its limit can be trimmed: pytest --tfmem-update=trim"


def shown(*rows, width):
    lines = table_of_tests(rows, columns=["figure", "now"], sides="<>", width=width, standing=8)
    return [line.text for line in lines]


def test_a_remark_stands_behind_its_row_where_there_is_room():
    row = Row(standing="improved", nodeid="test_a.py::test_a", cells=("rss", "1 MiB"), remark="steady")
    assert shown(row, width=80)[1] == "improved  test_a.py::test_a  rss     1 MiB  steady"


def test_below_its_row_a_remark_goes_on_in_the_next_line_and_is_not_cut():
    row = Row(standing="improved", nodeid="tests/test_a.py::test_a", cells=("rss", "1 MiB"), remark=REMARK)
    assert shown(row, width=80) == [
        "          figure    now",
        "improved  tests/test_a.py::test_a",
        "          rss     1 MiB",
        "          renamed from tests/test_a.py::test_with_a_long_name; its limit can be",
        "            trimmed: pytest --tfmem-update=trim",
    ]


def test_a_test_without_a_name_has_no_line_wider_than_the_terminal():
    row = Row(standing="over", nodeid="", cells=("rss", "1 MiB"))
    wider = [line for width in range(26, 30) for line in shown(row, width=width) if cell_len(line) > width]
    assert wider == []
