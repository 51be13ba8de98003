"""What is not fine: a table of the limits that are passed, waived or near."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.report.judged import MARKUP, STANDINGS
from pytest_tfmem.report.layout import GAP, Line
from pytest_tfmem.report.remarks import remark_lines
from pytest_tfmem.report.rows import Row, table_of_tests
from pytest_tfmem.report.sizes import format_pairs, format_share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.report.judged import Judged, Standing

_COLUMNS: tuple[str, ...] = ("figure", "limit", "reading", "of limit", "exactness")
_STANDING = 6  # cells of the longest standing of a row, "waived"
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


def _table(judged: Sequence[Judged], width: int) -> list[Line]:
    cells, columns, sides = _cells(judged), _COLUMNS, "<>>><"
    if any(limit.device for limit in judged):
        cells = [(*row, limit.device) for row, limit in zip(cells, judged, strict=True)]
        columns, sides = (*_COLUMNS, "on"), sides + "<"
    rows = [
        Row(standing=limit.standing, nodeid=limit.nodeid, cells=row, markup=MARKUP[limit.standing])
        for limit, row in zip(judged, cells, strict=True)
    ]
    return table_of_tests(rows, columns=columns, sides=sides, width=width, standing=_STANDING)


def _cells(rows: Sequence[Judged]) -> list[tuple[str, ...]]:
    readings = [(row, row.reading) for row in rows if row.reading]
    sizes = format_pairs([(row.allowed_bytes, reading.bytes) for row, reading in readings])
    return [
        (row.figure, limit, used, format_share(reading.bytes, row.allowed_bytes), reading.exactness)
        for (row, reading), (limit, used) in zip(readings, sizes, strict=True)
    ]


def _left_out(standing: Standing, rows: Sequence[Judged]) -> Iterator[Line]:
    if rows:
        yield Line(f"{'':{_STANDING}}{GAP}and {len(rows)} more {standing} (-v shows them)", MARKUP[standing])
