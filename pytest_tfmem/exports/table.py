"""CSV as RFC 4180 has it: a row for each reading, and for each that there is none of, with the reason."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from pytest_tfmem.errors import one_line
from pytest_tfmem.exports.names import named
from pytest_tfmem.figures import NotMeasured
from pytest_tfmem.history.conditions import conditions, fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.exports.rows import Row
    from pytest_tfmem.history.recorded import RecordedRun

COLUMNS = (
    "run",
    "started_at",
    "commit",
    "branch",
    "conditions",
    "test",
    "outcome",
    "start_method",
    "allocator",
    "figure",
    "gpu",
    "device",
    "bytes",
    "not_measured",
    "exactness",
    "error_bytes",
    "source",
    "limit_bytes",
    "limit_level",
    "limit_where",
    "verdict",
)
# What a spreadsheet takes for the beginning of a formula, the wide ones too. The last is ours.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠", "'")  # noqa: RUF001  they are meant
_Known = str | int | None
_MOST = 10_000  # characters; a cell of a spreadsheet holds 32,767


def written(run: RecordedRun, rows: Sequence[Row]) -> str:
    """The rows below their head. An empty cell is what is not known, never zero.

    Text that a spreadsheet could take for a formula has a `'` before it, and so has text that begins with one.
    """
    out = io.StringIO(newline="")
    sheet = csv.writer(out)
    sheet.writerow(COLUMNS)
    for row in rows:
        known = {**_of_run(run), **_of_test(run, row), **_of_reading(row), **_of_limit(row)}
        sheet.writerow([_cell(known.get(column)) for column in COLUMNS])
    return out.getvalue()


def _cell(known: _Known) -> str | int:
    if isinstance(known, int):
        return known
    shown = one_line(known, most=_MOST) if known else ""
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _of_run(run: RecordedRun) -> dict[str, _Known]:
    one = run.run
    return {"run": one.id, "started_at": one.started_at.isoformat(), "commit": one.commit, "branch": one.branch}


def _of_test(run: RecordedRun, row: Row) -> dict[str, _Known]:
    test = row.test
    return {
        "conditions": fingerprint(conditions(run.environment, test)),
        "test": named(test.nodeid),
        "outcome": test.outcome,
        "start_method": test.start_method,
        "allocator": test.allocator,
        "figure": row.figure,
        "gpu": row.gpu,
    }


def _of_reading(row: Row) -> dict[str, _Known]:
    one = row.known
    if isinstance(one, NotMeasured):
        return {"device": one.device, "not_measured": one.not_measured or "no reason given"}
    return {
        "device": one.device,
        "bytes": one.bytes,
        "exactness": one.exactness,
        "error_bytes": one.error_bytes,
        "source": one.source,
    }


def _of_limit(row: Row) -> dict[str, _Known]:
    limit, verdict = row.limit, row.test.verdicts.get(row.figure)
    if limit is None:
        return {}
    return {"limit_bytes": limit.bytes, "limit_level": limit.level, "limit_where": limit.where, "verdict": verdict}
