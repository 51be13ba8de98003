"""What a test's process says, from its first phase to its end, and what it is answered."""

from __future__ import annotations

from typing import Any

import msgspec

from pytest_tfmem.figures import FigureReading, Limit, Phase, Section
from pytest_tfmem.measure.devices import DeviceMarks
from pytest_tfmem.measure.kept import KeptSeries
from pytest_tfmem.measure.marks import PhaseMarks


class PhaseBegun(msgspec.Struct, frozen=True, tag=True):
    """Child to controller: a phase begins, with this many bytes resident."""

    phase: Phase
    resident_bytes: int


class PhaseOver(msgspec.Struct, frozen=True, tag=True):
    """Child to controller: a phase is over; `passed` if it raised nothing. The child waits for Judged.

    `devices` are None where no framework was loaded that could use one. `out_of_memory`: what a device allocator has
    refused in this phase, a sentence for the user. `open_sections`: those that are open, with what they have held so
    far. `kept`: what was in use after each call of the body, where it was called again and again before this phase's
    own.
    """

    phase: Phase
    marks: PhaseMarks
    passed: bool
    devices: DeviceMarks | None = None
    out_of_memory: str = ""
    open_sections: list[Section] = []
    kept: KeptSeries | None = None


class Deliberating(msgspec.Struct, frozen=True, tag=True):
    """Controller to child, after PhaseOver: the verdict takes a while, and that is not the test's time."""


class Judged(msgspec.Struct, frozen=True, tag=True):
    """Controller to child, in answer to PhaseOver: the text with which the phase is to fail, or an empty one.

    `regressed`: it fails for what it needed before, not for a limit.
    """

    breach: str
    regressed: bool = False


class SectionEntered(msgspec.Struct, frozen=True, tag=True):
    """Child to controller: the test enters a section, within those of `path`, the outermost first."""

    name: str
    path: list[str]
    phase: Phase


class SectionLeft(msgspec.Struct, frozen=True, tag=True):
    """Child to controller: the section that was entered so is left again.

    `known`: what it has held at most all the times that it was, None where that is not to be recorded.
    """

    entry: SectionEntered
    known: Section | None


class Checkpointed(msgspec.Struct, frozen=True, tag=True):
    """Child to controller: the test has given this moment a name; what is held now."""

    name: str
    readings: dict[str, FigureReading]


class Limited(msgspec.Struct, frozen=True, tag=True):
    """Child to controller: limits that the test has set itself, by figure. They go before all others."""

    limits: dict[str, Limit]


class Reported(msgspec.Struct, frozen=True, tag=True):
    """Child to controller: a report of pytest's, serialised by pytest."""

    report: dict[str, Any]


class Warned(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Child to controller: a warning that pytest recorded while the test ran."""

    text: str
    category: str
    category_module: str
    filename: str
    lineno: int
    when: str
    nodeid: str


# What a process refuses for, each a clause of which the test's process is the subject or the place.
NOT_COLLECTED = "its file could not be collected again in a fresh process"
FAILED_INSIDE = "pytest failed inside in the test's process"
NO_SESSION = "pytest could not start, or not end, in the test's process"


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Child to controller: the test cannot be run, for this reason; `detail` is what pytest said of it."""

    reason: str
    detail: str = ""


class Stopped(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Child to controller: the test stopped the session, by pytest.exit or as Ctrl-C does, or asked it to stop."""

    kind: str
    reason: str
    returncode: int | None = None


class Done(msgspec.Struct, frozen=True, tag=True):
    """Child to controller: nothing more will come; the process ends now."""
