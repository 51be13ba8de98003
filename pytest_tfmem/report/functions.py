"""The functions that a test had measured, for people: of each figure the median of its repeats, and their ends."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

from pytest_tfmem.figures import FIGURES, greatest
from pytest_tfmem.report.layout import plain
from pytest_tfmem.report.sections import SHORT_NAMES
from pytest_tfmem.units import count_of, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.figures import MeasuredFunction


class Spread(NamedTuple):
    """A size that was read several times, in bytes."""

    least: int
    median: int
    most: int

    @classmethod
    def of(cls, sizes: Sequence[int]) -> Spread:
        return cls(min(sizes), round(statistics.median(sizes)), max(sizes))


def spreads(function: MeasuredFunction) -> Iterator[tuple[str, Spread]]:
    """Of each figure that was read each time; of a figure per GPU the greatest."""
    for figure in FIGURES:
        read = [greatest(readings.get(figure)) for readings in function.readings]
        sizes = [one.bytes for one in read if one is not None]
        if sizes and len(sizes) == len(read):
            yield figure, Spread.of(sizes)


def function_name(function: MeasuredFunction) -> str:
    """`a = test_io.load (jit=True)`: its side, its name, and what was asked for it."""
    side = f"{function.side} = " if function.side else ""
    asked = ", ".join(f"{name}={value}" for name, value in function.runtime.items())
    return plain(f"{side}{function.function}{f' ({asked})' if asked else ''}")


def function_words(function: MeasuredFunction) -> str:
    """`40.1 MiB growth (40.0 to 40.2), 93.9 MiB rss, 0.01 s, median of 3`, or why there are fewer."""
    had = dict(spreads(function))
    sizes = [f"{_size(had[figure])} {name}" for figure, name in SHORT_NAMES.items() if figure in had]
    seconds = [f"{statistics.median(function.seconds):.3g} s"] if function.seconds else []
    count = len(function.seconds)
    times = ["median of " + str(count)] if count > 1 else ["once"] if count else []
    failed = [f"then {plain(function.failed)}" if count else plain(function.failed)] if function.failed else []
    return ", ".join([*sizes, *seconds, *times, *failed]) or f"0 of {count_of(function.repeats, 'time')}"


def _size(spread: Spread) -> str:
    least, median, most = map(format_size, spread)
    return median if least == most else f"{median} ({least} to {most})"
