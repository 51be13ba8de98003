"""The figures that a run has, each with the unit in which all its sizes are shown down a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.figures import FIGURES
from pytest_tfmem.page.island import FigureColumn
from pytest_tfmem.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_tfmem.page.island import TestData

ALL = ""  # the column that shows of each test the figure that is nearest to its limit
_UNITS = (("GiB", 2), ("MiB", 1), ("KiB", 0))
_MOST_OF_A_UNIT = 100_000  # more are digits that nobody reads


def columns_of(tests: Sequence[TestData]) -> list[FigureColumn]:
    """A column for each figure that any test has a reading or a limit of, in the usual order, behind that of all."""
    sizes: dict[str, list[int]] = {}
    for test in tests:
        for one in test.figures:
            found = [size for size in (one.bytes, one.limit_bytes) if size is not None]
            sizes.setdefault(one.figure, []).extend(found)
    nearest = [size for test in tests for size in _nearest_sizes(test)]
    known = [figure for figure in FIGURES if figure in sizes]
    others = sorted(figure for figure in sizes if figure not in FIGURES)
    return [_column(ALL, nearest), *(_column(figure, sizes[figure]) for figure in [*known, *others])]


def _nearest_sizes(test: TestData) -> Iterator[int]:
    if test.nearest is not None:
        one = test.figures[test.nearest]
        yield from (size for size in (one.bytes, one.limit_bytes) if size is not None)


def _column(figure: str, sizes: Iterable[int]) -> FigureColumn:
    unit, digits = _unit([abs(size) for size in sizes if size])
    factor = parse_size(f"1 {unit}")
    return FigureColumn(name=figure, what=FIGURES.get(figure, ""), unit=unit, unit_bytes=factor, digits=digits)


def _unit(sizes: Sequence[int]) -> tuple[str, int]:
    """The largest unit that most of the sizes are at least one of, and that is no strain for the largest."""
    usual = sorted(sizes)[len(sizes) // 10] if sizes else 0
    fits = [one for one in _UNITS if max(sizes, default=0) < _MOST_OF_A_UNIT * parse_size(f"1 {one[0]}")]
    return next((one for one in fits if usual >= parse_size(f"1 {one[0]}")), fits[-1] if fits else _UNITS[0])
