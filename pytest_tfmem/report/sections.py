"""The sections of a test for people: which of them had the peak, and what each held at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.figures import HOST_FIGURES, greatest
from pytest_tfmem.report.layout import plain, shorten_end
from pytest_tfmem.units import count_of, format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_tfmem.figures import FigureReading, Reading, Section

# What a line has room for, and what it is called there.
SHORT_NAMES = {"rss_growth": "growth", "rss": "rss", "gpu": "gpu", "cpu_tensors": "cpu_tensors"}
_LONGEST_NAME = 60
_GROWTH = "rss_growth"
_OPEN = "not measured: open when the process died"
_OPEN_ONCE_MORE = "open once more when the process died"
_ALMOST = 0.99
_NEARLY = 0.9


def section_name(section: Section) -> str:
    """`load > decode`: its name after those around it."""
    return plain(" > ".join(shorten_end(name, _LONGEST_NAME) for name in (*section.path, section.name)))


def peak_notes(
    sections: Sequence[Section], readings: Mapping[str, FigureReading], figures: Iterable[str]
) -> Iterator[str]:
    """Of each of these figures the section that had the test's peak, or that none had it."""
    for figure in figures:
        # Growth is counted from each section's own beginning: the peak itself tells where it was.
        by = "rss" if figure == _GROWTH else figure
        found = [(section, one) for section in sections if (one := greatest(section.readings.get(by)))]
        peak = greatest(readings.get(by))
        if not found or peak is None:
            continue
        # What a section leaves behind is held at the peak, too, if that comes a little later.
        size = greatest(readings.get(_GROWTH if figure in HOST_FIGURES else figure)) or peak
        reached = [section for section, one in found if peak.bytes - one.bytes <= (1 - _ALMOST) * size.bytes]
        if reached:
            cause = _cause(reached, figure)
            yield f"{figure}: the peak was in the section {section_name(cause)}{_amount(cause, figure)}"
        else:
            nearest, most = max(found, key=lambda pair: pair[1].bytes)
            most_in = f"the most in one was {by} {format_size(most.bytes)}, in {section_name(nearest)}"
            yield f"{figure}: the peak was in none of its sections; {most_in}"


def section_words(section: Section) -> str:
    """`255.8 MiB growth, 300.1 MiB rss, 0.24 s, 3 times`: what it held at most, and for how long it ran."""
    sizes = [f"{format_size(one.bytes)} {name}" for name, one in section_peaks(section)]
    took = [f"{section.seconds:.2f} s"] if section.entered else []
    times = [count_of(section.entered, "time")] if section.entered > 1 else []
    died = [_OPEN_ONCE_MORE if section.entered else _OPEN] if section.open_at_death else []
    return ", ".join([*sizes, *took, *times, *died])


def section_peaks(section: Section) -> Iterator[tuple[str, Reading]]:
    """Growth and peak of the host's memory, and what allocators of devices held, each by a short name."""
    for figure, name in SHORT_NAMES.items():
        most = greatest(section.readings.get(figure))
        if most is not None:
            yield name, most


def in_order(sections: Sequence[Section]) -> list[Section]:
    """Each section before those that lie in it: they are recorded as they were left, the inner ones first."""
    first = {(*one.path, one.name): place for place, one in reversed([*enumerate(sections)])}
    for one in sections:
        place = (*one.path, one.name)
        for depth in range(1, len(place)):
            around = place[:depth]
            first[around] = min(first.get(around, first[place]), first[place])
    return sorted(sections, key=lambda one: _places(one, first))


def _places(section: Section, first: Mapping[tuple[str, ...], int]) -> list[int]:
    whole = (*section.path, section.name)
    return [first[whole[:depth]] for depth in range(1, len(whole) + 1)]


def _cause(reached: Sequence[Section], figure: str) -> Section:
    """Of the sections that were there at the peak the innermost of those that added to it."""
    added = {id(one): _bytes(one, _GROWTH if figure in HOST_FIGURES else figure) for one in reached}
    most = max(added.values())
    causes = [one for one in reached if added[id(one)] >= _NEARLY * most]
    return max(causes, key=lambda one: (len(one.path), added[id(one)]))


def _bytes(section: Section, figure: str) -> int:
    most = greatest(section.readings.get(figure))
    return most.bytes if most else 0


def _amount(section: Section, figure: str) -> str:
    most = greatest(section.readings.get(figure))
    if most is None:
        return ""
    size = format_size(most.bytes)
    return f", which grew by {size}" if figure == _GROWTH else f" ({size})"
