"""The first stage: the head's run held against history and limits, and who goes to the second stage."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.budgets.verdict import verdict_on
from pytest_tfmem.figures import Reading, each, greatest
from pytest_tfmem.gate.compare import changes
from pytest_tfmem.gate.decide import Plan, plan
from pytest_tfmem.gate.tolerance import ALWAYS_GATED, GATED_IF_READ, is_repeatable
from pytest_tfmem.history.series import History

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_tfmem.figures import Limit, Measurement
    from pytest_tfmem.gate.changes import Change
    from pytest_tfmem.gating.allowed import Allowed
    from pytest_tfmem.gating.head import Head

ATTEMPTS_AT_EXACT = 2  # of each side: what repeats to the byte is measured, and measured again
ATTEMPTS_AT_LIMITS = 2

Place = tuple[str, str, int]  # a test's id, a figure, and which GPU


@dataclass(frozen=True, kw_only=True)
class Suspects:
    """`changes` by their places. `places`: what is to be decided, with how many attempts of each side.

    `over`: those of them that are over a limit. `failed`: tests of which the head's own run gave no value; all their
    figures are to be decided, as they come.
    """

    changes: Mapping[Place, Change]
    places: Mapping[Place, int]
    over: frozenset[Place]
    failed: Sequence[str]
    plan: Plan

    def tests(self, *, with_base: bool = True) -> dict[str, int]:
        """How many attempts of each side every test needs.

        Without a base only limits can be judged, for which the head is run again.
        """
        if not with_base:
            return dict.fromkeys([*self.failed, *(nodeid for nodeid, _, _ in sorted(self.over))], ATTEMPTS_AT_LIMITS)
        found = dict.fromkeys(self.failed, self.plan.attempts)
        for (nodeid, _, _), needed in self.places.items():
            found[nodeid] = max(needed, found.get(nodeid, 0))
        return found


def nominate(
    head: Head, before: History, allowed: Allowed, old_ids: Mapping[str, str], *, decide_all: bool, attempts: int | None
) -> Suspects:
    """Who is suspect. `old_ids`: of renamed tests, by which their history is found."""
    found = changes(
        head.series,
        under_new_ids(before, old_ids),
        tolerance=allowed.tolerance,
        limited=lambda key: key.figure in head.tests[key.nodeid].limits,
    )
    by_place = {(one.key.nodeid, one.key.figure, one.key.gpu): one for one in found}
    failed = [test.nodeid for test in head.tests.values() if test.outcome == "failed"]
    over = [
        (test.nodeid, figure, gpu)
        for test in head.tests.values()
        if test.outcome == "passed"
        for figure, gpu in _over(test, allowed.stricter_limits(test.limits, old_ids.get(test.nodeid, test.nodeid)))
    ]
    nominated = [place for place, one in by_place.items() if decide_all or one.standing in {"suspect", "regressed"}]
    exact = {place for place, one in by_place.items() if repeats(one)}
    more = len(set(over).difference(nominated, exact)) + sum(_series_of(head.tests[nodeid]) for nodeid in failed)
    sessions = [len(one.baseline.values) if one.baseline else 0 for at, one in by_place.items() if at not in exact]
    planned = plan(sessions, all_decided=decide_all, unnominated=more, nominated=len(set(nominated) - exact))
    planned = _settled(planned, attempts)
    needed = {place: ATTEMPTS_AT_EXACT if place in exact else planned.attempts for place in [*nominated, *over]}
    return Suspects(changes=by_place, places=needed, failed=failed, plan=planned, over=frozenset(over))


def repeats(change: Change) -> bool:
    """Whether the figure reads the same to the byte: it is of such a kind, and has done so in its history."""
    if not is_repeatable(change.key.figure, change.exactness):
        return False
    values = change.baseline.values if change.baseline else [change.now_bytes]
    return max(values) - min(values) <= change.floor_bytes


def under_new_ids(before: History, old_ids: Mapping[str, str]) -> History:
    """The history with the series of renamed tests under their new ids."""
    new_ids = {old: new for new, old in old_ids.items()}
    points = {
        msgspec.structs.replace(key, nodeid=new_ids.get(key.nodeid, key.nodeid)): ones
        for key, ones in before.points.items()
    }
    return History(points=points, conditions=before.conditions)


def _settled(planned: Plan, attempts: int | None) -> Plan:
    """The plan with as many attempts as the user wants, and the bound that these give."""
    if attempts is None:
        return planned
    bound = planned.bound * comb(2 * planned.attempts, planned.attempts) / comb(2 * attempts, attempts)
    return msgspec.structs.replace(planned, attempts=attempts, bound=bound)


def _over(test: Measurement, base_limits: Mapping[str, Limit]) -> Iterator[tuple[str, int]]:
    """The figures that are over a limit that fails: the head's, or the base's."""
    for limits in (test.limits, base_limits):
        for figure, limit in limits.items():
            for gpu, one in enumerate(each(test.readings.get(figure))):
                if limit.level == "error" and isinstance(one, Reading) and verdict_on(limit, one) == "over":
                    yield figure, gpu


def _series_of(test: Measurement) -> int:
    """How many series of a test are decided if all are: its limits', and those that are gated without one."""
    read = {figure for figure in GATED_IF_READ if greatest(test.readings.get(figure))}
    return len({*test.limits, *read, ALWAYS_GATED})
