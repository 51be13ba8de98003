"""Where in the budgets file the limit stands that was in force for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.budgets.edit import SetLimit
from pytest_tfmem.budgets.resolve import covering_entries

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

    def new_profile(self, figure: str, entry: int | None, *, by_profile: bool) -> str | None:
        """The profile that a new limit is to be under, if it is to be under one: the first that is active here."""
        of_entry = None if entry is None else self._file.entries[entry].limits.get(figure)
        first = next((one.name for one in self._file.profiles if one.name in self._profiles), None)
        return first if by_profile or of_entry is not None else None

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
