"""What limit and tolerance the noise of a series asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.budgets.model import Tolerance
from pytest_tfmem.gate.noise import Noise, deserved_tolerance, noise, proposed_limit
from pytest_tfmem.gate.nominate import nominated
from pytest_tfmem.gate.tolerance import floor_bytes
from pytest_tfmem.units import parse_size

KIB = 1 << 10
MIB = 1 << 20
readings = st.lists(st.integers(0, 1 << 44), min_size=1, max_size=30)


def test_noise_says_how_far_readings_are_apart():
    assert noise([110, 90, 100, 100]) == Noise(
        count=4, least=90, median=100, most=110, spread_fraction=0.2, upward_fraction=0.1
    )
    assert noise([0, 0]).spread_fraction == 0.0


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1000 * MIB, Tolerance(bytes=64 * KIB)),
        (1000 * MIB + 1, Tolerance(fraction=0.005, bytes=MIB)),
        (1002 * MIB, Tolerance(fraction=0.005, bytes=MIB)),
        (1004 * MIB, Tolerance(fraction=0.01, bytes=MIB)),
        (1020 * MIB, Tolerance(fraction=0.05, bytes=MIB)),
        (9000 * MIB, Tolerance(fraction=1.0, bytes=MIB)),
    ],
)
def test_a_tolerance_is_twice_what_was_seen_above_the_median(most, expected):
    assert deserved_tolerance([1000 * MIB] * 19 + [most]) == expected


def test_small_figures_get_their_room_in_bytes():
    assert deserved_tolerance([40 * KIB] * 19 + [400 * KIB]) == Tolerance(fraction=0.005, bytes=MIB)


def test_low_readings_ask_for_no_tolerance():
    assert deserved_tolerance([1000 * MIB] * 19 + [500 * MIB]) == Tolerance(fraction=0.005, bytes=MIB)


@given(st.lists(st.integers(1 << 10, 1 << 40), min_size=5, max_size=30))
def test_no_reading_that_was_seen_is_suspect_by_its_own_tolerance(values):
    middle = noise(values).median
    tolerance = deserved_tolerance(values)
    if 2 * (max(values) - middle) <= middle:
        assert not any(nominated(one, values, floor_bytes(tolerance, middle)) for one in values)
        assert max(values) - middle <= floor_bytes(tolerance, middle)


@given(readings, st.integers(0, 1 << 30), st.floats(0, 0.5))
def test_a_limit_leaves_room_above_all_that_was_seen(values, size, fraction):
    limit = proposed_limit(values, Tolerance(fraction=fraction, bytes=size))
    assert limit >= max(values) + size
    assert limit >= max(values) + int(fraction * max(values))


def test_a_limit_does_not_follow_the_last_reading():
    tolerance = Tolerance(fraction=0.01, bytes=MIB)
    assert proposed_limit([1200 * MIB, 1000 * MIB], tolerance) == proposed_limit([1000 * MIB, 1200 * MIB], tolerance)
    assert proposed_limit([1200 * MIB], tolerance) == parse_size("1.19 GiB")
