"""How many attempts decide, and what they decide."""

from __future__ import annotations

from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.budgets.model import Tolerance
from pytest_tfmem.gate.decide import LEAST_ATTEMPTS, confirmed, plan, regressed

MIB = 1 << 20
NO_FLOOR = Tolerance()


@pytest.mark.parametrize(("series", "attempts"), [(1, 3), (50, 6), (300, 7), (1000, 8)])
def test_more_series_take_more_attempts(series, attempts):
    found = plan([20] * series)
    assert (found.attempts, found.series, found.sessions, found.rank) == (attempts, series, (20, 20), 1)
    assert found.bound == pytest.approx(series * 2 / 21 / comb(2 * attempts, attempts))


@given(st.lists(st.integers(0, 200), max_size=400), st.booleans(), st.floats(1e-6, 0.5))
def test_the_bound_holds_with_the_fewest_attempts(sessions, all_decided, most):
    found = plan(sessions, most_chance=most, all_decided=all_decided)
    assert found.bound <= most
    fewer = found.attempts - 1
    ratio = comb(2 * found.attempts, found.attempts) / comb(2 * fewer, fewer)
    assert fewer < LEAST_ATTEMPTS or found.bound * ratio > most


def test_each_series_counts_by_its_own_history():
    found = plan([5, 20, 100, 0])
    assert found.series == 3
    assert found.sessions == (5, 100)
    assert found.rank == 5
    assert found.bound == pytest.approx((1 / 6 + 2 / 21 + 6 / 101) / comb(2 * found.attempts, found.attempts))


def test_where_history_suspects_more_than_chance_would_the_bound_is_that_of_the_suspects():
    usual, shifted = plan([20] * 300, nominated=3), plan([20] * 300, nominated=290)
    assert usual == plan([20] * 300)
    assert (shifted.attempts, shifted.bound) == (9, 290 / comb(18, 9))
    assert plan([20] * 300, nominated=290, unnominated=1000).bound == pytest.approx(1290 / comb(20, 10))


def test_where_every_series_is_decided_none_has_to_be_nominated():
    found = plan([0, 20], all_decided=True)
    assert (found.series, found.bound) == (2, 2 / comb(2 * found.attempts, found.attempts))


def test_nothing_to_decide_has_no_chance_of_a_false_alarm():
    found = plan([])
    assert (found.attempts, found.bound, found.sessions) == (LEAST_ATTEMPTS, 0.0, (0, 0))


@pytest.mark.parametrize("attempts", [3, 4])
def test_exchangeable_values_are_called_regressed_with_at_most_the_stated_chance(attempts):
    values = [100 * 1.1**number for number in range(2 * attempts)]
    verdicts = [
        regressed(
            [int(values[place]) for place in set(range(2 * attempts)) - set(head)],
            [int(values[h]) for h in head],
            NO_FLOOR,
        )
        for head in combinations(range(2 * attempts), attempts)
    ]
    assert sum(verdicts) == 1
    assert len(verdicts) == comb(2 * attempts, attempts)


def test_a_tie_is_no_regression():
    assert not regressed([100, 101, 102], [102, 120, 120], NO_FLOOR)
    assert regressed([100, 101, 102], [103, 120, 120], NO_FLOOR)


def test_medians_that_are_apart_by_the_floor_alone_are_no_regression():
    base = [100 * MIB] * 3
    tolerance = Tolerance(fraction=0.01, bytes=2 * MIB)
    assert not regressed(base, [102 * MIB] * 3, tolerance)
    assert regressed(base, [102 * MIB, 102 * MIB + 1, 102 * MIB + 1], tolerance)


def test_a_figure_that_repeats_has_grown_if_it_is_more_twice():
    tolerance = Tolerance(bytes=100)
    assert confirmed([1000] * 5, 1101, 1101, tolerance)
    assert not confirmed([1000] * 5, 1100, 1101, tolerance)
    assert not confirmed([1000] * 5, 1101, 1100, tolerance)
    assert not confirmed([1000] * 4, 5000, 5000, tolerance)


def test_a_figure_that_did_not_repeat_before_is_not_confirmed_by_one_more_run():
    assert not confirmed([1000, 1000, 1000, 1000, 1101], 2000, 2000, Tolerance(bytes=100))
    assert confirmed([1000, 1000, 1000, 1000, 1100], 2000, 2000, Tolerance(bytes=100))
