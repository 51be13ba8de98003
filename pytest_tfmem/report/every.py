"""Every test of a run, file by file and one line each: its peaks and the shape of its memory over time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len

from pytest_tfmem.figures import Reading
from pytest_tfmem.report.closing import worst_standing
from pytest_tfmem.report.judged import MARKUP
from pytest_tfmem.report.layout import GAP, Line, align, pad, plain, shorten_end, shorten_middle, wrap
from pytest_tfmem.report.sizes import format_mib
from pytest_tfmem.report.sparkline import sparkline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.figures import Measurement

_TITLE = "test (sizes in MiB)"
_COLUMNS = {"peak rss": "rss", "growth": "rss_growth", "anon": "rss_anon"}
_INDENT = GAP * 2  # of what stands below a name that is itself indented
_WIDE = 100  # from here on there is room to say in words what became of a test's limits
_SHARE_OF_SPARKLINE = 6  # one part in so many of the width
_WIDEST_SPARKLINE = 30


@dataclass(frozen=True, slots=True)
class _Row:
    test: Measurement
    file: str
    name: str
    cells: tuple[str, ...]


def every_test_lines(measurements: Sequence[Measurement], *, width: int) -> list[Line]:
    """A table of all tests: peak, growth, anonymous memory, if wide what became of the limits, and timeline."""
    rows = _file_by_file([_row(test, width) for test in measurements])
    if not rows:
        return []
    titles = (*_COLUMNS, *["limits"] * (width >= _WIDE), "timeline")
    head, *texts = align([titles, *(row.cells for row in rows)], f"{'>' * len(_COLUMNS):<{len(titles)}}")
    longest = max(cell_len(name) for name in (_TITLE, *(row.name for row in rows)))
    room = min(longest, width - len(GAP) - max(map(cell_len, [head, *texts])))
    lines = [Line(_line(_TITLE, head, room, width), {"bold": True})]
    for file, pairs in groupby(zip(rows, texts, strict=True), key=lambda pair: pair[0].file):
        lines.append(Line(shorten_middle(file, width)))
        for row, text in pairs:
            lines += [Line(_line(row.name, text, room, width), _markup(row.test)), *_death(row.test, width)]
    return lines


def _row(test: Measurement, width: int) -> _Row:
    # The file stands above its tests, once: in 80 columns there is no room for both beside the sizes.
    file, _, name = plain(test.nodeid).partition("::")
    room = min(width // _SHARE_OF_SPARKLINE, _WIDEST_SPARKLINE)
    shape = sparkline(test.timeline.rss_tree_bytes, room) if test.timeline else ""
    standing = [worst_standing([test]) or "-"] if width >= _WIDE else []
    return _Row(test, file, f"{GAP}{name or file}", (*_sizes(test), *standing, shape))


def _file_by_file(rows: Sequence[_Row]) -> list[_Row]:
    files = {file: place for place, file in enumerate(dict.fromkeys(row.file for row in rows))}
    return sorted(rows, key=lambda row: files[row.file])


def _sizes(test: Measurement) -> list[str]:
    readings = [test.readings.get(figure) for figure in _COLUMNS.values()]
    return [format_mib(reading.bytes) if isinstance(reading, Reading) else "-" for reading in readings]


def _line(name: str, text: str, room: int, width: int) -> str:
    return shorten_end(f"{pad(shorten_middle(name, room), room)}{GAP}{text}", width)


def _markup(test: Measurement) -> dict[str, bool]:
    standing = worst_standing([test])
    return {} if standing in {None, "ok"} else MARKUP[standing]


def _death(test: Measurement, width: int) -> Iterator[Line]:
    if test.died:
        texts = wrap(f"died: {plain(test.died)}", width - cell_len(_INDENT))
        yield from (Line(f"{_INDENT}{text}", {"red": True}) for text in texts)
