"""Where a series steps from one level to another: a piecewise constant fit under absolute error (L1-Potts).

The fit minimises the sum of the distances of the points from their level, plus a penalty for each step. It is exact,
by dynamic programming: M. Storath, A. Weinmann, M. Unser, "Jump-penalized least absolute values estimation of scalar or
circle-valued signals", Information and Inference 6 (2017); F. Friedrich et al., "Complexity penalized M-estimation",
J. Comput. Graph. Stat. 17 (2008). Absolute error, because high-water marks err upwards and have modes: squared error
takes an outlier or a mode for a step.
"""

from __future__ import annotations

from bisect import insort
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEWEST_LEASTS = 3.5
_NOISES = 4.0


def steps(values: Sequence[int], *, least_fraction: float = 0.01) -> list[int]:
    """The places of the points at which a new level begins, in order.

    A step is at least `least_fraction` of the level before it.
    """
    if not values or max(values) - min(values) < least_fraction * min(values):
        return []
    penalty = _penalty(values, least_fraction)
    if sum(abs(value - _middle(values)) for value in values) <= penalty:
        return []
    found = _fit(values, penalty)
    return _large_enough(values, found, least_fraction)


def _penalty(values: Sequence[int], least_fraction: float) -> float:
    noise = _middle([abs(after - before) for before, after in pairwise(values)])
    return max(_NOISES * noise * log(len(values)), _FEWEST_LEASTS * least_fraction * _middle(values))


def _fit(values: Sequence[int], penalty: float) -> list[int]:
    """Where the levels of the best fit begin, but for the first."""
    best = [-penalty]
    begin = [0]
    for end in range(1, len(values) + 1):
        least, first = float("inf"), 0
        ordered: list[int] = []
        cost = 0
        for start in range(end - 1, -1, -1):
            value = values[start]
            count = len(ordered)
            if count:
                low, high = ordered[(count - 1) // 2], ordered[count // 2]
                if value > high:
                    cost += value - high
                elif value < low:
                    cost += low - value
            if cost > least + penalty:
                break
            insort(ordered, value)
            total = best[start] + penalty + cost
            if total < least:
                least, first = total, start
        best.append(least)
        begin.append(first)
    found = []
    end = len(values)
    while end:
        end = begin[end]
        found.append(end)
    return found[-2::-1]


def _large_enough(values: Sequence[int], found: list[int], least_fraction: float) -> list[int]:
    """The steps without those that are too small, the smallest taken out first."""
    kept = list(found)
    while kept:
        levels = [_middle(values[start:end]) for start, end in pairwise([0, *kept, len(values)])]
        sizes = [abs(after - before) / max(before, 1) for before, after in pairwise(levels)]
        smallest = min(range(len(kept)), key=sizes.__getitem__)
        if sizes[smallest] >= least_fraction:
            break
        del kept[smallest]
    return kept


def _middle(values: Sequence[int]) -> int:
    """A median that is one of the values."""
    return sorted(values)[(len(values) - 1) // 2]
