"""Which readings their history makes suspect."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.gate.median import median
from pytest_tfmem.gate.nominate import LEAST_SESSIONS, improved, nominated, rank

sizes = st.integers(0, 1 << 45)
histories = st.lists(sizes, min_size=LEAST_SESSIONS, max_size=60)


@pytest.mark.parametrize(("sessions", "expected"), [(0, 0), (19, 0), (20, 1), (39, 1), (40, 2), (200, 10)])
def test_one_of_twenty_sessions_may_have_been_an_outlier(sessions, expected):
    assert rank(sessions) == expected


def test_a_reading_is_suspect_above_all_sessions():
    assert nominated(106, [101, 102, 103, 104, 105], 0)
    assert not nominated(105, [101, 102, 103, 104, 105], 0)


def test_of_twenty_sessions_the_highest_need_not_be_exceeded():
    values = [100] * 18 + [110, 500]
    assert nominated(111, values, 0)
    assert not nominated(110, values, 0)
    assert not nominated(499, [*values[1:], 500], 0)


def test_what_has_improved_is_below_every_session_by_more_than_the_floor():
    values = [100] * 18 + [90, 80]
    assert improved(75, values, 4)
    assert not improved(76, values, 4)
    assert improved(79, values, 0)
    assert not improved(80, values, 0)


@pytest.mark.parametrize("sessions", [5, 20])
def test_of_readings_that_nothing_changed_few_are_called_improved(sessions):
    """Nothing decides it afterwards, so noise as large as the tolerance must not be praised. A mirror would be: 9 %."""
    noise = random.Random(30)
    drawn = [[round(noise.gauss(10**6, 10**4)) for _ in range(sessions + 1)] for _ in range(2000)]
    assert sum(improved(now, values, 10**4) for now, *values in drawn) <= 0.04 * len(drawn)


def test_it_must_be_above_the_median_by_more_than_the_floor():
    assert not nominated(110, [100] * 5, 10)
    assert nominated(111, [100] * 5, 10)
    assert not improved(90, [100] * 5, 10)
    assert improved(89, [100] * 5, 10)


def test_with_four_sessions_nothing_is_suspect():
    assert not nominated(10**9, [1] * 4, 0)
    assert not improved(0, [10**9] * 4, 0)


@given(sizes, sizes, histories, sizes)
def test_who_reads_more_is_no_less_suspect(now, more, values, floor):
    assert nominated(now + more, values, floor) >= nominated(now, values, floor)
    assert improved(now + more, values, floor) <= improved(now, values, floor)


@given(sizes, histories, sizes, sizes)
def test_a_higher_floor_makes_nothing_suspect(now, values, floor, more):
    assert nominated(now, values, floor + more) <= nominated(now, values, floor)


@given(sizes, histories, sizes, st.randoms(use_true_random=False))
def test_the_order_of_the_sessions_says_nothing(now, values, floor, shuffle):
    mixed = list(values)
    shuffle.shuffle(mixed)
    assert nominated(now, mixed, floor) == nominated(now, values, floor)


@given(sizes, histories, st.integers(0, 1 << 20))
def test_no_reading_is_both_suspect_and_improved(now, values, floor):
    assert not (nominated(now, values, floor) and improved(now, values, floor))


@given(st.lists(sizes, min_size=LEAST_SESSIONS + 1, max_size=60))
def test_of_exchangeable_sessions_the_stated_part_at_the_most_is_suspect(values):
    """Whatever the values are: each of them is as likely as the others to be the present one."""
    sessions = len(values) - 1
    suspect = sum(nominated(now, values[:at] + values[at + 1 :], 0) for at, now in enumerate(values))
    assert Fraction(suspect, len(values)) <= Fraction(rank(sessions) + 1, sessions + 1)


@pytest.mark.parametrize("sessions", [5, 20, 40])
def test_the_bound_is_met_where_all_readings_differ(sessions):
    values = random.Random(1).sample(range(10**9), sessions + 1)
    suspect = sum(nominated(now, [one for one in values if one != now], 0) for now in values)
    assert suspect == rank(sessions) + 1


def test_the_median_is_of_whole_bytes():
    assert [median([3]), median([3, 4]), median([9, 1, 5]), median([1, 2, 4, 100])] == [3, 3, 5, 3]
