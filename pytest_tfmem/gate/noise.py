"""The noise of a series: how far readings of the same code are apart, and what limit and tolerance that asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.budgets.model import Tolerance
from pytest_tfmem.gate.median import median
from pytest_tfmem.gate.tolerance import floor_bytes
from pytest_tfmem.units import parse_size, readable_ceiling

if TYPE_CHECKING:
    from collections.abc import Sequence

_KIB = 1 << 10
_MIB = 1 << 20
# What was seen is doubled for what was not yet: of noise with a tail like the exponential distribution's, the most of
# 200 readings is 1.8 times as far off as the most of 20, and of normal noise 1.5 times.
_UNSEEN = 2
_PERCENTS = (0.5, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100)
_NO_NOISE = Tolerance(bytes=64 * _KIB)


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """How far readings of the same code were apart.

    `spread_fraction` is the range from the least to the most, and `upward_fraction` how far the most is above the
    median, each as a part of the median; both are 0 where that is 0.
    """

    count: int
    least: int
    median: int
    most: int
    spread_fraction: float
    upward_fraction: float


def noise(values: Sequence[int]) -> Noise:
    """The noise of these readings, of which there must be one at least."""
    least, middle, most = min(values), median(values), max(values)
    return Noise(
        count=len(values),
        least=least,
        median=middle,
        most=most,
        spread_fraction=(most - least) / middle if middle else 0.0,
        upward_fraction=(most - middle) / middle if middle else 0.0,
    )


def deserved_tolerance(values: Sequence[int]) -> Tolerance:
    """The tolerance that such noise deserves: twice the most that any reading was above their median, rounded up.

    At least 0.5 % and 1 MiB; 64 KiB where all readings are the same to the byte, as an exact count's are.
    """
    seen = noise(values)
    if seen.least == seen.most:
        return _NO_NOISE
    covered = _UNSEEN * (seen.most - seen.median) <= _MIB
    wanted = 0.0 if covered else 100 * _UNSEEN * seen.upward_fraction
    percent = next((percent for percent in _PERCENTS if percent >= wanted), _PERCENTS[-1])
    return Tolerance(fraction=percent / 100, bytes=_MIB)


def proposed_limit(values: Sequence[int], tolerance: Tolerance) -> int:
    """A limit that leaves room for noise: the most of these readings and the tolerance, rounded up to be readable.

    Never the last reading: a limit that follows a noisy figure down is broken by chance before long.
    """
    most = max(values)
    return parse_size(readable_ceiling(most + floor_bytes(tolerance, most)))
