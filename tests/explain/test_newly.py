"""What of a peak is new against an earlier run."""

from __future__ import annotations

from pytest_tfmem.explain.newly import against
from pytest_tfmem.explanations import Explanation, Holder

MIB = 1 << 20


def explained(*holders):
    found = [Holder(bytes=size, what=what, where=where, kind="python") for size, what, where in holders]
    return Explanation(figure="rss_growth", peak_bytes=sum(one.bytes for one in found), holders=found)


def news(now, before):
    return [(one.new, one.before_bytes) for one in against(now, (before, "commit 1234567")).holders]


def test_without_an_earlier_run_nothing_is_said_of_it():
    assert against(explained((9, "f", "a.py:1")), None).holders[0].new is None


def test_a_holder_that_was_not_there_is_new():
    now = explained((30 * MIB, "copy", "a.py:5"), (20 * MIB, "load", "a.py:3"))
    assert news(now, explained((20 * MIB, "load", "a.py:3"))) == [(True, 0), (False, 20 * MIB)]


def test_a_line_that_has_moved_is_the_same_holder():
    assert news(explained((9 * MIB, "f", "a.py:40")), explained((9 * MIB, "f", "a.py:1"))) == [(False, 9 * MIB)]


def test_one_that_holds_more_has_grown_and_a_little_more_is_the_same():
    assert news(explained((64 * MIB, "f", "a.py:1")), explained((32 * MIB, "f", "a.py:1"))) == [(True, 32 * MIB)]
    assert news(explained((65 * MIB, "f", "a.py:1")), explained((64 * MIB, "f", "a.py:1"))) == [(False, 64 * MIB)]


def test_of_two_lines_of_one_function_the_one_that_was_not_there_is_new():
    now = explained((32 * MIB, "f", "a.py:2"), (16 * MIB, "f", "a.py:1"))
    assert news(now, explained((16 * MIB, "f", "a.py:1"))) == [(True, 0), (False, 16 * MIB)]


def test_it_says_against_which_run():
    assert against(explained(), (explained(), "commit 1234567")).against == "commit 1234567"
