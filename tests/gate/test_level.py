"""What a series is usually at, and what is out of the usual, above all just after a step."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.gate.level import level_of
from pytest_tfmem.gate.nominate import LEAST_SESSIONS, improved, nominated

MIB = 1 << 20
OLD = 600 * MIB
NEW = 660 * MIB
FLOOR = 6 * MIB
NOISE = [0, MIB, -MIB, 2 * MIB, 0, -2 * MIB, MIB, 0, 8 * MIB, -MIB]


def _old(level=OLD):
    return [level + away for away in NOISE]


def _after(level, sessions):
    level = level_of(_old() + [level] * sessions)
    assert level is not None
    return level


def test_with_four_sessions_nothing_is_known():
    assert level_of([OLD] * 4) is None
    assert level_of([OLD] * 5) is not None


@given(st.lists(st.integers(1000, 1009), min_size=LEAST_SESSIONS, max_size=30), st.integers(900, 1100))
def test_a_level_without_a_step_nominates_by_all_sessions(values, now):
    level = level_of(values)
    assert (level.values, level.begin, level.is_young) == (values, 0, False)
    assert level.is_exceeded(now, 2) <= nominated(now, values, 2)
    assert level.is_exceeded(now, 10) == nominated(now, values, 10)
    assert level.is_undercut(now, 2) == improved(now, values, 2)


def test_five_sessions_after_a_step_are_a_history_of_their_own():
    level = _after(NEW, 5)
    assert (level.values, level.begin, level.is_young) == ([NEW] * 5, 10, False)
    assert level.is_exceeded(NEW + FLOOR + 1, FLOOR)
    assert not level.is_exceeded(NEW + FLOOR, FLOOR)


@pytest.mark.parametrize("sessions", [1, 2, 3, 4])
def test_an_accepted_step_is_the_new_level_from_the_next_session_on(sessions):
    level = _after(NEW, sessions)
    assert (level.values, level.begin) == ([NEW] * sessions, 10)
    assert not level.is_exceeded(NEW, FLOOR)
    assert not level.is_exceeded(OLD, FLOOR)


@pytest.mark.parametrize("sessions", [1, 2, 3, 4])
def test_the_gate_is_not_blind_after_a_step(sessions):
    level = _after(NEW, sessions)
    assert level.is_exceeded(NEW + 8 * MIB + 1, FLOOR)


@pytest.mark.parametrize("sessions", [1, 2, 3, 4])
def test_after_a_step_the_noise_is_that_of_the_level_before(sessions):
    level = _after(NEW, sessions)
    assert (level.upward, level.downward) == (8 * MIB, 2 * MIB)
    assert not level.is_exceeded(NEW + 8 * MIB, MIB)
    assert level.is_exceeded(NEW + 8 * MIB + 1, MIB)
    if sessions > 1:
        assert not level.is_undercut(NEW - 3 * MIB, MIB)
        assert level.is_undercut(NEW - 3 * MIB - 1, MIB)


@pytest.mark.parametrize(("sessions", "suspect"), [(1, False), (2, True), (4, True)])
def test_one_low_session_alone_may_be_an_outlier_and_two_are_a_level(sessions, suspect):
    level = _after(OLD - 60 * MIB, sessions)
    assert level.is_exceeded(OLD, FLOOR) is suspect
    assert level.is_exceeded(OLD + 9 * MIB, FLOOR)


@pytest.mark.parametrize(("sessions", "better"), [(1, False), (2, True), (4, True)])
def test_one_high_session_alone_is_no_level_to_improve_on(sessions, better):
    level = _after(NEW, sessions)
    assert level.is_undercut(OLD, FLOOR) is better
    assert level.is_undercut(OLD - 9 * MIB, FLOOR)


NOISY = [600 * MIB + step * MIB for step in (0, 7, -6, 9, -8, 3, 12, -11, 5, -4, 8, -9, 10, -2, 1, -7, 6, -5, 4, -10)]


@pytest.mark.parametrize("sessions", [1, 2, 3])
def test_a_step_too_short_to_be_found_is_not_held_against_the_next_change(sessions):
    level = level_of(NOISY + [630 * MIB] * sessions)
    assert not level.is_young
    assert nominated(630 * MIB, level.values, FLOOR) is (sessions == 1)
    assert not level.is_exceeded(641 * MIB, FLOOR)
    assert level.is_exceeded(642 * MIB, FLOOR)


def test_high_sessions_of_long_ago_hide_nothing():
    level = level_of([NOISY[0], 630 * MIB, *NOISY[1:]])
    assert level.is_exceeded(613 * MIB, FLOOR)


@given(
    st.lists(st.sampled_from([600, 605, 610, 660, 700]), min_size=LEAST_SESSIONS, max_size=30),
    st.integers(500, 800),
    st.integers(0, 50),
)
def test_a_suspect_exceeds_every_session_of_a_young_level(values, now, floor):
    level = level_of(values)
    assert level.values == values[level.begin :]
    assert not (level.is_exceeded(now, floor) and level.is_undercut(now, floor))
    if level.is_young and level.is_exceeded(now, floor):
        assert all(now > value for value in level.values)


@pytest.mark.parametrize("sessions", [1, 2, 3, 4])
def test_noise_after_a_step_is_hardly_ever_suspect(sessions):
    """A bound of 1 / (m + 1) would allow half of them after one session; the noise from before does better."""
    noise = random.Random(30)

    def reading(level):
        return round(level * (1 + noise.gauss(0, 0.004)))

    suspect = 0
    for _ in range(300):
        level = level_of([reading(OLD) for _ in range(20)] + [reading(NEW) for _ in range(sessions)])
        suspect += level.is_exceeded(reading(NEW), NEW // 100)
    assert suspect <= 0.1 * 300
