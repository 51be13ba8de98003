"""The section "memory budgets" of pytest's summary: values in, lines out."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from pytest_tfmem.report.attention import attention_lines, breach_lines
from pytest_tfmem.report.closing import closing_line, worst_standing
from pytest_tfmem.report.devices import out_of_memory_lines, waiting_lines
from pytest_tfmem.report.every import every_test_lines
from pytest_tfmem.report.judged import MARKUP, judge_each_gpu
from pytest_tfmem.report.layout import Line, plain, wrap
from pytest_tfmem.report.regressions import CHANGE_MARKUP, HeldAgainst, counted, regression_lines, worst_change
from pytest_tfmem.report.sparkline import sparkline
from pytest_tfmem.report.spawned import spawned_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.gate.changes import Standing as ChangeStanding
    from pytest_tfmem.report.judged import Standing

__all__ = ["TITLE", "Line", "sparkline", "summary_lines"]

TITLE = "memory budgets"
_AFTER_A_COUNT = r"(?<=[,;]) "
_NARROWEST = 20  # less than this holds no table of anything


def summary_lines(
    measurements: Sequence[Measurement],
    *,
    width: int,
    verbosity: int,
    notices: Sequence[str] = (),
    held: HeldAgainst | None = None,
) -> list[Line]:
    """The section's lines, none wider than `width` cells (or 20, if that is more); the closing line is always there.

    With `verbosity` 0: what GPUs refused, what else is not fine, what was spawned in place of forked, the notices, and
    what has changed since earlier runs. Above: before that, every test. Below: only what is over or has regressed,
    and the notices.
    `held`: what the run was held against, if it was.
    """
    width = max(width, _NARROWEST)
    judged = judge_each_gpu(measurements)
    regressions = regression_lines(held, width=width, verbosity=verbosity) if held else []
    closing = list(_closing_lines(measurements, held, width))
    if verbosity < 0:
        return [*breach_lines(judged, width=width), *regressions, *_notice_lines(notices, width), *closing]
    blocks = [
        every_test_lines(measurements, width=width) if verbosity else [],
        out_of_memory_lines(measurements, width=width, complete=verbosity > 0),
        [*attention_lines(judged, width=width, complete=verbosity > 0), *_notes(measurements, notices, width)],
        regressions,
    ]
    return [*chain.from_iterable([*block, Line("")] for block in blocks if block), *closing]


def _notes(measurements: Sequence[Measurement], notices: Sequence[str], width: int) -> Iterator[Line]:
    yield from waiting_lines(measurements, width=width)
    yield from spawned_lines(measurements, width=width)
    yield from _notice_lines(notices, width)


def _notice_lines(notices: Sequence[str], width: int) -> Iterator[Line]:
    for notice in notices:
        yield from (Line(text, {"yellow": True}) for text in wrap(plain(notice), width))


def _closing_lines(measurements: Sequence[Measurement], held: HeldAgainst | None, width: int) -> Iterator[Line]:
    changed = counted(held) if held else ""
    text = f"{closing_line(measurements)}; {changed}" if changed else closing_line(measurements)
    markup = _worse(worst_standing(measurements), worst_change(held) if held else None)
    for line in wrap(text, width, breaks=_AFTER_A_COUNT):
        yield Line(line, markup)


def _worse(standing: Standing | None, change: ChangeStanding | None) -> dict[str, bool]:
    """The colour of the limits, or of the changes if theirs warns more."""
    of_limits = MARKUP[standing] if standing else {}
    of_changes = CHANGE_MARKUP[change] if change else {}
    return max(of_limits, of_changes, key=lambda markup: [markup.get("red", False), markup.get("yellow", False)])
