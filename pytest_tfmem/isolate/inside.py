"""What a test's process does for the test itself: its sections, checkpoints and own limits, told to the controller."""

from __future__ import annotations

import contextlib
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_tfmem.figures import Section
from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.asking import Asking
from pytest_tfmem.isolate.reports import encodable, shortened
from pytest_tfmem.measure.sections import Sections, measured, now_readings, recorded, section_readings

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from pytest_tfmem.figures import FigureReading, Limit, Phase
    from pytest_tfmem.isolate.channel import Channel
    from pytest_tfmem.measure.nested import Nest, Span

MOST_CHECKPOINTS = 100  # that are told of one test: they may be made in a loop
_MOST_NAME_CHARS = 100


@dataclass(eq=False)
class Entry:
    """One entry of a section, from when it was opened."""

    said: wire.SectionEntered
    span: Span
    thread: int = field(default_factory=threading.get_ident)

    def section(self) -> Section:
        """What it has held at most so far."""
        return Section(
            name=self.said.name,
            path=self.said.path,
            phase=self.said.phase,
            entered=1,
            seconds=round(self.span.seconds, 6),
            readings=section_readings(self.span),
        )


class Inside:
    """The test's own view of its process, for the fixture. `phase` is the one that runs, or that ran last.

    `asking` asks the controller for what this process cannot do itself.
    """

    def __init__(self, channel: Channel, nest: Nest) -> None:
        self.nest = nest
        self.phase: Phase = "setup"
        self.asking = Asking(channel)
        self._channel = channel
        self._sections = Sections()
        self._opened: list[Entry] = []
        self._checkpoints = 0
        self._records = True

    def enter(self, name: str) -> Entry:
        """A section of this name begins, within those that the same thread has open."""
        around = [one.said.name for one in self._opened if one.thread == threading.get_ident()]
        said = wire.SectionEntered(_told(name), around, self.phase)
        if self._records:
            self._send(said)
        entry = Entry(said, self.nest.enter())
        self._opened.append(entry)
        return entry

    def leave(self, entry: Entry, before: Section | None = None) -> Section:
        """It ends: what it has held at most, all the times that it was entered. `before`: as of the last of them.

        Told at once, so that it is known if this process dies.
        """
        with self.nest.leaving(entry.span):
            self._opened.remove(entry)
            section = self._sections.add(entry.section(), before)
            keeps = self._records and self._sections.has(section)
            self._send(wire.SectionLeft(entry.said, recorded(section) if keeps else None))
        return section

    def checkpoint(self, name: str) -> dict[str, FigureReading]:
        """What is held now, told to the controller as a moment of this name."""
        readings = now_readings(*self.nest.look())
        if self._records and self._checkpoints < MOST_CHECKPOINTS:
            self._checkpoints += 1
            self._send(wire.Checkpointed(_told(name), dict(measured(readings))))
        return readings

    def limit(self, limits: Mapping[str, Limit]) -> None:
        """Have the test judged by these limits, too."""
        self._send(wire.Limited(dict(limits)))

    def open_sections(self) -> list[Section]:
        """What is to be recorded of those that are still open: what they have held so far."""
        known = self._sections.copy()
        sections = [known.add(entry.section()) for entry in self._opened]
        return [recorded(one) for one in sections if known.has(one)]

    @contextmanager
    def unrecorded(self) -> Generator[None]:
        """While the body is called only to warm up: its sections and checkpoints are not kept."""
        kept, self._records = self._sections.copy(), False
        try:
            yield
        finally:
            self._sections, self._records = kept, True

    def _send(self, message: wire.Message) -> None:
        with contextlib.suppress(OSError):  # the controller is gone, and so is this process soon
            self._channel.send(message)


def _told(name: str) -> str:
    return encodable(shortened(name, _MOST_NAME_CHARS))
