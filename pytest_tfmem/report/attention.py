"""What is not fine: a table of the limits that are passed, waived or near."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len

from pytest_tfmem.report.judged import MARKUP, STANDINGS
from pytest_tfmem.report.layout import GAP, Line, align, pad, plain, shorten_end, shorten_middle
from pytest_tfmem.report.remarks import remark_lines
from pytest_tfmem.report.sizes import format_pairs, format_share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.report.judged import Judged, Standing

_COLUMNS = ("figure", "limit", "reading", "of limit", "exactness")
_STATUS = 6 + len(GAP)  # cells of the longest standing of a row, "waived"
_ROOM_FOR_IDS = 40  # with less, an id that does not fit gets a line of its own
_PASSED: tuple[Standing, ...] = ("over", "warn", "xfail")
_MOST_ROWS = 10  # of those that do not fail a test


def breach_lines(judged: Sequence[Judged], *, width: int) -> list[Line]:
    """A table of the limits that are passed, the worst first."""
    return _table(_worst_first(judged, _PASSED), width)


def attention_lines(judged: Sequence[Judged], *, width: int, complete: bool) -> list[Line]:
    """A table of the limits that are passed, then waived, then near; and the remarks on them.

    Unless `complete`, only the first few of those waived and near.
    """
    most = len(judged) if complete else _MOST_ROWS
    waived, near = _worst_first(judged, ("waived",)), _worst_first(judged, ("near",))
    rows = [*_worst_first(judged, _PASSED), *waived[:most], *near[:most]]
    return [
        *_table(rows, width),
        *_left_out("waived", waived[most:]),
        *_left_out("near", near[most:]),
        *remark_lines(judged, width=width, complete=complete),
    ]


def _worst_first(judged: Sequence[Judged], standings: Sequence[Standing]) -> list[Judged]:
    found = [limit for limit in judged if limit.standing in standings]
    worst: dict[tuple[str, Standing], float] = {}
    for limit in found:
        key = limit.nodeid, limit.standing
        worst[key] = max(limit.share, worst.get(key, 0.0))

    def rank(limit: Judged) -> tuple[int, float, str, float]:
        # A test's own limits stay together, at the place of its worst.
        return (
            STANDINGS.index(limit.standing),
            -worst[limit.nodeid, limit.standing],
            limit.nodeid,
            -limit.share,
        )

    return sorted(found, key=rank)


def _table(rows: Sequence[Judged], width: int) -> list[Line]:
    if not rows:
        return []
    columns, sides = [_COLUMNS, *_cells(rows)], "<>>><"
    if any(row.device for row in rows):
        gpus = ["on", *(row.device for row in rows)]
        columns, sides = [(*cells, gpu) for cells, gpu in zip(columns, gpus, strict=True)], sides + "<"
    head, *figures = align(columns, sides)
    room = width - _STATUS - len(GAP) - max(map(cell_len, [head, *figures]))
    longest = max(cell_len(plain(row.nodeid)) for row in rows)
    if longest <= room or room >= _ROOM_FOR_IDS:
        return _beside(rows, head, figures, min(max(longest, len("test")), room))
    return _stacked(rows, head, figures, width)


def _cells(rows: Sequence[Judged]) -> list[tuple[str, ...]]:
    readings = [(row, row.reading) for row in rows if row.reading]
    sizes = format_pairs([(row.allowed_bytes, reading.bytes) for row, reading in readings])
    return [
        (row.figure, limit, used, format_share(reading.bytes, row.allowed_bytes), reading.exactness)
        for (row, reading), (limit, used) in zip(readings, sizes, strict=True)
    ]


def _beside(rows: Sequence[Judged], head: str, figures: Sequence[str], room: int) -> list[Line]:
    lines = [Line(f"{'':{_STATUS}}{pad('test', room)}{GAP}{head}", {"bold": True})]
    for row, text in zip(rows, figures, strict=True):
        name = pad(shorten_middle(plain(row.nodeid), room), room)
        lines.append(Line(f"{row.standing:{_STATUS}}{name}{GAP}{text}", MARKUP[row.standing]))
    return lines


def _stacked(rows: Sequence[Judged], head: str, figures: Sequence[str], width: int) -> list[Line]:
    lines = [Line(shorten_end(f"{'':{_STATUS}}{head}", width), {"bold": True})]
    texts = iter(figures)
    for (nodeid, standing), group in groupby(rows, key=lambda row: (row.nodeid, row.standing)):
        name = shorten_middle(plain(nodeid), width - _STATUS)
        lines.append(Line(f"{standing:{_STATUS}}{name}", MARKUP[standing]))
        for _, text in zip(group, texts, strict=False):
            lines.append(Line(shorten_end(f"{'':{_STATUS}}{text}", width), MARKUP[standing]))
    return lines


def _left_out(standing: Standing, rows: Sequence[Judged]) -> Iterator[Line]:
    if rows:
        yield Line(f"{'':{_STATUS}}and {len(rows)} more {standing} (-v shows them)", MARKUP[standing])
