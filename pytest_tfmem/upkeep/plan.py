"""What is to be changed in a budgets file, by what the tests of a run have needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.budgets.audit import stale
from pytest_tfmem.budgets.edit import Edit, Remove
from pytest_tfmem.budgets.model import BudgetsFile, WaiverEntry
from pytest_tfmem.budgets.pattern import compile_pattern
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.figures import greatest
from pytest_tfmem.gate.nominate import LEAST_SESSIONS
from pytest_tfmem.gate.tolerance import PROPOSED
from pytest_tfmem.upkeep.placed import Places

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterator, Sequence

    from pytest_tfmem.figures import Limit, Measurement
    from pytest_tfmem.upkeep.needs import Need, Needs
    from pytest_tfmem.upkeep.placed import Place

_TOO_MUCH_TENTHS = 11


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """The tests of the run, as they were collected. `part_of`: why these are not all that there are; empty if they are.

    `unseen` are files and folders whose tests are not known, as node ids: they were skipped as a whole.
    """

    nodeids: list[str] = []
    part_of: str = ""
    unseen: list[str] = []


class Plan(msgspec.Struct, kw_only=True):
    """What is to be done, by the word that asks for it; and what the user should know of it, each in one line."""

    edits: dict[str, list[Edit]] = {}
    remarks: list[str] = []

    def add(self, word: str, edit: Edit) -> None:
        self.edits.setdefault(word, []).append(edit)

    @property
    def all(self) -> list[Edit]:
        return [edit for edits in self.edits.values() for edit in edits]


class Planner:
    """Plans changes of a budgets file, if there is one.

    `measurements` are those of the run, on a machine where these `profiles` are active.
    """

    def __init__(
        self,
        file: BudgetsFile | None,
        measurements: Sequence[Measurement],
        *,
        needs: Needs,
        profiles: frozenset[str],
        suite: Suite,
        today: dt.date,
    ) -> None:
        self._file = file or BudgetsFile(shown="")
        self._measurements = measurements
        self._needs = needs
        self._places = Places(self._file, profiles)
        self._suite = suite
        self._today = today
        self._plan = Plan()

    def plan(self, words: Collection[str]) -> Plan:
        """The changes that these words ask for: "create", "raise", "trim", "prune"."""
        self._plan = Plan(edits={}, remarks=[])
        if "raise" in words:
            self._raise()
        if "trim" in words:
            self._trim()
        if "create" in words:
            self._create()
        if "prune" in words:
            self._prune()
        return self._plan

    def _raise(self) -> None:
        by_hand: dict[tuple[str, str], Need] = {}
        too_low: dict[Place, Need] = {}
        for test, figure, limit in self._limits():
            need = self._needs.of(test, figure) if test.verdicts.get(figure) == "over" else None
            if need is None:
                continue
            if found := self._in_file(test, figure, limit):
                too_low[found] = _greater(need, too_low.get(found))
            else:
                at = (limit.where, figure)
                by_hand[at] = _greater(need, by_hand.get(at))
        for place, need in too_low.items():
            self._plan.add("raise", place.set_to(need.size))
        self._plan.remarks += [
            f"{where}: raise {figure} to {need.size} by hand" for (where, figure), need in by_hand.items()
        ]

    def _trim(self) -> None:
        needs: dict[Place, dict[str, Need | None]] = {}
        limits: dict[Place, Limit] = {}
        for test, figure, limit in self._limits():
            if found := self._in_file(test, figure, limit):
                needs.setdefault(found, {})[test.nodeid] = self._needs.of(test, figure)
                limits[found] = limit
        left = 0
        for place, of_tests in needs.items():
            known = [need for need in of_tests.values() if need]
            most = max(known, key=lambda need: need.limit_bytes, default=None)
            if most is None or len(known) < len(of_tests) or not _is_far_above(limits[place], most, known, place):
                continue
            if self._may_hold_for_others(place, list(of_tests)):
                left += 1
            else:
                self._plan.add("trim", place.set_to(most.size))
        if left:
            why = self._suite.part_of or "for some of the tests that they cover there is no reading"
            limits_left = "1 limit" if left == 1 else f"{left} limits"
            self._plan.remarks.append(f"not trimmed: {limits_left} of several tests ({why})")

    def _may_hold_for_others(self, place: Place, nodeids: Sequence[str]) -> bool:
        """Whether the limit is, or may be, one of tests of which this run does not say what they need."""
        if len(nodeids) == 1 and self._places.names_one_test(place, nodeids[0]):
            return False
        if place.entry is None:  # defaults hold for tests that are measured anyway
            return bool(self._suite.part_of or self._suite.unseen)
        beginning = self._file.entries[place.entry].pattern.prefix
        if self._suite.part_of or any(_may_overlap(beginning, part) for part in self._suite.unseen):
            return True
        return bool(set(self._places.covered(place, self._suite.nodeids)) - set(nodeids))

    def _create(self) -> None:
        for test in self._measurements:
            needs = [
                need
                for figure in PROPOSED
                if figure not in test.limits and (need := self._needs.of(test, figure)) and _is_used(test, figure, need)
            ]
            if not needs:
                continue
            if _can_be_named(test.nodeid):
                for edit in self._places.new_entry(test.nodeid, {need.figure: need.size for need in needs}):
                    self._plan.add("create", edit)
            else:
                self._plan.remarks.append(f"not created: no pattern covers {test.nodeid}")

    def _prune(self) -> None:
        if self._suite.part_of:
            self._plan.remarks.append(f"not pruned: {self._suite.part_of}")
            return
        for entry in stale(self._file, self._suite.nodeids):
            if any(_may_overlap(entry.pattern.prefix, part) for part in self._suite.unseen):
                continue
            if isinstance(entry, WaiverEntry):
                if entry.expires < self._today:
                    self._plan.add("prune", Remove(section="waivers", index=_index(self._file.waivers, entry)))
            else:
                self._plan.add("prune", Remove(index=_index(self._file.entries, entry)))

    def _limits(self) -> Iterator[tuple[Measurement, str, Limit]]:
        for test in self._measurements:
            for figure, limit in test.limits.items():
                yield test, figure, limit

    def _in_file(self, test: Measurement, figure: str, limit: Limit) -> Place | None:
        """Where in the file the limit stands that was in force, if it does."""
        found = self._places.of(test.nodeid, figure)
        return found[0] if found and (found[1].where, found[1].bytes) == (limit.where, limit.bytes) else None


def _is_far_above(limit: Limit, most: Need, known: Sequence[Need], place: Place) -> bool:
    """Whether the limit is more than a tenth, and more than the floor, above what is proposed for all of the tests.

    And whether enough is known to say so. A limit that holds for every machine is one of other machines, too.
    """
    proposed = most.limit_bytes
    enough = all(need.sessions >= LEAST_SESSIONS and not need.sampled for need in known)
    if not place.profile and max(need.elsewhere_bytes for need in known) > proposed:
        return False
    return enough and limit.bytes * 10 > proposed * _TOO_MUCH_TENTHS and limit.bytes > proposed + most.floor_bytes


def _is_used(test: Measurement, figure: str, need: Need) -> bool:
    """Whether a limit on the figure is to be made: not of what was only sampled, and not on a GPU that stays unused."""
    most = greatest(test.readings.get(figure))
    return not need.sampled and most is not None and most.bytes > 0


def _can_be_named(nodeid: str) -> bool:
    try:
        return compile_pattern(nodeid).covers(nodeid)
    except TfmemError:
        return False


def _greater(need: Need, other: Need | None) -> Need:
    return need if other is None or need.limit_bytes > other.limit_bytes else other


def _may_overlap(beginning: str, place: str) -> bool:
    return place.startswith(beginning) or beginning.startswith(place)


def _index(entries: Sequence[object], wanted: object) -> int:
    return next(number for number, entry in enumerate(entries) if entry is wanted)
