"""The tests of a run, as the page's scripts read them."""

from __future__ import annotations

from collections import defaultdict
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING

from pytest_tfmem.digest.findings import worst_first
from pytest_tfmem.figures import PHASES, greatest
from pytest_tfmem.page.findings import sentence_of
from pytest_tfmem.page.held import held
from pytest_tfmem.page.island import (
    CheckpointData,
    FindingData,
    GpuLine,
    Mark,
    MeasuredData,
    PhaseData,
    SectionData,
    TestData,
    TimelineData,
)
from pytest_tfmem.page.packed import packed
from pytest_tfmem.page.readings import figures_of
from pytest_tfmem.page.shown import duration, lines_of, shown
from pytest_tfmem.report.functions import function_name, spreads
from pytest_tfmem.report.gpus import short_names
from pytest_tfmem.report.leak import leak_lines
from pytest_tfmem.report.sections import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_tfmem.digest.model import Digest, Finding, Told
    from pytest_tfmem.figures import FigureReading, Measurement, Timeline
    from pytest_tfmem.gate.result import Judged as GateJudged
    from pytest_tfmem.page.island import FigureData

_START_METHODS = {
    "spawn": "spawn: a new interpreter",
    "forkserver": "forkserver: forked off a warm server",
    "in-process": "in pytest's own process",
}


def tests_of(digest: Digest, flames: Path | None) -> list[TestData]:
    """Every test of the digest, in the order of the run. `flames`: the folder with its flame graphs, if it is known."""
    found: dict[str, list[Finding]] = defaultdict(list)
    gate: dict[str, list[GateJudged]] = defaultdict(list)
    for one in digest.findings:
        found[one.nodeid].append(one)
    for each in digest.gate.judged if digest.gate else []:
        gate[each.nodeid].append(each)
    past = {run.id: place for place, run in enumerate(digest.past)}
    return [_test(told, found[told.test.nodeid], gate[told.test.nodeid], past, flames) for told in digest.tests]


def _test(
    told: Told, found: Sequence[Finding], gate: Sequence[GateJudged], past: Mapping[str, int], flames: Path | None
) -> TestData:
    test = told.test
    figures = figures_of(told, gate, past)
    name = shown(test.nodeid)
    worst = worst_first(found)
    return TestData(
        id=test.nodeid,
        shown=name if name != test.nodeid else "",
        weight=told.weight,
        kind=worst[0].kind if worst else "fine",
        where=shown(test.where),
        outcome=test.outcome,
        seconds=_seconds(test),
        nearest=_nearest(figures),
        facts=[*_facts(test)],
        findings=[FindingData(kind=one.kind, weight=one.weight, text=sentence_of(one)) for one in worst],
        died=lines_of(test.died),
        out_of_memory=lines_of(test.out_of_memory),
        unmeasured=shown(test.unmeasured),
        notes=[*map(shown, (*test.notes, *(leak_lines(test.leak) if test.leak else ())))],
        figures=figures,
        phases=[*_phases(test)],
        sections=[*_sections(test)],
        checkpoints=[*_checkpoints(test)],
        measured=[*_measured(test)],
        held=[held(one, flames) for one in test.explanations],
        timeline=_timeline(test.timeline) if test.timeline else None,
    )


def _seconds(test: Measurement) -> float | None:
    found = [float(phase["seconds"]) for phase in test.phases.values() if "seconds" in phase]
    return round(sum(found), 3) if found and all(map(isfinite, found)) else None


def _nearest(figures: Sequence[FigureData]) -> int | None:
    """Of the figures with a limit the one nearest to it; else the one that moved the most; else the first."""
    read = [at for at, one in enumerate(figures) if one.bytes is not None]
    if not read:
        return next((at for at, one in enumerate(figures) if one.limit_bytes is not None), None)
    return max(read, key=lambda at: (*_pull(figures[at]), -at))


def _pull(one: FigureData) -> tuple[int, float]:
    now = one.bytes or 0
    if one.limit_bytes is not None:
        return 2, now / one.limit_bytes if one.limit_bytes else float("inf")
    return (1, now / one.before_bytes) if one.before_bytes else (0, 0.0)


def _facts(test: Measurement) -> Iterator[tuple[str, str]]:
    """What there is to say of how the test ran, by name."""
    yield "Outcome", test.outcome + (", for its limits alone" if test.breached else "")
    yield "Process", _START_METHODS[test.start_method]
    if test.why_spawned:
        yield "Not forked, for", shown(test.why_spawned)
    if test.allocator:
        yield "GPU allocator", shown(test.allocator)
    for name, value in test.runtime.items():
        yield f"Asked: {shown(name)}", shown(value)
    if test.waited_seconds:
        yield "Waited for GPUs", duration(test.waited_seconds)


def _phases(test: Measurement) -> Iterator[PhaseData]:
    for name in PHASES:
        if name in test.phases:
            had = test.phases[name]
            sizes = {key: _whole(had.get(key)) for key in ("rss_bytes", "rss_growth_bytes", "rss_anon_bytes")}
            seconds = had.get("seconds")
            yield PhaseData(name=name, seconds=None if seconds is None else round(seconds, 3), **sizes)


def _sections(test: Measurement) -> Iterator[SectionData]:
    for section in in_order(test.sections):
        yield SectionData(
            name=shown(section.name),
            depth=len(section.path),
            phase=section.phase,
            entered=section.entered,
            seconds=round(section.seconds, 3) if section.entered else None,
            bytes=_sizes(section.readings),
            open_at_death=section.open_at_death,
        )


def _checkpoints(test: Measurement) -> Iterator[CheckpointData]:
    """Those that the test has set: what is held at the ends of phases is in their table."""
    for mark in test.timeline.checkpoints if test.timeline else ():
        if mark.readings:
            yield CheckpointData(name=shown(mark.name), seconds=round(mark.seconds, 3), bytes=_sizes(mark.readings))


def _sizes(readings: Mapping[str, FigureReading]) -> dict[str, int]:
    """By figure what was read, of several GPUs the most."""
    found = {figure: greatest(reading) for figure, reading in readings.items()}
    return {shown(figure): most.bytes for figure, most in found.items() if most is not None}


def _measured(test: Measurement) -> Iterator[MeasuredData]:
    for function in test.measured:
        yield MeasuredData(
            name=shown(function_name(function)),
            times=len(function.seconds),
            seconds=round(median(function.seconds), 6) if function.seconds else None,
            sizes=dict(spreads(function)),
            failed=shown(function.failed),
        )


def _whole(size: float | None) -> int | None:
    return None if size is None or not isfinite(size) else round(size)


def _timeline(timeline: Timeline) -> TimelineData:
    names = short_names(gpu.device for gpu in timeline.gpus)
    return TimelineData(
        milliseconds=packed(_milliseconds(timeline.seconds)),
        host_bytes=packed(timeline.rss_tree_bytes),
        gpus=[
            GpuLine(name=names[gpu.device], source=shown(gpu.source), bytes=packed(gpu.bytes)) for gpu in timeline.gpus
        ],
        marks=[Mark(name=shown(mark.name), milliseconds=round(1000 * mark.seconds)) for mark in timeline.checkpoints],
    )


def _milliseconds(seconds: Iterable[float]) -> list[int]:
    return [round(1000 * at) for at in seconds]
