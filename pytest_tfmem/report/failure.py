"""The text with which a test fails that is over its budget."""

from __future__ import annotations

from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING

from rich.cells import cell_len

from pytest_tfmem.errors import one_line
from pytest_tfmem.figures import PHASES, NotMeasured, Reading, each, greatest
from pytest_tfmem.report.layout import GAP, align, pad, plain, wrap
from pytest_tfmem.report.sizes import format_apart, format_excess
from pytest_tfmem.report.waivers import ceiling, waiver_text
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_tfmem.figures import FigureReading, Limit, Phase, Verdict

_WIDTH = 79  # of a terminal of 80 columns
_NARROWEST = 27  # of the column that is wrapped: a figure's name, its sizes and its verdict are never cut
_PHASE_COLUMNS = {"peak rss": "rss_bytes", "growth": "rss_growth_bytes", "anon": "rss_anon_bytes"}


def breach_text(
    readings: Mapping[str, FigureReading],
    limits: Mapping[str, Limit],
    verdicts: Mapping[str, Verdict],
    phases: Mapping[Phase, dict[str, int | float]],
    *,
    over: Sequence[str],
    notes: Sequence[str] = (),
) -> str:
    """Why a test fails: what is over its limit, in one line; then every figure, each phase, and who set the limits.

    `over` names the figures that fail the test; each has a limit. `notes` are those on the test's budget.
    """
    blocks = [
        [breach_sentence(readings, limits, over=over)],
        _figure_lines(readings, limits, verdicts),
        _phase_lines(phases),
        [*_origin_lines(limits), *chain.from_iterable(map(_wrapped, map(plain, notes)))],
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def breach_sentence(readings: Mapping[str, FigureReading], limits: Mapping[str, Limit], *, over: Sequence[str]) -> str:
    """`memory budget exceeded: rss 1.62 GiB > 1.50 GiB (+8.0 %)`, for each figure in `over`.

    A figure that fails the test because it was not measured is in a clause of its own.
    """
    read = {figure: greatest(readings.get(figure)) or readings.get(figure) for figure in over}
    exceeded = [_breach(name, used.bytes, limits[name]) for name, used in read.items() if isinstance(used, Reading)]
    missing = [f"{name} not measured ({_reason(why)})" for name, why in read.items() if not isinstance(why, Reading)]
    clauses = (("memory budget exceeded: ", exceeded), ("memory budget not judged: ", missing))
    return "; ".join(start + ", ".join(parts) for start, parts in clauses if parts)


def _breach(figure: str, reading: int, limit: Limit) -> str:
    allowed = ceiling(limit)
    used, most = format_apart(reading, allowed)
    excess = f" ({format_excess(reading, allowed)})" if allowed else ""
    return f"{figure} {used} > {most}{excess}"


def _figure_lines(
    readings: Mapping[str, FigureReading], limits: Mapping[str, Limit], verdicts: Mapping[str, Verdict]
) -> list[str]:
    figures = [figure for figure in {**readings, **limits} if figure in limits or _is_read(readings[figure])]
    rows = [_figure_row(figure, readings.get(figure), limits.get(figure), verdicts.get(figure)) for figure in figures]
    table = _with_last_column_wrapped([("figure", "reading", "limit", "verdict", "how good"), *rows], "<>><")
    return [*table, *_unread_lines({figure: readings[figure] for figure in readings if figure not in figures})]


def _is_read(reading: FigureReading) -> bool:
    return greatest(reading) is not None


def _unread_lines(readings: Mapping[str, FigureReading]) -> Iterator[str]:
    """Figures that were not measured and have no limit, together by reason: they matter to nobody here."""
    by_reason: dict[str, list[str]] = {}
    for figure, reading in readings.items():
        by_reason.setdefault(_reason(reading), []).append(figure)
    for reason, figures in by_reason.items():
        yield from _wrapped(f"not measured: {', '.join(figures)} ({reason})")


def _figure_row(
    figure: str, reading: FigureReading | None, limit: Limit | None, verdict: Verdict | None
) -> tuple[str, ...]:
    allowed = format_size(limit.bytes) if limit else "-"
    word = _verdict_word(limit, verdict)
    most = greatest(reading)
    if most is None:
        return figure, "-", allowed, word, f"not measured: {_reason(reading)}"
    used = format_size(most.bytes)
    if limit:
        used, allowed = format_apart(most.bytes, limit.bytes)
    return figure, used, allowed, word, how_good(most)


def how_good(reading: Reading) -> str:
    """How far off the reading may be, the counter that gave it and, of a figure per GPU, which GPU it is of."""
    device = f" on {plain(reading.device)}" if reading.device else ""
    return f"{reading.exactness}{_largest_error(reading)}; {plain(reading.source)}{device}"


def _largest_error(reading: Reading) -> str:
    if reading.exactness == "exact":
        return ""
    if reading.error_bytes is None:
        return ", error unknown"
    side = "too high" if reading.exactness == "upper-bound" else "too low"
    return f", {side} by at most {format_size(reading.error_bytes)}"


def _reason(reading: FigureReading | None) -> str:
    unread = [one for one in each(reading) if isinstance(one, NotMeasured)]
    return one_line(unread[0].not_measured) if unread else "no reading"


def _verdict_word(limit: Limit | None, verdict: Verdict | None) -> str:
    if limit is None:
        return "-"
    word = (verdict or "not-measured").replace("-", " ")
    return f"{word} (warns)" if word == "over" and limit.level == "warn" else word


def _phase_lines(phases: Mapping[Phase, dict[str, int | float]]) -> list[str]:
    rows = [(phase, *_phase_cells(phases[phase])) for phase in PHASES if phase in phases]
    return _indented([("phase", "seconds", *_PHASE_COLUMNS), *rows], "<>>>>") if rows else []


def _phase_cells(phase: Mapping[str, int | float]) -> list[str]:
    seconds = f"{phase['seconds']:.2f}" if "seconds" in phase else "-"
    return [seconds, *(_size_of(phase.get(key)) for key in _PHASE_COLUMNS.values())]


def _size_of(size: float | None) -> str:
    return "-" if size is None or not isfinite(size) else format_size(round(size))


def _origin_lines(limits: Mapping[str, Limit]) -> Iterator[str]:
    places: dict[tuple[str, str], list[str]] = {}
    for figure, limit in limits.items():
        places.setdefault((limit.where, limit.level), []).append(figure)
    for (where, level), figures in places.items():
        plural = "" if len(figures) == 1 else "s"
        warns = " (warns)" if level == "warn" else ""
        yield from _wrapped(f"{', '.join(figures)}: limit{plural} set in {one_line(where)}{warns}")
    for figure, limit in limits.items():
        if limit.waiver:
            yield from _wrapped(f"{figure}: {waiver_text(limit.waiver)}")


def _wrapped(text: str) -> Iterator[str]:
    yield from (f"{GAP}{line}" for line in wrap(text, _WIDTH - len(GAP)))


def _with_last_column_wrapped(rows: Sequence[Sequence[str]], sides: str) -> Iterator[str]:
    heads = _indented([row[:-1] for row in rows], sides)
    start = max(map(cell_len, heads)) + len(GAP)
    for head, row in zip(heads, rows, strict=True):
        first, *rest = wrap(row[-1], max(_WIDTH - start, _NARROWEST), indent="")
        yield f"{pad(head, start)}{first}"
        yield from (" " * start + line for line in rest)


def _indented(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    return [f"{GAP}{line}" for line in align(rows, sides)]
