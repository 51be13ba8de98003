"""Where a series steps from one level to another: a piecewise constant fit under absolute error (L1-Potts).

The fit minimises the sum of the distances of the points from their level, plus a penalty for each step: A. Weinmann,
M. Storath, L. Demaret, "The L1-Potts functional for robust jump-sparse reconstruction", SIAM J. Numer. Anal. 53 (2015).
Absolute error, because high-water marks err upwards and have modes: squared error takes an outlier, or a mode, for a
step.
"""

from __future__ import annotations

from bisect import insort
from itertools import pairwise
from math import inf, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# A step at the end of a series is called once its points, taken together, are away from the old level by more than the
# penalty: the greater of so many least steps, and of so many usual jumps between neighbours, times the logarithm of the
# number of points. So a step of 2 % in quiet takes two points, and one of three usual jumps takes three of sixty.
# Chosen by simulation: no larger than what leaves flat series flat, of 20, 60 and 200 points, with noise that is
# normal, skewed, of two modes, or heavy in its tails.
_LEAST_STEPS = 3.5
_USUAL_JUMPS = 1.75


def steps(values: Sequence[int], *, least_fraction: float = 0.01) -> list[int]:
    """The places of the points at which a new level begins, in order.

    A step is at least `least_fraction` of the level before it. The time is quadratic in the points, at the worst.
    """
    if not values or max(values) - min(values) < least_fraction * min(values):
        return []
    penalty = max(
        _USUAL_JUMPS * _usual_jump(values) * log(len(values)), _LEAST_STEPS * least_fraction * _middle(values)
    )
    return _large_enough(values, _fit(values, penalty), least_fraction)


def _usual_jump(values: Sequence[int]) -> int:
    """What six of seven points differ by from the one before, at the most.

    The steps themselves are among the rest, unless there are very many. Not the median of the differences: where one
    reading of five is of another mode, most neighbours are of the same one, and the median knows nothing of the other.
    """
    jumps = sorted(abs(after - before) for before, after in pairwise(values))
    return jumps[int(0.85 * (len(jumps) - 1))] if jumps else 0


def _fit(values: Sequence[int], penalty: float) -> list[int]:
    """Where the levels of the best fit begin, but for the first: by dynamic programming, exactly."""
    best = [-penalty]  # of the first so many points; the first level is no step
    begins = [0]  # of the last level in that fit
    for end in range(1, len(values) + 1):
        least, begin = _best_last_level(values, end, best, penalty)
        best.append(least)
        begins.append(begin)
    found = []
    end = len(values)
    while begins[end]:
        end = begins[end]
        found.append(end)
    return found[::-1]


def _best_last_level(values: Sequence[int], end: int, best: Sequence[float], penalty: float) -> tuple[float, int]:
    """The least sum of any fit of the points before `end`, and where its last level begins."""
    least, begin = inf, 0
    level: list[int] = []  # sorted
    cost = 0
    for start in range(end - 1, -1, -1):
        value = values[start]
        if start + 1 < end:  # by how much the point lies outside of the medians, of which there may be two
            cost += max(0, value - level[len(level) // 2], level[(len(level) - 1) // 2] - value)
        if cost >= least:  # a level only costs more the longer it is, and the fit before it is never below -penalty
            break
        insort(level, value)
        if (total := best[start] + penalty + cost) < least:
            least, begin = total, start
    return least, begin


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
    """A median that is one of the values, so that it scales with them."""
    return sorted(values)[(len(values) - 1) // 2]
