"""Where in the budgets file the limit stands that was in force for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.budgets.edit import AddEntry, Edit, SetLimit
from pytest_tfmem.budgets.resolve import covering_entries
from pytest_tfmem.figures import GPU_FIGURES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_tfmem.budgets.model import BudgetsFile, LimitByProfile
    from pytest_tfmem.figures import Limit


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One limit in the file: of an entry, counted from 0, or of the defaults (None); for a profile, or all others."""

    entry: int | None
    figure: str
    profile: str | None = None

    def set_to(self, size: str) -> SetLimit:
        return SetLimit(entry=self.entry, figure=self.figure, profile=self.profile, size=size)


class Places:
    """Finds the places of limits in a budgets file, on a machine where these profiles are active."""

    def __init__(self, file: BudgetsFile, profiles: frozenset[str]) -> None:
        self._file = file
        self._profiles = profiles
        self._numbers = {id(entry): number for number, entry in enumerate(file.entries)}

    def of(self, nodeid: str, figure: str) -> tuple[Place, Limit] | None:
        """Where the limit stands that the file has for this figure of this test here, and the limit."""
        for entry in covering_entries(self._file, nodeid):
            if found := self._in(entry.limits.get(figure), self._numbers[id(entry)], figure):
                return found
        return self._in(self._file.defaults.limits.get(figure), None, figure)

    def exact_entry(self, nodeid: str) -> int | None:
        """The number of the entry that names this test and no other by a pattern, if there is one."""
        entries = covering_entries(self._file, nodeid)
        return next((self._numbers[id(entry)] for entry in entries if entry.pattern.text == nodeid), None)

    def new_entry(self, nodeid: str, sizes: dict[str, str]) -> list[Edit]:
        """What gives a test limits of its own: in the entry that names it alone, or in one more."""
        entry = self.exact_entry(nodeid)
        if entry is not None:
            return [self._in_entry(entry, figure).set_to(size) for figure, size in sizes.items()]
        profile = self._profile
        profiles = {figure: profile for figure in sizes if profile and figure in GPU_FIGURES}
        return [AddEntry(test=nodeid, limits=sizes, profiles=profiles)]

    def _in_entry(self, entry: int, figure: str) -> Place:
        """Where in the entry this machine's limit on the figure stands, or is to stand."""
        limits = self._file.entries[entry].limits.get(figure)
        if found := self._in(limits, entry, figure):
            return found[0]
        by_profile = limits is not None or figure in GPU_FIGURES
        return Place(entry=entry, figure=figure, profile=self._profile if by_profile else None)

    @property
    def _profile(self) -> str | None:
        """The first profile that is active here, if any is."""
        return next((one.name for one in self._file.profiles if one.name in self._profiles), None)

    def covered(self, place: Place, nodeids: Iterable[str]) -> list[str]:
        """Those of the tests for which the file's limit stands in this place."""
        entry = None if place.entry is None else self._file.entries[place.entry]
        near = [nodeid for nodeid in nodeids if entry is None or entry.pattern.covers(nodeid)]
        return [nodeid for nodeid in near if (found := self.of(nodeid, place.figure)) and found[0] == place]

    def names_one_test(self, place: Place, nodeid: str) -> bool:
        """Whether the limit is that of an entry for this test alone."""
        return place.entry is not None and self._file.entries[place.entry].pattern.text == nodeid

    def _in(self, limits: LimitByProfile | None, entry: int | None, figure: str) -> tuple[Place, Limit] | None:
        limit = limits.under(self._profiles) if limits else None
        if limits is None or limit is None:
            return None
        profile = next((name for name in limits.by_profile if name in self._profiles), None)
        return Place(entry=entry, figure=figure, profile=profile), limit
