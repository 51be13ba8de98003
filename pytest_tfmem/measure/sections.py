"""The sections of one test: what each has held at most over all the times that it was entered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.figures import NotMeasured, Reading, Section, each
from pytest_tfmem.measure.device_readings import device_readings
from pytest_tfmem.measure.readings import held_readings, span_readings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_tfmem.figures import AnyReading, FigureReading
    from pytest_tfmem.measure.devices import AllocatorMarks, DeviceMarks
    from pytest_tfmem.measure.marks import Marks
    from pytest_tfmem.measure.nested import Span

MOST_SECTIONS = 200  # that are recorded of one test: their names may be made in a loop
_FROM_OUTSIDE = "it is read from outside the test's process, of the whole test"
_NO_EVENTS = "under an allocator that rounds up it takes a run of its own, of the whole test"
_ONLY_IN_USE = "allocators say what they hold now, not what they have reserved or were asked for"


class Sections:
    """The sections that one test has left, by their names and those around them, in the order of their first entry."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Section] = {}

    def add(self, section: Section, before: Section | None = None) -> Section:
        """Count one more entry, and return what is known of the section now.

        `before`: what whoever enters it knows of it, where that is one too many to be known here.
        """
        place = _place(section)
        has_room = place in self._known or len(self._known) < MOST_SECTIONS
        if has_room or before is None or _place(before) != place:
            before = self._known.get(place)
        known = section if before is None else _both(before, section)
        if has_room:
            self._known[place] = known
        return known

    def has(self, section: Section) -> bool:
        """Whether it is among those that are kept."""
        return _place(section) in self._known

    def copy(self) -> Sections:
        """The same, to be added to on its own."""
        copied = Sections()
        copied._known = dict(self._known)
        return copied


def recorded(section: Section) -> Section:
    """What is to be written down of it."""
    return msgspec.structs.replace(section, readings=dict(measured(section.readings)))


def section_readings(span: Span) -> dict[str, FigureReading]:
    """Readings of every figure that a process can read of itself, over a stretch of time; of the others why not."""
    of_devices = device_readings({"call": span.devices}, footprint=NotMeasured(_FROM_OUTSIDE), tensors=_NO_EVENTS)
    return {**span_readings(span.start, span.end), "rss_tree": NotMeasured(_FROM_OUTSIDE), **of_devices}


def now_readings(marks: Marks, devices: DeviceMarks | None) -> dict[str, FigureReading]:
    """Readings of what this process holds at one moment, as its figures call it."""
    held = device_readings({"call": _as_held(devices)}, footprint=NotMeasured(_FROM_OUTSIDE), tensors=_ONLY_IN_USE)
    for figure in ("gpu_tensors", "gpu_reserved"):
        if not isinstance(held[figure], NotMeasured):
            held[figure] = NotMeasured(_ONLY_IN_USE)
    return {**held_readings(marks), **held}


def _place(section: Section) -> tuple[str, ...]:
    return (*section.path, section.name)


def _as_held(devices: DeviceMarks | None) -> DeviceMarks | None:
    if devices is None:
        return None
    return msgspec.structs.replace(devices, allocators=[_held(one) for one in devices.allocators])


def _held(one: AllocatorMarks) -> AllocatorMarks:
    return msgspec.structs.replace(one, peak=one.in_use, since_reset=True)


def _both(before: Section, after: Section) -> Section:
    figures = dict.fromkeys([*before.readings, *after.readings])
    return msgspec.structs.replace(
        before,
        entered=before.entered + after.entered,
        seconds=round(before.seconds + after.seconds, 6),
        readings={
            figure: most([one for one in (before.readings.get(figure), after.readings.get(figure)) if one is not None])
            for figure in figures
        },
    )


def most(readings: Iterable[FigureReading]) -> FigureReading:
    """The most that was read of one figure in several stretches of time; of a figure per GPU, on each."""
    ones = list(readings)
    if not any(isinstance(one, list) for one in ones):
        return _most([part for one in ones for part in each(one)])
    by_device: dict[str | None, list[AnyReading]] = {}
    for one in ones:
        # Where no GPU was used yet, there was one reason for all of them.
        for part in one if isinstance(one, list) else []:
            by_device.setdefault(part.device, []).append(part)
    return [_most(parts) for parts in by_device.values()]


def _most(parts: list[AnyReading]) -> AnyReading:
    sizes = [one for one in parts if isinstance(one, Reading)]
    return max(sizes, key=lambda one: one.bytes) if sizes else parts[-1]


def measured(readings: Mapping[str, FigureReading]) -> Iterator[tuple[str, FigureReading]]:
    """What is to be written down: of what cannot be measured of a part of a test, the test itself tells why."""
    for figure, reading in readings.items():
        if any(isinstance(one, Reading) for one in each(reading)):
            yield figure, reading
