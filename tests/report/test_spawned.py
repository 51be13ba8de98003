"""Why tests were spawned, as the summary says it."""

from __future__ import annotations

import pytest

from pytest_tfmem.report.spawned import spawned_lines

TENSORS = "tests/test_x.py made tensors when imported: 6 threads"


def _lines(measured, *reasons, width=200):
    tests = [measured(why_spawned=reason) for reason in reasons]
    return [line.text for line in spawned_lines(tests, width=width)]


@pytest.mark.parametrize(("count", "shown"), [(1, "1 test"), (3, "3 tests")])
def test_a_reason_is_told_once_with_the_number_of_its_tests(measured, count, shown):
    assert _lines(measured, *[TENSORS] * count) == [f"spawned, not forked: {TENSORS} ({shown})"]


def test_tests_that_were_forked_or_were_to_be_spawned_are_not_told_of(measured):
    assert _lines(measured, "", "") == []
    assert _lines(measured, "", TENSORS) == [f"spawned, not forked: {TENSORS} (1 test)"]


def test_the_most_frequent_reason_is_told_first(measured):
    assert _lines(measured, "a", "b", "b", "c") == [
        "spawned, not forked: b (2 tests)",
        "spawned, not forked: a (1 test)",
        "spawned, not forked: c (1 test)",
    ]


def test_ten_reasons_are_told_and_the_rest_counted(measured):
    reasons = [f"reason {number}" for number in range(10)]
    assert len(_lines(measured, *reasons)) == 10
    lines = _lines(measured, *reasons * 2, "another", "and another")
    assert len(lines) == 11
    assert lines[-1] == "spawned, not forked, for other reasons: 2 tests (see the run document)"


def test_lines_are_as_wide_as_the_terminal(measured):
    lines = _lines(measured, TENSORS, width=40)
    assert max(map(len, lines)) <= 40
    assert " ".join(line.strip() for line in lines) == f"spawned, not forked: {TENSORS} (1 test)"


def test_a_reason_does_nothing_to_the_terminal(measured):
    (line,) = _lines(measured, "tests/\x1b[31m.py made tensors")
    assert "\x1b" not in line
