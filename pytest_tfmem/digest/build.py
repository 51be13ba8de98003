"""A digest, put together: of a run held against earlier ones, of a gate's result, or of both."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pytest_tfmem.comparison import held_against
from pytest_tfmem.digest.findings import findings_of, findings_of_gate, worst_weight
from pytest_tfmem.digest.model import Digest, Told
from pytest_tfmem.digest.trends import joined, latest, past_of, trends_of
from pytest_tfmem.digest.verdict import verdict_of_gate, verdict_of_run
from pytest_tfmem.history.baseline import MOST_RUNS, Earlier
from pytest_tfmem.history.recorded import Header
from pytest_tfmem.history.series import history_of
from pytest_tfmem.report.judged import judge_each_gpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_tfmem.budgets.model import Tolerance
    from pytest_tfmem.digest.model import Finding, Trend
    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.gate.changes import Change
    from pytest_tfmem.gate.result import GateResult, Weight
    from pytest_tfmem.history.recorded import RecordedRun
    from pytest_tfmem.report.judged import Judged

_One = TypeVar("_One")


def digest_of_gate(result: GateResult, notices: Sequence[str] = ()) -> Digest:
    """What the gate found, where there is no run to show with it."""
    found = findings_of_gate(result, {})
    weight, sentence = verdict_of_gate(result, found)
    return Digest(
        weight=weight, sentence=sentence, findings=found, held_against=result.runs, gate=result, notices=notices
    )


def digest_of(
    run: RecordedRun,
    before: Earlier,
    *,
    directory: Path,
    tolerance: Tolerance | None = None,
    gate: GateResult | None = None,
    notices: Sequence[str] = (),
) -> Digest:
    """The run, held against earlier ones: the latest of `before` decide as they do in a session, all are its trend.

    Where there is a gate's result, its verdicts stand in place of what history says. `directory`: of the repository
    that knows the commits. `tolerance`: that of the budgets file, if it has one.
    """
    # The record of a test that was run again has its last attempt alone; the header is the session's.
    header = Header(run=run.run, environment=run.environment)
    recent = msgspec.structs.replace(before, history=latest(before.history, MOST_RUNS))
    changes = list(held_against(run.tests, header, recent, tolerance=tolerance).changes) if before.runs else []
    judged = judge_each_gpu(run.tests)
    by_id = {test.nodeid: test for test in run.tests}
    found = findings_of_gate(gate, by_id) if gate else findings_of(run.tests, judged, changes)
    runs = min(before.runs, MOST_RUNS)
    compared = runs if any(one.before_bytes is not None for one in changes) else 0
    weight, sentence = verdict_of_gate(gate, found) if gate else _verdict(run, found, held_against=compared)
    whole = joined(before.history, history_of([run]))
    past = past_of(whole)
    trends = trends_of(whole, past, directory, tolerance=tolerance)
    return Digest(
        weight=weight,
        sentence=sentence,
        run=run.run,
        environment=run.environment,
        tests=_told(run.tests, judged, changes, found, trends),
        findings=found,
        past=past,
        held_against=runs,
        gate=gate,
        notices=[*notices, *before.unread],
    )


def _verdict(run: RecordedRun, found: Sequence[Finding], *, held_against: int) -> tuple[Weight, str]:
    return verdict_of_run(run.tests, found, complete=run.footer is not None, held_against=held_against)


def _told(
    tests: Iterable[Measurement],
    judged: Iterable[Judged],
    changes: Iterable[Change],
    found: Iterable[Finding],
    trends: Mapping[str, Sequence[Trend]],
) -> list[Told]:
    of_limits = _grouped(judged, lambda one: one.nodeid)
    of_changes = _grouped(changes, lambda one: one.key.nodeid)
    of_findings = _grouped(found, lambda one: one.nodeid)
    return [
        Told(
            test=test,
            weight=worst_weight(of_findings.get(test.nodeid, [])),
            judged=of_limits.get(test.nodeid, []),
            changes=of_changes.get(test.nodeid, []),
            trends=trends.get(test.nodeid, []),
        )
        for test in tests
    ]


def _grouped(ones: Iterable[_One], nodeid: Callable[[_One], str]) -> dict[str, list[_One]]:
    found: dict[str, list[_One]] = defaultdict(list)
    for one in ones:
        found[nodeid(one)].append(one)
    return found
