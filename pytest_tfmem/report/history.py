"""Earlier runs, and the readings of series over them, in lines."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from pytest_tfmem.figures import GPU_FIGURES
from pytest_tfmem.history.commits import shortened
from pytest_tfmem.history.conditions import differences
from pytest_tfmem.report.layout import Line, align, plain, shorten_end, shorten_middle, wrap
from pytest_tfmem.report.sizes import format_growths, format_pairs, format_percent

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.history.listing import ListedHistory, ListedRuns, ListedSeries
    from pytest_tfmem.history.recorded import RunInfo
    from pytest_tfmem.history.series import Point

_RUN_COLUMNS = ("when (UTC)", "commit", "tests", "", "branch")
_POINT_COLUMNS = ("when (UTC)", "commit", "bytes", "change", "", "")
_MOST_DIFFERENCES = 3


def run_lines(listed: ListedRuns, *, width: int) -> list[Line]:
    """A table of runs, the oldest first."""
    rows = [_RUN_COLUMNS, *map(_run_row, listed.runs)]
    head, *lines = [shorten_end(line, width) for line in align(rows, "<<><<")]
    cut = [not info.complete for info in listed.runs]
    return [
        Line(head, {"bold": True}),
        *(Line(line, {"yellow": is_cut}) for line, is_cut in zip(lines, cut, strict=True)),
    ]


def _run_row(info: RunInfo) -> tuple[str, ...]:
    state = "complete" if info.complete else "cut off"
    return _when(info.started_at), _commit(info.commit, info.dirty), str(info.tests), state, plain(info.branch or "-")


def history_lines(listed: ListedHistory, *, width: int) -> list[Line]:
    """Every series with its readings, the oldest first; where its conditions changed, how."""
    lines: list[Line] = []
    for nodeid, of_test in groupby(listed.series, key=lambda one: one.nodeid):
        lines.append(Line(shorten_middle(plain(nodeid), width), {"bold": True}))
        for _, of_figure in groupby(of_test, key=lambda one: (one.figure, one.gpu)):
            lines += _figure_lines(list(of_figure), listed, width)
    return lines


def _figure_lines(under: Sequence[ListedSeries], listed: ListedHistory, width: int) -> Iterator[Line]:
    """The series of one figure: one for each of the conditions that it was read under."""
    first = under[0]
    on_gpu = f" on GPU {first.gpu}" if first.figure in GPU_FIGURES else ""
    yield Line(f"  {plain(first.figure)}{on_gpu}")
    for before, series in pairwise([None, *under]):
        if before and series:
            yield from _change_lines(before, series, listed, width)
        if series:
            yield from _point_lines(series.points, width)


def _change_lines(before: ListedSeries, now: ListedSeries, listed: ListedHistory, width: int) -> Iterator[Line]:
    found = differences(listed.conditions[before.conditions], listed.conditions[now.conditions])
    more = [f"and {len(found) - _MOST_DIFFERENCES} more"] if len(found) > _MOST_DIFFERENCES else []
    said = ", ".join([*map(plain, found[:_MOST_DIFFERENCES]), *more])
    for line in wrap(f"under other conditions: {said}", width - 4):
        yield Line(f"    {line}", {"yellow": True})


def _point_lines(points: Sequence[Point], width: int) -> Iterator[Line]:
    # The first of a series has none before it, and so no change.
    pairs = [(before.bytes, now.bytes) for before, now in pairwise([points[0], *points])]
    changes = ["", *format_growths(pairs[1:])] if len(pairs) > 1 else [""]
    rows = [
        (
            _when(point.started_at),
            _commit(point.commit, point.dirty),
            size,
            "" if before == now else change,
            "" if before == now else format_percent(before, now),
            point.exactness,
        )
        for point, (before, now), (_, size), change in zip(points, pairs, format_pairs(pairs), changes, strict=True)
    ]
    head, *lines = align([_POINT_COLUMNS, *rows], "<<>>><")
    for line in [head, *lines]:
        yield Line(shorten_end(f"    {line}", width))


def _when(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _commit(commit: str | None, dirty: bool | None) -> str:
    """A commit, with a plus where files differed from it."""
    return f"{plain(shortened(commit))}{'+' if dirty else ''}" if commit else "-"
