from __future__ import annotations

import msgspec
import pytest

from pytest_tfmem.budgets.model import Tolerance
from pytest_tfmem.gate.sidebyside import compared, side_of
from pytest_tfmem.report.comparison import comparison_lines
from tests.made import ENVIRONMENT, made_run, made_test

MIB = 1 << 20
NEWER = msgspec.structs.replace(ENVIRONMENT, packages={"tensorflow": "2.21.0"})
HOSTILE = "tests/test_\x1b[31m\u202e" + "long" * 40 + "[ünï|`x`]"


def runs(tests, *, count=1, **rest):
    """Runs of the same tests, each with its anonymous memory in MiB."""
    return [
        made_run(number, *(made_test(name, rss_anon=size * MIB, rss=MIB) for name, size in tests.items()), **rest)
        for number in range(count)
    ]


def shown(a, b, *, width=80, complete=False, **sides):
    comparison = compared(a, b, tolerance=Tolerance(bytes=MIB))
    both = side_of("main", a, **sides), side_of("a.json", b)
    return [line.text for line in comparison_lines(comparison, sides=both, width=width, complete=complete)]


def test_a_comparison_as_it_looks():
    a = runs({"tests/test_train.py::test_step": 100, "tests/test_train.py::test_other": 20, "test_same": 5})
    b = runs({"tests/test_train.py::test_step": 104, "tests/test_train.py::test_other": 18, "test_same": 5})
    assert shown(a, b) == [
        "A: main, 1 session, 2026-03-01",
        "B: a.json, 1 session, 2026-03-01",
        "",
        "        figure            A          B   change",
        "grew    tests/test_train.py::test_step",
        "        rss_anon  100.0 MiB  104.0 MiB   +4.0 %  +4.0 MiB",
        "shrank  tests/test_train.py::test_other",
        "        rss_anon   20.0 MiB   18.0 MiB  -10.0 %  -2.0 MiB",
        "",
        "grew: by more than the tolerance; whether by more than noise is told from 3",
        "  sessions of each on",
        "",
        "compared 6 readings of 3 tests: 1 grew, 1 shrank, 1 within the tolerance, 3 not",
        "  judged",
    ]


def test_with_room_the_ids_stand_beside_their_figures():
    lines = shown(runs({"tests/test_a.py::test_step": 100}), runs({"tests/test_a.py::test_step": 104}), width=160)
    assert lines[3:5] == [
        "      test                        figure            A          B  change",
        "grew  tests/test_a.py::test_step  rss_anon  100.0 MiB  104.0 MiB  +4.0 %  +4.0 MiB",
    ]


def test_everything_is_shown_if_that_is_asked_for():
    lines = shown(runs({"test_a": 5}), runs({"test_a": 5}), complete=True, width=100)
    assert lines[4:6] == [
        "not judged  test_a  rss       1.0 MiB  1.0 MiB  +0.0 %  0 B",
        "steady      test_a  rss_anon  5.0 MiB  5.0 MiB  +0.0 %  0 B",
    ]


def test_of_several_sessions_the_medians_are_shown_and_what_is_known_of_chance():
    text = "\n".join(shown(runs({"test_a": 5}, count=3), runs({"test_a": 9}, count=3), width=160, measured=True))
    assert "A: main, 3 sessions run now" in text
    assert "B: a.json, 3 sessions, 2026-03-01 to 2026-03-03" in text
    assert "median A  median B" in text
    assert "of a test that did not change is so by chance in 5 % of the cases at most" in text
    assert "1 regressed" in text
    assert "sessions\n" not in text  # of each: the head says how many


def test_where_tests_have_other_numbers_of_sessions_each_row_says_how_many():
    a = [*runs({"test_a": 5, "test_b": 5}), made_run(5, made_test("test_a", rss_anon=5 * MIB))]
    text = "\n".join(shown(a, runs({"test_a": 9, "test_b": 9}), width=100))
    assert "2 and 1" in text
    assert "1 and 1" in text


def test_what_is_not_compared_is_named_with_the_reason():
    names = {f"test_{number}": 5 for number in range(7)}
    text = "\n".join(shown(runs(names), runs(names, environment=NEWER)))
    assert "incomparable, for the conditions differ (TensorFlow 2.20.0 -> 2.21.0): 7 tests" in text
    assert "  test_4\n  and 2 more (--all shows them)\n" in text
    assert text.endswith("\n\nnothing could be compared")
    assert "test_6" in "\n".join(shown(runs(names), runs(names, environment=NEWER), complete=True))


def test_what_is_missing_and_what_is_on_one_side_alone_are_named():
    a = [made_run(1, made_test("test_a", rss_anon=5, outcome="failed"), made_test("test_b", rss_anon=5))]
    text = "\n".join(shown(a, runs({"test_a": 5, "test_c": 5}), width=100))
    assert "no rss_anon, rss in A (failed): 1 test\n  test_a\n" in text
    assert "only in A: 1 test\n  test_b\n" in text
    assert "only in B: 1 test\n  test_c\n" in text


def test_gpus_are_told_apart_where_there_are_several():
    a, b = ([made_run(1, made_test("test_a", gpu=[MIB, size]))] for size in (MIB, 9 * MIB))
    assert "gpu (GPU:1)" in "\n".join(shown(a, b))


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_acted_on(width, complete):
    names = {HOSTILE: 5, HOSTILE + "2": 5}
    lines = [
        *shown(runs(names), runs({HOSTILE: 9}), width=width, complete=complete),
        *shown(runs(names), runs(names, environment=NEWER), width=width, complete=complete),
    ]
    assert max(map(len, lines)) <= width
    assert not {"\x1b", "\u202e"} & set("".join(lines))
