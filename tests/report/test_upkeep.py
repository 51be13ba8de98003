"""What is shown of a change of budgets.yaml."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pytest_tfmem.report.upkeep import Changed, upkeep_lines

BEFORE = b"version: 1\r\nbudgets:\r\n  - test: a\r\n    rss: 1 MiB  # \xc3\xa9\r\n"


def texts(changed, width=80, verbosity=0):
    return [line.text for line in upkeep_lines(changed, width=width, verbosity=verbosity)]


def test_the_difference_the_remarks_and_the_result_are_shown() -> None:
    after = BEFORE.replace(b"1 MiB", b"2 MiB")
    changed = Changed(shown="budgets.yaml", before=BEFORE, after=after, counts=["1 limit raised"], remarks=["by hand"])
    assert texts(changed) == [
        "--- budgets.yaml",
        "+++ budgets.yaml (updated)",
        "@@ -2,3 +2,3 @@",
        " budgets:",
        "   - test: a",
        "-    rss: 1 MiB  # é",
        "+    rss: 2 MiB  # é",
        "",
        "by hand",
        "budgets.yaml: 1 limit raised",
    ]
    assert texts(changed, verbosity=-2) == ["by hand", "budgets.yaml: 1 limit raised"]


def test_a_preview_says_that_it_is_one() -> None:
    changed = Changed(shown="b", counts=["1 limit raised", "2 entries created"], preview=True)
    assert texts(changed) == ["b: 1 limit raised, 2 entries created (a preview: nothing was written)"]


def test_where_nothing_is_to_be_changed_that_is_said() -> None:
    assert texts(Changed(shown="budgets.yaml")) == ["budgets.yaml: nothing to change"]


def test_an_error_is_all_that_is_said() -> None:
    assert texts(Changed(shown="b", error="b:3: wrong")) == ["b:3: wrong"]


@pytest.mark.parametrize(("verbosity", "lines"), [(0, 203), (1, 306)])
def test_of_a_long_difference_the_rest_is_counted(verbosity, lines) -> None:
    after = b"".join(b"%d\n" % number for number in range(301))
    found = texts(Changed(shown="b", after=after, counts=["x"]), verbosity=verbosity)
    assert len(found) == lines
    assert ("and 104 more lines (-v shows them)" in found) is (verbosity == 0)


@given(st.text("a\x1b[é世\n\r\t", max_size=60), st.text("a\x1b é世", max_size=60), st.integers(20, 60))
def test_no_line_is_too_wide_or_harms_the_terminal(text, remark, width) -> None:
    changed = Changed(shown="b", after=text.encode(), counts=["1 limit raised"], remarks=[remark], error=remark[:1])
    for one in (changed, Changed(shown="b", after=text.encode(), remarks=[remark])):
        for line in texts(one, width=width):
            assert cell_len(line) <= width
            assert not line or line.isprintable()
