"""Functions that a test has measured: each call in a fresh process, and what is recorded of it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.figures import PHASES, MeasuredFunction, Measurement, encode_measurement
from pytest_tfmem.history.conditions import asked
from pytest_tfmem.isolate import identity, replay, reports, wire
from pytest_tfmem.isolate.beside import AbandonedError, FunctionBeside
from pytest_tfmem.isolate.plaindata import unpack
from pytest_tfmem.isolate.runtime import environment_of
from pytest_tfmem.measure.device_readings import allocator_in_force
from pytest_tfmem.measure.readings import phase_figures
from pytest_tfmem.reporting import defined_at
from pytest_tfmem.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pytest

    from pytest_tfmem.isolate.allocators import Choice
    from pytest_tfmem.isolate.controller import IsolatedTest, PhaseResult
    from pytest_tfmem.isolate.gpus import Gpus
    from pytest_tfmem.isolate.lease import Lease
    from pytest_tfmem.isolate.order import Order
    from pytest_tfmem.isolate.runtime import Runtime
    from pytest_tfmem.isolate.starter import Starter

_MOST_SHOWN_CHARS = 60


class Calls:
    """Those of one attempt at a test, whose order is `order`.

    `runtime_of` gives the runtime of a call that is asked for with these arguments of `tf_runtime`.
    """

    def __init__(
        self,
        item: pytest.Item,
        order: Order,
        starter: Starter,
        *,
        basetemp: Path,
        gpus: Gpus,
        lease: Lease | None,
        runtime_of: Callable[[Mapping[str, Any]], tuple[Runtime, Choice]],
    ) -> None:
        self._item = item
        self._order = order
        self._starter = starter
        self._basetemp = basetemp.with_name(f"{basetemp.name}-call")
        self._gpus = gpus
        self._lease = lease
        self._runtime_of = runtime_of
        self._answers: dict[object, wire.CallMeasured] = {}
        self._measured: dict[tuple[int, str], MeasuredFunction] = {}

    @property
    def measured(self) -> list[MeasuredFunction]:
        """What is to be recorded, in the order in which it was asked for."""
        return list(self._measured.values())

    def measure(self, test: IsolatedTest, wanted: wire.MeasureWanted) -> wire.CallMeasured | None:
        """Call the function once. What came of it, or None if nobody waits for that any more.

        In a second run of the test, what the first has had measured is not measured again.
        """
        key = _key(wanted)
        if key not in self._answers:
            try:
                self._answers[key] = self._answer(test, wanted)
            except AbandonedError:
                return None
            except (OSError, TfmemError) as error:
                if test.seconds_left <= 0:
                    return None  # the test itself is to say so
                return wire.CallMeasured(number=wanted.number, refused=reports.encodable(str(error)))
        return msgspec.structs.replace(self._answers[key], number=wanted.number)

    def _answer(self, test: IsolatedTest, wanted: wire.MeasureWanted) -> wire.CallMeasured:
        runtime_asked = unpack(wanted.runtime)
        runtime, choice = self._runtime_of(runtime_asked)
        watch = Watch(self._gpus, runtime, choice, self._lease)
        call = FunctionBeside(
            self._order_of(wanted.call, runtime),
            test,
            start=self._starter.start,
            restore=lambda data: replay.restored(self._item, data),
            warn=lambda warned: replay.deliver(self._item, warned),
            footprint=watch.footprint,
        )
        try:
            results = [call.run_phase(phase) for phase in PHASES]
            measurement = self._measurement(call, watch, runtime, choice)
        finally:
            call.close()
            shutil.rmtree(self._basetemp, ignore_errors=True)
        answer = _answer(wanted, call, results, measurement)
        self._record(wanted, runtime_asked, measurement, answer)
        return answer

    def _order_of(self, call: wire.Call, runtime: Runtime) -> Order:
        test = self._order.start
        start = wire.Start(
            test_id=test.test_id,
            ordinal=test.ordinal,
            path=test.path,
            arguments=test.arguments,
            argv=test.argv,
            basetemp=os.fsencode(self._basetemp),
            workerinput=test.workerinput,
            runtime=runtime,
            visible_devices=None if runtime.hides_gpus else test.visible_devices,
            environment=test.environment,
            call=call,
        )
        return dataclasses.replace(self._order, start=start, environment=environment_of(runtime, os.environ))

    def _measurement(self, call: FunctionBeside, watch: Watch, runtime: Runtime, choice: Choice) -> Measurement:
        raised = call.returned is None or call.returned.raised is not None
        return Measurement(
            nodeid=identity.collected_id(self._item),
            outcome="failed" if raised or call.observed.died else "passed",
            start_method=call.started.method,
            why_spawned=reports.encodable(call.started.why_spawned),
            verdict="unlimited",
            readings=watch.readings(call),
            limits={},
            verdicts={},
            phases=phase_figures(call.observed.phases),
            timeline=call.timeline(),
            allocator=allocator_in_force(call.observed.devices),
            runtime=asked(runtime, warm_up=0),
            out_of_memory=reports.encodable(call.observed.out_of_memory),
            died=reports.encodable(call.observed.died),
            where=defined_at(self._item),
            notes=[*choice.notes, *(map(reports.encodable, call.footprint.notes()) if call.footprint else ())],
            notices=[choice.notice] if choice.notice else [],
        )

    def _record(
        self,
        wanted: wire.MeasureWanted,
        runtime: Mapping[str, Any],
        measurement: Measurement,
        answer: wire.CallMeasured,
    ) -> None:
        shown = {name: one_line(str(value), most=_MOST_SHOWN_CHARS) for name, value in runtime.items()}
        record = self._measured.get(
            (wanted.measure, wanted.side),
            MeasuredFunction(
                measure=wanted.measure,
                function=f"{wanted.call.module}.{wanted.call.name}",
                side=wanted.side,
                repeats=wanted.repeats,
                start_method=measurement.start_method,
                runtime=shown,
            ),
        )
        if len(record.readings) >= wanted.repeats:
            return  # a second run of the test, whose arguments name a folder of its own
        self._measured[wanted.measure, wanted.side] = _with(record, measurement, answer)


def _key(wanted: wire.MeasureWanted) -> tuple[object, ...]:
    call = wanted.call
    arguments = hashlib.sha256(call.arguments).digest()  # in place of what may be many megabytes
    return wanted.measure, wanted.side, wanted.repeat, call.module, call.name, arguments, wanted.runtime


def _with(record: MeasuredFunction, measurement: Measurement, answer: wire.CallMeasured) -> MeasuredFunction:
    """The record with one time more."""
    new = [note for note in measurement.notes if note not in record.notes]
    record = msgspec.structs.replace(record, allocator=measurement.allocator, notes=[*record.notes, *new])
    returned = answer.returned
    if answer.died or returned is None or returned.raised is not None:
        raised = returned.raised if returned else None
        text = answer.died.splitlines()[0] if answer.died or raised is None else f"{raised.name}: {raised.text}"
        return msgspec.structs.replace(record, failed=one_line(text))
    return msgspec.structs.replace(
        record,
        readings=[*record.readings, measurement.readings],
        seconds=[*record.seconds, float(measurement.phases["call"]["seconds"])],
        value_bytes=[*record.value_bytes, returned.value_bytes],
    )


def _answer(
    wanted: wire.MeasureWanted, call: FunctionBeside, results: list[PhaseResult], measurement: Measurement
) -> wire.CallMeasured:
    returned = call.returned
    if returned is not None and wanted.repeat < wanted.repeats:
        returned = msgspec.structs.replace(returned, value=None)  # the test gets the last, and would hold them all
    output, errors = _written(results)
    died = next((result.failure for result in results if result.failure), "")
    if call.returned is not None and call.returned.raised is not None:
        died = ""  # what it raised has ended its session, perhaps, and says more
    elif not died:  # its allocator is not the one that was asked for, or what it raised could not be told
        died = next((_failure(one.report) for one in results if one.report and one.report.failed), "")
    if call.returned is None:
        died = died or "its process ended before it had said what came of it"
    return wire.CallMeasured(
        number=wanted.number,
        died=reports.encodable(died),
        returned=returned,
        measurement=encode_measurement(measurement),
        output=output,
        errors=errors,
    )


def _failure(report: pytest.TestReport) -> str:
    """What a phase's report says, after a sentence where it is none itself."""
    text = report.longreprtext.strip()
    return text if text and "\n" not in text else f"its process failed in {report.when}:\n{text}".rstrip()


def _written(results: list[PhaseResult]) -> tuple[str, str]:
    """What was captured of its output, or is left of it where it has died."""
    sections = [section for result in results[1:2] if result.report for section in result.report.sections]
    output = "".join(text for name, text in sections if "stdout" in name)
    errors = "".join(text for name, text in sections if "stdout" not in name)
    return output, errors + "".join(reports.encodable(result.detail) for result in results)
