"""Where a series steps from one level to another: a piecewise constant fit under absolute error (L1-Potts).

The fit minimises the sum of the distances of the points from their level, plus a penalty for each step: A. Weinmann,
M. Storath, L. Demaret, "The L1-Potts functional for robust jump-sparse reconstruction", SIAM J. Numer. Anal. 53 (2015).
Absolute error, because high-water marks err upwards and have modes: squared error takes an outlier, or a mode, for a
step.
"""

from __future__ import annotations

from bisect import insort
from itertools import accumulate, pairwise
from math import inf, log
from operator import sub
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
_FURTHER = 1.5  # from one distance that is tried to the next: fewer are quicker, more find more series flat


def steps(values: Sequence[int], *, least_fraction: float = 0.01) -> list[int]:
    """The places of the points at which a new level begins, in order.

    A step is at least `least_fraction` of the level before it. The time is quadratic in the points, at the worst.
    """
    if not values or max(values) - min(values) < least_fraction * min(values):
        return []
    penalty = max(
        _USUAL_JUMPS * _usual_jump(values) * log(len(values)), _LEAST_STEPS * least_fraction * _middle(values)
    )
    if _is_flat(values, penalty):
        return []
    return _large_enough(values, _fit(values, penalty), least_fraction)


def _is_flat(values: Sequence[int], penalty: float) -> bool:
    """Whether one level surely fits better than several: a tenth of the time of the fit, which alone knows otherwise.

    So many steps cost so many penalties. What they gain is what each part gains by a level of its own, which lies above
    the middle or below it. So there are none if no part gains a penalty, nor the first or the last one half of it.
    """
    middle = _middle(values)
    above = [value - middle for value in values]
    return _gains_little(above, penalty) and _gains_little([-value for value in above], penalty)


def _gains_little(above: Sequence[int], penalty: float) -> bool:
    """Whether no part of the points, which lie so far above the middle, is worth a step to a level above it.

    What a part gains is concave in the distance of its level, and nothing at none: at a distance that was not tried it
    is at most as many times more than at the one tried before as it is further away. Not even half of the points lie
    above the middle, so at less than the first distance half a penalty is never gained.
    """
    furthest = max(above)
    distance = penalty / len(above)
    while distance < furthest:
        # Of each point, how much nearer the level at this distance is than the middle.
        gains = (distance if one >= distance else -distance if one <= 0 else 2 * one - distance for one in above)
        sums = list(accumulate(gains, initial=0.0))
        any_part = max(map(sub, sums, accumulate(sums, min)))
        at_an_end = max(*sums, sums[-1] - min(sums))
        if _FURTHER * max(any_part, 2 * at_an_end) >= penalty:
            return False
        distance *= _FURTHER
    return True


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
    for points, start in enumerate(range(end - 1, -1, -1)):
        value = values[start]
        if points:  # by how much the point lies outside of the medians, of which there may be two
            if value > (upper := level[points // 2]):
                cost += value - upper
            elif value < (lower := level[(points - 1) // 2]):
                cost += lower - value
        # A level that begins even before only costs more: it can be parted here, which takes a penalty at the most.
        if best[start] + cost >= least:
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
