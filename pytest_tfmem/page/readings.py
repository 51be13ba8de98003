"""The figures of a test: each with its reading, its limit, what it was before, and its trend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.figures import NotMeasured, Reading, each
from pytest_tfmem.gate.median import median
from pytest_tfmem.gate.tolerance import is_gated
from pytest_tfmem.history.commits import shortened
from pytest_tfmem.page.island import FigureData, StepData
from pytest_tfmem.page.packed import packed
from pytest_tfmem.page.shown import moment, shown
from pytest_tfmem.report.failure import how_good
from pytest_tfmem.report.gpus import names_in, told_apart, why_not
from pytest_tfmem.report.sizes import format_growths, format_percent, format_share
from pytest_tfmem.report.steps import committed
from pytest_tfmem.report.waivers import waiver_text
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_tfmem.digest.model import Told, Trend
    from pytest_tfmem.figures import AnyReading
    from pytest_tfmem.gate.changes import Change
    from pytest_tfmem.gate.result import Judged as GateJudged
    from pytest_tfmem.gate.stepped import Step
    from pytest_tfmem.report.judged import Judged


def figures_of(told: Told, gate: Sequence[GateJudged], past: Mapping[str, int]) -> list[FigureData]:
    """A test's figures in the order of its readings, then those that have a limit and no reading.

    `gate`: the gate's verdicts on the test. `past`: the places of the runs that the page knows, by their ids.
    """
    names = {**told.test.readings, **told.test.limits}
    return [one for figure in names for one in _of_figure(figure, told, gate, past)]


def _of_figure(figure: str, told: Told, gate: Sequence[GateJudged], past: Mapping[str, int]) -> Iterator[FigureData]:
    readings = told.test.readings.get(figure)
    ones: list[AnyReading] = list(told_apart(readings)) or [NotMeasured(why_not(readings, otherwise="no reading"))]
    places = {id(one): place for place, one in enumerate(each(readings))}
    gpus = names_in(told.test.readings)
    for one in ones:
        gpu = gpus.get(one.device or "", "") if len(ones) > 1 else ""
        judged = next((had for had in told.judged if had.figure == figure and had.device in {gpu, ""}), None)
        place = places.get(id(one), 0)
        yield _figure(
            figure,
            one,
            gpu=gpu,
            judged=judged,
            change=next((had for had in told.changes if (had.key.figure, had.key.gpu) == (figure, place)), None),
            trend=next((had for had in told.trends if (had.figure, had.gpu) == (figure, place)), None),
            gate=next((had for had in gate if (had.figure, had.gpu) == (figure, place)), None),
            past=past,
        )


def _figure(
    figure: str,
    one: AnyReading,
    *,
    gpu: str,
    judged: Judged | None,
    change: Change | None,
    trend: Trend | None,
    gate: GateJudged | None,
    past: Mapping[str, int],
) -> FigureData:
    read = isinstance(one, Reading)
    before = change.before_bytes if change else None
    now = one.bytes if isinstance(one, Reading) else None
    both = [(before, now)] if before is not None and now is not None else []
    return FigureData(
        figure=shown(figure),
        gpu=gpu,
        bytes=now,
        exactness=one.exactness if isinstance(one, Reading) else None,
        how=how_good(one) if isinstance(one, Reading) else "",
        reason="" if read else shown((judged.reason if judged else "") or why_not(one, otherwise="no reading")),
        limit_bytes=judged.allowed_bytes if judged else None,
        share=format_share(now, judged.allowed_bytes) if judged and now is not None else "",
        standing=judged.standing if judged else "",
        limit_notes=[*_on_limit(judged)] if judged else [],
        before_bytes=before,
        change=format_percent(*both[0]) if both else "",
        changed=change.standing if change else "",
        change_notes=[*_on_change(change)] if change else [],
        gate=_said_by(gate) if gate else "",
        trend=packed(trend.bytes) if trend else [],
        runs=_places(trend, len(past)) if trend else [],
        steps=[_step(step, trend, past) for step in trend.steps] if trend else [],
        steps_sought=trend is not None and is_gated(figure, trend.exactness, limited=False),
    )


def _on_limit(judged: Judged) -> Iterator[str]:
    """Where the limit stands, what it does, and what waives it."""
    yield shown(judged.limit.where) + (" (warns)" if judged.limit.level == "warn" else "")
    if judged.limit.waiver:
        yield waiver_text(judged.limit.waiver)


def _on_change(change: Change) -> Iterator[str]:
    if change.baseline:
        baseline = change.baseline
        count = len(baseline.values)
        commit = f" ({shortened(baseline.since_commit)})" if baseline.since_commit else ""
        runs = f"{count} run" if count == 1 else f"{count} runs"
        yield shown(f"median of {runs} since {baseline.since:%Y-%m-%d}{commit}")
    if change.floor_bytes:
        yield f"a change counts from {format_size(change.floor_bytes)} on"
    if change.differences:
        yield shown(f"other conditions: {', '.join(change.differences)}")


def _said_by(gate: GateJudged) -> str:
    """The gate's verdict on a figure, and what the attempts came to."""
    sides = {side: [one.bytes for one in gate.attempts if one.side == side] for side in ("base", "head")}
    found = [
        f"{side} {format_size(median(known))} in {len(known)} of {len(values)} attempts"
        for side, values in sides.items()
        if (known := [value for value in values if value is not None])
    ]
    return shown("; ".join([gate.verdict.replace("-", " "), *found, *gate.notes]))


def _places(trend: Trend, runs: int) -> list[int]:
    usual = list(range(runs - len(trend.runs), runs))
    return [] if list(trend.runs) == usual else list(trend.runs)


def _step(step: Step, trend: Trend, past: Mapping[str, int]) -> StepData:
    (growth,) = format_growths([(step.before_bytes, step.after_bytes)])
    percent = format_percent(step.before_bytes, step.after_bytes)
    return StepData(
        place=list(trend.runs).index(past[step.first.run_id]),
        at=moment(step.first.started_at),
        before_bytes=step.before_bytes,
        after_bytes=step.after_bytes,
        change=", ".join(filter(None, (percent, growth))),
        said=[shown(line.strip()) for line in committed(step)],
    )
