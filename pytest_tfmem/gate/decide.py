"""The second stage of the gate: base against head in one session, and how many attempts that takes.

If base and head need the same, each of the C(2k, k) ways to tell k of 2k attempts apart is as likely as any other, so
every head exceeds every base with a chance of at most 1 / C(2k, k): a permutation test, whatever the distribution and
the machine. The chance that any of the series of a change is called regressed though none is, is at most the sum over
them of the chance to be nominated times this one; and, whatever history is worth, that of as many as were nominated.
"""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.gate.median import median
from pytest_tfmem.gate.nominate import LEAST_SESSIONS, rank
from pytest_tfmem.gate.tolerance import floor_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.budgets.model import Tolerance

LEAST_ATTEMPTS = 3  # with two of each, one suspect in six would be called regressed by chance


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How many attempts of base and of head decide, and what bounds the chance of a false alarm.

    `attempts`: of each of the two. `bound`: the chance that any of `series` is called regressed though none is.
    `sessions`: the fewest and the most earlier sessions that one of the series has; `rank` the greatest of theirs.
    """

    attempts: int
    bound: float
    series: int
    sessions: tuple[int, int]
    rank: int


def plan(
    sessions_by_series: Sequence[int],
    *,
    most_chance: float = 0.01,
    all_decided: bool = False,
    unnominated: int = 0,
    nominated: int = 0,
) -> Plan:
    """The fewest attempts, at least `LEAST_ATTEMPTS`, that keep the chance of a false alarm at `most_chance` or below.

    `sessions_by_series`: how many earlier sessions each series is held against; those that have none are never
    nominated, and count only where every series goes to the second stage (`all_decided`). `unnominated`: how many more
    go there whatever their history says, for example because their test has failed. `nominated`: how many history has
    made suspect. If these are more than the chances of all add up to, the bound is theirs: history and this run are
    then hardly exchangeable, as where another machine reads higher throughout, and it must hold there as well.
    """
    counted = [sessions for sessions in sessions_by_series if sessions or all_decided]
    chance = sum(1.0 if all_decided else (rank(sessions) + 1) / (sessions + 1) for sessions in counted)
    chance = max(chance, nominated) + unnominated
    attempts = LEAST_ATTEMPTS
    while chance / comb(2 * attempts, attempts) > most_chance:
        attempts += 1
    return Plan(
        attempts=attempts,
        bound=chance / comb(2 * attempts, attempts),
        series=len(counted) + unnominated,
        sessions=(min(counted, default=0), max(counted, default=0)),
        rank=max(map(rank, counted), default=0),
    )


def regressed(base: Sequence[int], head: Sequence[int], tolerance: Tolerance) -> bool:
    """Whether every head value exceeds every base value, and their medians are apart by more than the tolerance.

    There must be values of both, each of an attempt of its own.
    """
    before = median(base)
    return min(head) > max(base) and median(head) - before > floor_bytes(tolerance, before)


def confirmed(values: Sequence[int], now_bytes: int, again_bytes: int, tolerance: Tolerance) -> bool:
    """Whether a figure that repeats to the byte has grown: it was the same before, and is more now and again.

    `values`: of the earlier sessions since the last step; `again_bytes`: of one more run. Where the earlier sessions
    are themselves further apart than the tolerance, the figure does not repeat here, and base against head decides.
    """
    if len(values) < LEAST_SESSIONS:
        return False
    before = median(values)
    floor = floor_bytes(tolerance, before)
    repeats = max(values) - min(values) <= floor
    return repeats and min(now_bytes, again_bytes) > max(before + floor, *values)
