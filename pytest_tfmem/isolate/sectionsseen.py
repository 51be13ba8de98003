"""The sections of one test as its controller knows them: those that were left, and those that are still open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.errors import one_line
from pytest_tfmem.figures import Section

if TYPE_CHECKING:
    from pytest_tfmem.isolate import wire

_MOST_NAMED = 3
_MOST_NAME_CHARS = 120


class SectionsSeen:
    """What the test's process says of them, message by message: so that nothing is lost if it dies."""

    def __init__(self) -> None:
        self._left: dict[tuple[str, ...], Section] = {}
        self._open: list[wire.SectionEntered] = []
        self._so_far: list[Section] = []

    def entered(self, said: wire.SectionEntered) -> None:
        self._open.append(said)

    def left(self, said: wire.SectionLeft) -> None:
        if said.entry in self._open:  # not one that was entered while the body was called only to warm up
            self._open.remove(said.entry)
        if said.known is not None:
            self._left[_place(said.known)] = said.known

    def phase_over(self, still_open: list[Section]) -> None:
        """A phase is over, and these were open: with what they have held so far, all the times that they were left."""
        self._so_far = still_open

    def where(self) -> str:
        """`, in its section load > decode`: the innermost of those that are open now; empty if none is."""
        places = [*dict.fromkeys(map(_place, self._open))]
        inner = [place for place in places if not any(_lies_in(other, place) for other in places)]
        names = [one_line(" > ".join(place), most=_MOST_NAME_CHARS) for place in inner[-_MOST_NAMED:]]
        return f", in its section{'s' if names[1:] else ''} {' and '.join(names)}" if names else ""

    def recorded(self) -> list[Section]:
        """What is to be written down after a phase: those that were left in that order, then those still open."""
        return [*(self._left | {_place(one): one for one in self._so_far}).values()]

    def recorded_of_the_dead(self) -> list[Section]:
        """The same of a process that has died: what the open ones have held then, nobody has read."""
        found = dict(self._left)
        for entry in self._open:
            never_left = Section(name=entry.name, path=entry.path, phase=entry.phase, entered=0)
            known = found.get(_place(entry), never_left)
            found[_place(entry)] = msgspec.structs.replace(known, open_at_death=True)
        return [*found.values()]


def _place(one: Section | wire.SectionEntered) -> tuple[str, ...]:
    return (*one.path, one.name)


def _lies_in(place: tuple[str, ...], around: tuple[str, ...]) -> bool:
    return len(place) > len(around) and place[: len(around)] == around
