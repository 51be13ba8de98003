"""Where a series steps to another level."""

from __future__ import annotations

import random
from bisect import insort
from itertools import pairwise
from math import inf

import numpy as np
import pytest
import ruptures
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_tfmem.gate import steps as module
from pytest_tfmem.gate.steps import _fit, _is_flat, steps

LEVEL = 600_000_000
series = st.lists(st.integers(1_000, 2_000), max_size=30)

FLAT = {
    "normal, 0.2 %": (lambda noise: noise.gauss(0, 0.002), 0.0),
    "normal, 1 %": (lambda noise: noise.gauss(0, 0.01), 0.0),
    "skewed": (lambda noise: 0.005 * noise.lognormvariate(0, 1), 0.05),
    "two modes": (lambda noise: 0.01 * (noise.random() < 0.3) + noise.gauss(0, 0.0005), 0.0),
    "two modes, one rare": (lambda noise: 0.01 * (noise.random() < 0.1) + noise.gauss(0, 0.0005), 0.0),
    "a spread of 17 %": (lambda noise: 0.17 * noise.random(), 0.0),
}


def _readings(away, points, *, level=LEVEL):
    return [round(level * (1 + away())) for _ in range(points)]


@pytest.mark.parametrize("name", FLAT)
def test_noise_is_no_step(name):
    away, most = FLAT[name]
    noise = random.Random(20)
    stepped = sum(bool(steps(_readings(lambda: away(noise), 60))) for _ in range(200))
    assert stepped <= most * 200


@pytest.mark.parametrize("sign", [1, -1])
def test_two_percent_are_found_two_or_three_points_later(sign):
    noise = random.Random(21)
    found = {1: 0, 2: 0, 3: 0}
    for _ in range(100):
        before = _readings(lambda: noise.gauss(0, 0.002), 57)
        after = _readings(lambda: noise.gauss(0, 0.002), 3, level=LEVEL * (1 + 0.02 * sign))
        for points in found:
            found[points] += steps(before + after[:points]) in ([57], [56], [58])
    assert found[1] == 0
    assert found[2] >= 50
    assert found[3] >= 95


def test_each_step_is_found_at_its_first_point():
    noise = random.Random(22)
    levels = [(1.0, 20), (1.03, 15), (1.01, 30), (1.05, 10)]
    values = [
        value
        for level, points in levels
        for value in _readings(lambda: noise.gauss(0, 0.001), points, level=LEVEL * level)
    ]
    assert steps(values) == [20, 35, 65]


def test_one_outlier_among_many_sessions_is_no_level():
    assert steps([LEVEL] * 10 + [LEVEL * 103 // 100] + [LEVEL] * 10) == []


def test_a_step_below_the_least_is_none():
    quiet = [LEVEL] * 20
    assert steps(quiet + [LEVEL * 1009 // 1000] * 20) == []
    assert steps(quiet + [LEVEL * 101 // 100] * 20) == [20]
    assert steps(quiet + [LEVEL * 1009 // 1000] * 20, least_fraction=0.005) == [20]


def test_a_step_from_nothing_is_found():
    assert steps([0] * 10 + [4096] * 10) == [10]


@pytest.mark.parametrize("values", [[], [5], [5, 5], [0, 0, 0]])
def test_what_is_short_or_constant_has_no_steps(values):
    assert steps(values) == []


@given(series, st.integers(0, 20))
def test_steps_do_not_depend_on_the_unit(values, power):
    assert steps([value << power for value in values]) == steps(values)


@given(series)
def test_levels_are_apart_by_the_least_step(values):
    found = steps(values)
    assert found == sorted(set(found))
    assert all(0 < at < len(values) for at in found)
    levels = (
        [sorted(values[start:end])[(end - start - 1) // 2] for start, end in pairwise([0, *found, len(values)])]
        if values
        else []
    )
    assert all(abs(after - before) >= 0.01 * before for before, after in pairwise(levels))


def _total(values, found, penalty):
    cost = 0
    for start, end in pairwise([0, *found, len(values)]):
        middle = sorted(values[start:end])[(end - start) // 2]
        cost += sum(abs(value - middle) for value in values[start:end])
    return cost + penalty * len(found)


@given(st.lists(st.integers(0, 100), min_size=2, max_size=40), st.integers(1, 200))
def test_the_fit_is_as_good_as_the_one_of_ruptures(values, penalty):
    twice = np.repeat(np.array(values, dtype=float), 2)  # as its levels have two points at the least
    found = ruptures.Pelt(model="l1", min_size=2, jump=2).fit(twice).predict(pen=2 * penalty)
    theirs = [at // 2 for at in found[:-1]]
    assert _total(values, _fit(values, penalty), penalty) == _total(values, theirs, penalty)


def _best_of_all(values, penalty):
    places = range(1, len(values))
    return min(
        _total(values, [at for at in places if chosen >> at & 1], penalty) for chosen in range(0, 1 << len(values), 2)
    )


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(0, 40))
def test_no_other_choice_of_steps_fits_better(values, penalty):
    assert _total(values, _fit(values, penalty), penalty) == _best_of_all(values, penalty)


def _plain_fit(values, penalty):
    """The same fit without any short cut: every place for the beginning of the last level is tried."""
    best, begins = [-penalty], [0]
    for end in range(1, len(values) + 1):
        least, begin, level, cost = inf, 0, [], 0
        for start in range(end - 1, -1, -1):
            value = values[start]
            if level:
                cost += max(0, value - level[len(level) // 2], level[(len(level) - 1) // 2] - value)
            insort(level, value)
            if best[start] + penalty + cost < least:
                least, begin = best[start] + penalty + cost, start
        best.append(least)
        begins.append(begin)
    found, end = [], len(values)
    while begins[end]:
        end = begins[end]
        found.append(end)
    return found[::-1]


@st.composite
def _series_of_levels(draw):
    """Points of a few levels, each with its noise: flat ones, stepped ones, and those in between."""
    level = st.tuples(st.integers(0, 60), st.integers(0, 20), st.integers(1, 25))
    levels = draw(st.lists(level, min_size=1, max_size=4))
    return [1_000 + at + draw(st.integers(-noise, noise)) for at, noise, points in levels for _ in range(points)]


@given(_series_of_levels(), st.integers(1, 400))
@example([1_010] * 10 + [1_000] + [990] * 10, 180)  # neither half gains a penalty, but both together do
@example([1_000] * 20 + [1_010] * 10 + [1_000] * 20, 45)  # only what is in the middle gains
@example([1_000] * 20 + [990] * 10 + [1_000] * 20, 45)
def test_what_is_left_out_of_the_fit_would_have_changed_nothing(values, penalty):
    plain = _plain_fit(values, penalty)
    assert _fit(values, penalty) == plain
    if _is_flat(values, penalty):
        assert plain == []


@given(_series_of_levels())
def test_steps_are_those_of_the_plain_fit(values):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_is_flat", lambda *_: False)
        patched.setattr(module, "_fit", _plain_fit)
        plain = steps(values)
    assert steps(values) == plain


@pytest.mark.parametrize("name", ["normal, 0.2 %", "normal, 1 %", "skewed", "a spread of 17 %"])
def test_of_long_flat_series_most_take_no_fit(name):
    away, _ = FLAT[name]
    noise = random.Random(23)
    long = [_readings(lambda: away(noise), 200) for _ in range(20)]
    asked = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_fit", lambda *of: asked.append(of) or [])
        for values in long:
            steps(values)
    assert len(asked) <= 6
