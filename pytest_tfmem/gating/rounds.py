"""Base and head in turn, each attempt a session of its own, so that both see the same machine at the same time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tfmem.attempts.revision import CannotBeBuiltError
from pytest_tfmem.history.conditions import conditions
from pytest_tfmem.history.series import counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_tfmem.attempts.revision import Revision
    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.gate.result import Side
    from pytest_tfmem.gating.asked import Say

_BOTH: tuple[Side, Side] = ("base", "head")


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A test that goes to the second stage: its id, the one that it has in the base (None: it is new), how often."""

    nodeid: str
    base_id: str | None
    needed: int

    def id_on(self, side: Side) -> str | None:
        return self.nodeid if side == "head" else self.base_id


@dataclass(frozen=True, kw_only=True)
class Try:
    """One attempt at one test, by its id in the head. Without a measurement, `said` is why there is none."""

    side: Side
    number: int
    nodeid: str
    measurement: Measurement | None
    conditions: Mapping[str, str]
    said: str = ""

    @property
    def gave_values(self) -> bool:
        return self.measurement is not None and counts(self.measurement)


class Rounds:
    """Runs attempts of both sides. `why_no_base` is why the base could not be run, empty if it could."""

    def __init__(self, head: Revision, base: Revision | None, chosen: Sequence[Chosen], *, of: int, say: Say) -> None:
        self._revisions: dict[Side, Revision | None] = {"base": base, "head": head}
        self._chosen = chosen
        self._of = of
        self._say = say
        self.why_no_base = ""
        self.tries: list[Try] = []
        self.sessions = 0
        self._given: Counter[tuple[Side, str]] = Counter()  # how many values, of every test

    def run(self) -> None:
        """As many rounds as are needed; then up to as many again for tests that lack values, if they ever gave one."""
        needed = max((one.needed for one in self._chosen), default=0)
        for number in range(needed):
            for side in _in_turn(number):
                self._attempt(side, [one for one in self._chosen if one.needed > number], 2 * needed)
        for number in range(needed):
            lacking = {side: [one for one in self._chosen if self._may_still(side, one)] for side in _BOTH}
            for side in _in_turn(number):
                self._attempt(side, lacking[side], self.sessions + sum(map(bool, lacking.values())))

    def _may_still(self, side: Side, one: Chosen) -> bool:
        return 0 < self._given[side, one.nodeid] < one.needed

    def _attempt(self, side: Side, chosen: Sequence[Chosen], total: int) -> None:
        ids = {found: one.nodeid for one in chosen if (found := one.id_on(side)) is not None}
        revision = self._revisions[side]
        if not ids or revision is None:
            return
        what = "1 test" if len(ids) == 1 else f"{len(ids)} tests"
        place = f"attempt {self.sessions + 1} of {max(total, self.sessions + 1)} ({side})"
        self._say(f"deciding {what} of {self._of}: {place}", self.sessions, total)
        self.sessions += 1
        try:
            self._take(side, revision, ids)
        except CannotBeBuiltError as error:
            if side == "head":
                raise
            self._revisions["base"] = None
            self.why_no_base = str(error)
            self.tries = [done for done in self.tries if done.side == "head"]

    def _take(self, side: Side, revision: Revision, ids: Mapping[str, str]) -> None:
        done = revision.chosen(list(ids))
        found = {test.nodeid: test for test in done.run.tests} if done.run else {}
        if not found and side == "base" and not any(one.side == "base" for one in self.tries):
            raise CannotBeBuiltError(done.said or "pytest measured none of its tests")
        for own_id, nodeid in ids.items():
            test = found.get(own_id)
            on = conditions(done.run.environment, test) if done.run and test else {}
            said = _why_none(test, done.said)
            one = Try(side=side, number=self.sessions, nodeid=nodeid, measurement=test, conditions=on, said=said)
            self.tries.append(one)
            self._given[side, nodeid] += one.gave_values


def _in_turn(number: int) -> tuple[Side, ...]:
    """Base and head, head and base: whatever drifts while they run falls on both alike."""
    return _BOTH if number % 2 == 0 else _BOTH[::-1]


def _why_none(test: Measurement | None, said: str) -> str:
    if test is None:
        return said or "it was not run"
    if counts(test):
        return ""
    return test.died or test.unmeasured or f"it {test.outcome if test.outcome == 'failed' else 'was skipped'}"
