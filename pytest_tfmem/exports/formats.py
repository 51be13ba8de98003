"""The formats by name: what of a run each of them takes, and who writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tfmem.exports import bencher, github_action_benchmark, gitlab, openmetrics, table
from pytest_tfmem.exports.rows import gated, left_out, rows_of, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pytest_tfmem.budgets.model import Tolerance
    from pytest_tfmem.exports.rows import Value
    from pytest_tfmem.history.recorded import RecordedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The text, and what its reader does not learn from it, each a sentence. The text is empty if it tells nothing."""

    text: str
    left_out: Sequence[str]


def exported(
    run: RecordedRun, format_: str, *, figures: Collection[str] = (), tolerance: Callable[[], Tolerance | None]
) -> Export:
    """The run in this format. `figures`: these alone. `tolerance`: that of the budgets file, if the format asks for it.

    By default a tool that shows or alerts on what changed is given what the gate goes by, and a tool that stores is
    given everything; CSV alone has what was not measured, and tests that did not pass.
    """
    rows = rows_of(run, figures)
    if format_ == "csv":
        return Export(text=table.written(run, rows) if rows else "", left_out=left_out(run, rows, rows))
    values = values_of(rows)
    chosen = values if figures or format_ == "openmetrics" else gated(values)
    text = _written(run, format_, chosen, tolerance) if chosen else ""
    return Export(text=text, left_out=left_out(run, rows, chosen))


def _written(run: RecordedRun, format_: str, values: Sequence[Value], tolerance: Callable[[], Tolerance | None]) -> str:
    if format_ == "openmetrics":
        return openmetrics.written(run, values)
    if format_ == "gitlab":
        return gitlab.written(values, tolerance=tolerance())
    return bencher.written(values) if format_ == "bencher" else github_action_benchmark.written(values)
