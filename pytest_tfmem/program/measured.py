"""A program run and measured: what it held, how it ended, and whether it kept to its limits."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.budgets.verdict import breaches, judge, worst
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.figures import Measurement
from pytest_tfmem.history.conditions import asked
from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.gpus import Gpus
from pytest_tfmem.isolate.lease import nested_environment, visible_devices
from pytest_tfmem.isolate.order import Order
from pytest_tfmem.isolate.program import MeasuredProgram, NoProgramError
from pytest_tfmem.isolate.reports import encodable
from pytest_tfmem.isolate.runtime import environment_of
from pytest_tfmem.isolate.signals import PassedOn
from pytest_tfmem.measure.device_readings import allocator_in_force
from pytest_tfmem.measure.readings import phase_figures
from pytest_tfmem.program.asked import chosen, with_allocator, with_judged_limit
from pytest_tfmem.program.ending import notes_on, why_it_died
from pytest_tfmem.program.explaining import explained
from pytest_tfmem.program.nothing import refuse_what_is_not_there, told
from pytest_tfmem.program.words import (
    in_words_of_a_program,
    readings_of_the_ended,
    refused_of_a_program,
    told_of_a_program,
)
from pytest_tfmem.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tfmem.figures import FigureReading, Limit
    from pytest_tfmem.isolate.allocators import Choice
    from pytest_tfmem.isolate.lease import Lease
    from pytest_tfmem.isolate.program import Ended
    from pytest_tfmem.isolate.runtime import Runtime
    from pytest_tfmem.program.asked import Program


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How a program is to be run. `gpu`: "auto" or "off". `say` is told what the user should know meanwhile.

    `explain`: run it again to say what held its memory, with flame graphs in the folder `graphs`, if there is one.
    """

    program: Program
    limits: dict[str, Limit]
    runtime: Runtime
    gpu: str
    timeout_seconds: float | None
    interval_seconds: float
    say: Callable[[str], None]
    explain: bool = False
    graphs: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of it."""

    measurement: Measurement
    ended: Ended


def run_program(wanted: Wanted) -> Result:
    """Run the program to its end. Raises TfmemError if it cannot be run as asked, NoProgramError if it is not there."""
    refuse_what_is_not_there(wanted.program)
    gpus = Gpus(switched_off=wanted.gpu == "off", lease_dir=None)
    with ExitStack() as undone:
        undone.callback(gpus.close)
        choice = chosen(wanted.runtime, gpus.facts)
        runtime = with_allocator(wanted.runtime, choice)
        lease = gpus.lease(runtime.gpus or 0, nodeid=wanted.program.name, on_wait=wanted.say)
        if lease is not None:
            undone.enter_context(lease)
        watch = Watch(gpus, runtime, choice, lease)
        footprint = watch.footprint  # which waits for CUDA to be asked: before the program begins, not beside it
        with PassedOn() as signals:
            order = _order(wanted, runtime, lease, signals.blocked_before)
            try:
                program = MeasuredProgram(order, signals, footprint=footprint)
            except OSError as error:
                raise TfmemError(f"its process could not be started: {error}", where=wanted.program.name) from error
            undone.callback(program.close)
            try:
                ended = program.run()
            except NoProgramError as found:
                raise told(found, wanted.program) from None
            except TfmemError as error:
                raise refused_of_a_program(error) from None
        measurement = _measurement(
            wanted, choice, readings=_readings(watch, program, runtime, ended), program=program, ended=ended
        )
        if wanted.explain:
            measurement = _with_explanations(measurement, wanted, program, order)
        return Result(measurement=measurement, ended=ended)


def _with_explanations(measurement: Measurement, wanted: Wanted, program: MeasuredProgram, order: Order) -> Measurement:
    once_more = f"running {wanted.program.name} once more, to explain what held its memory"
    found = explained(program, order, measurement, wanted.graphs, lambda: wanted.say(once_more))
    return msgspec.structs.replace(measurement, explanations=found)


def _order(wanted: Wanted, runtime: Runtime, lease: Lease | None, blocked_signals: list[int]) -> Order:
    program = wanted.program
    start = wire.Start(
        test_id="",
        ordinal=0,
        path=b"" if program.is_module else os.fsencode(program.target),
        arguments=[],
        argv=[os.fsencode(word) for word in (program.target, *program.arguments)],
        basetemp=b"",
        workerinput=None,
        runtime=runtime,
        visible_devices=visible_devices(lease) if lease else None,
        environment=nested_environment(lease) if lease else {},
        program=wire.Program(
            module=program.target if program.is_module else "",
            search_path=[os.fsencode(path) for path in program.search_path()],
            blocked_signals=blocked_signals,
        ),
    )
    return Order(
        start=start,
        environment=environment_of(runtime, os.environ),
        directory=Path.cwd(),
        search_path=tuple(sys.path),
        shows_output=True,
        interval_seconds=wanted.interval_seconds,
        timeout_seconds=wanted.timeout_seconds,
        file=program.name,
        frameworks=frozenset(),
    )


def _measurement(
    wanted: Wanted,
    choice: Choice,
    *,
    readings: dict[str, FigureReading],
    program: MeasuredProgram,
    ended: Ended,
) -> Measurement:
    limits = with_judged_limit(wanted.limits, choice, wanted.runtime)
    verdicts = judge(limits, readings)
    over = bool(breaches(verdicts, limits))
    failed = ended.timed_out or ended.returncode != 0
    watched = program.footprint
    return Measurement(
        nodeid=wanted.program.name,
        outcome="failed" if failed or over else "passed",
        start_method="spawn",
        verdict=worst(verdicts),
        readings=readings,
        limits=limits,
        verdicts=verdicts,
        phases=phase_figures(program.observed.phases),
        timeline=program.timeline(),
        allocator=allocator_in_force(program.observed.devices),
        runtime=asked(wanted.runtime, warm_up=0),
        breached=over and not failed,
        out_of_memory=in_words_of_a_program(encodable(program.observed.out_of_memory)),
        died=why_it_died(ended, wanted.timeout_seconds),
        where=wanted.program.where,
        notes=[*choice.notes, *notes_on(ended), *map(in_words_of_a_program, watched.notes() if watched else ())],
        notices=[choice.notice] if choice.notice else [],
    )


def _readings(watch: Watch, program: MeasuredProgram, runtime: Runtime, ended: Ended) -> dict[str, FigureReading]:
    if ended.cut_off:
        program.observed.died = "cut off"  # what came after its last marks is not known, however it has ended
    readings = watch.readings(program)
    if ended.cut_off:
        before = None if runtime.needs_tensorflow else program.samples.before_setup
        readings = readings_of_the_ended(readings, ended, before)
    return told_of_a_program(readings)
