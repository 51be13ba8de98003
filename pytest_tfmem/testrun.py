"""One attempt at one isolated test: starts it, judges it, and turns what comes of it into pytest's reports."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tfmem.budgets.verdict import judge, worst
from pytest_tfmem.calls import Calls
from pytest_tfmem.explain.lastattempt import LastAttempt
from pytest_tfmem.failing import Failing
from pytest_tfmem.figures import Measurement, Phase, encode_measurement
from pytest_tfmem.history.conditions import asked
from pytest_tfmem.isolate import identity, replay, reports, wire
from pytest_tfmem.isolate.controller import IsolatedTest
from pytest_tfmem.leakseen import LeakSeen
from pytest_tfmem.measure.device_readings import allocator_in_force, warmed_up
from pytest_tfmem.measure.readings import phase_figures
from pytest_tfmem.ordering import order_for
from pytest_tfmem.report.failure import breach_text, regression_text
from pytest_tfmem.report.properties import junit_properties
from pytest_tfmem.report.sections import peak_notes
from pytest_tfmem.reporting import HookJudgement, defined_at
from pytest_tfmem.secondruns import SecondRuns
from pytest_tfmem.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pytest_tfmem.comparison import Comparison, Judgement
    from pytest_tfmem.explain.explaining import Explaining
    from pytest_tfmem.explanations import Explanation
    from pytest_tfmem.figures import FigureReading, Limit
    from pytest_tfmem.isolate.allocators import Choice
    from pytest_tfmem.isolate.controller import PhaseResult
    from pytest_tfmem.isolate.gpus import Gpus
    from pytest_tfmem.isolate.lease import Lease
    from pytest_tfmem.isolate.runtime import Runtime
    from pytest_tfmem.isolate.starter import Starter
    from pytest_tfmem.reporting import Outcome
    from pytest_tfmem.request import Request
    from pytest_tfmem.settings import Settings

OUTPUT_SECTION = "output of the test's process in"  # pytest makes a heading of it: "Captured ... call"


class TestRun:
    """One attempt. `run(phase)` returns the phase's report, or raises what the controller is to see raised.

    `lease` has the cards that are this test's alone, if any; `close` lets go of it. `comparison` gives what the test is
    held against, if it is to fail by that. `explaining` says what held its memory, if that is to be said.
    """

    __test__ = False

    def __init__(
        self,
        item: pytest.Item,
        request: Request,
        settings: Settings,
        starter: Starter,
        *,
        basetemp: Path,
        gpus: Gpus,
        lease: Lease | None,
        comparison: Callable[[], Comparison] | None = None,
        explaining: Explaining | None = None,
        runtime_of_call: Callable[[Mapping[str, Any]], tuple[Runtime, Choice]],
    ) -> None:
        self._item = item
        self._request = request
        self._settings = settings
        self._lease = lease
        self._watch = Watch(gpus, request.runtime, request.choice, lease)
        self._outcome: Outcome = "passed"
        self._failing = Failing(settings)
        self._failed_otherwise = False
        self.report: pytest.TestReport | None = None
        self.basetemp = basetemp
        self._comparison = comparison
        self._judgement: Judgement | None = None
        self._explaining = explaining
        self._explanations: list[Explanation] = []
        self._ended_early: PhaseResult | None = None
        self._last = LastAttempt(item, self._explain)
        self._starter = starter
        self._order = order_for(item, request, settings, starter, basetemp=basetemp, lease=lease)
        self._calls = Calls(
            item, self._order, starter, basetemp=basetemp, gpus=gpus, lease=lease, runtime_of=runtime_of_call
        )
        self._again = self._made_second_runs()
        self._test = self._made_process()
        self._leak = LeakSeen(request, self._test.observed)

    def _made_second_runs(self) -> SecondRuns:
        return SecondRuns(
            self._order,
            self._watch,
            start=self._starter.start,
            restore=self._restored,
            calls=self._calls,
            wants_tensors=self._request.gpu_tensors,
        )

    def _made_process(self) -> IsolatedTest:
        return IsolatedTest(
            self._order,
            start=self._starter.start,
            judge=self._judge,
            restore=self._restored,
            deliver=lambda said: replay.deliver(self._item, said),
            footprint=self._watch.footprint,
            retries=self._watch.retries,
            measure=self._calls.measure,
        )

    @property
    def outcome(self) -> Outcome:
        return self._outcome

    def allow(self, seconds: float) -> None:
        """Another plugin's timeout for this test, in seconds from its setup on."""
        self._test.allow(seconds)
        # For the run that explains, too.
        own = self._order.timeout_seconds
        self._order = dataclasses.replace(self._order, timeout_seconds=seconds if own is None else min(own, seconds))

    def run(self, phase: Phase) -> None:
        """Wait for the phase's end and set `report`, None where pytest is to make its own.

        Raises pytest's own failure if the process ended badly, and what the test raised to stop the session.
        """
        self.report = None
        result = self._ended_early or self._test.run_phase(phase)
        if result.report is not None:
            self.report = result.report
            self._note_outcome(self.report, phase)
            self._last.phase_over(self.report, phase)
        if result.stop is not None:
            replay.stop(self._item.session, result.stop)
        if result.failure:
            self._fail(phase, result)

    def judgement(self) -> HookJudgement | None:
        """How pytest has judged the phase in the child; None if it has not."""
        return None if self.report is None else HookJudgement.of(self.report)

    def measurement(self) -> Measurement:
        """All that is known of the attempt now."""
        readings = self._readings()
        limits = self._limits
        verdicts = judge(limits, readings)
        notice = self._request.choice.notice
        return Measurement(
            nodeid=identity.collected_id(self._item),
            outcome=self._outcome,
            start_method=self._test.started.method,
            why_spawned=reports.encodable(self._test.started.why_spawned),
            verdict=worst(verdicts),
            readings=readings,
            limits=limits,
            verdicts=verdicts,
            phases=phase_figures(self._test.observed.phases),
            timeline=self._test.timeline(),
            allocator=allocator_in_force(self._test.observed.devices),
            breached=self._outcome == "failed" and not self._failed_otherwise,
            runtime=asked(self._request.runtime, warm_up=self._request.warm_up, calls=self._request.calls),
            out_of_memory=reports.encodable(self._test.observed.out_of_memory),
            waited_seconds=round(self._lease.waited_seconds, 3) if self._lease else 0.0,
            died=reports.encodable(self._test.observed.died),
            regressions=self._judgement.regressions if self._judgement else [],
            sections=self._test.observed.sections,
            measured=self._calls.measured,
            where=defined_at(self._item),
            leak=self._leak.leak,
            notes=self._notes(),
            explanations=self._explanations,
            notices=[*([notice] if notice else []), *(self._judgement.notices if self._judgement else [])],
        )

    def put_on(self, report: pytest.TestReport) -> None:
        """Let the measurement ride on the test's last report, and on its properties for JUnit."""
        measurement = self.measurement()
        report.tfmem = encode_measurement(measurement)  # type: ignore[attr-defined]  # reports take extra attributes
        if self._settings.junit_properties:
            report.user_properties = [*report.user_properties, *junit_properties(measurement)]

    def tells(self, report: pytest.TestReport) -> None:
        """This report is about to be told: where it is the last attempt's, with what held the memory."""
        self._last.told(report)
        if self._explanations and hasattr(report, "tfmem"):
            report.tfmem = encode_measurement(self.measurement())  # type: ignore[attr-defined]  # as above

    def close(self) -> None:
        try:
            self._test.close()
        finally:
            if self._lease is not None:
                self._lease.release()

    def _explain(self, report: pytest.TestReport, phase: Phase) -> None:
        """Have it said in this report what held the memory, once this test's own process has ended: two may not fit."""
        if phase == "setup" or self._explanations or self._explaining is None:
            return
        measured = self.measurement()
        if not self._explaining.wants(measured):
            return
        if phase == "call":
            self._ended_early = self._test.run_phase("teardown")
        self._explanations = self._explaining.explain(
            measured,
            self._order,
            session=self._item.session,
            report=report,
            start=self._starter.start,
            restore=self._restored,
            measure=self._calls.measure,
            used_tensorflow=self._test.observed.used_tensorflow,
        )

    def _notes(self) -> list[str]:
        watched = self._test.footprint
        shares_gpus = self._watch.sees_gpus and self._lease is None
        own = self._request.notes_on(self._test.observed.limits, shares_gpus=shares_gpus)
        of_driver = map(reports.encodable, watched.notes()) if watched else ()
        return [*self._request.notes, *of_driver, *own, *self._leak.notes()]

    @property
    def _limits(self) -> dict[str, Limit]:
        return self._request.budget.limits_with(self._test.observed.limits)

    def _restored(self, data: dict[str, Any]) -> pytest.TestReport:
        return replay.restored(self._item, data)

    def _readings(self) -> dict[str, FigureReading]:
        calls = self._request.warm_up + self._request.calls
        return warmed_up(self._watch.readings(self._test, self._again.tensors), calls) | self._leak.readings()

    def _judge(self, phase: Phase) -> wire.Judged:
        breach = self._breach(phase)
        if breach or phase != "call" or self._comparison is None:
            return wire.Judged(breach)
        return self._held_against_earlier_runs(self._comparison())

    def _held_against_earlier_runs(self, comparison: Comparison) -> wire.Judged:
        measured = self.measurement()
        self._judgement = comparison.judge(measured, lambda: self._again.readings(self._test))
        if not self._judgement.regressions:
            return wire.Judged("")
        text = regression_text(
            self._judgement.regressions,
            measured.readings,
            measured.limits,
            measured.verdicts,
            phase_figures(self._test.observed.phases),
            notes=measured.notes,
            allocator=measured.allocator,
        )
        return wire.Judged(text, regressed=True)

    def _breach(self, phase: Phase) -> str:
        """The text with which the phase is to fail, for limits passed that no earlier phase has failed for."""
        if not self._failing.looks(phase):
            return ""
        readings, limits = self._readings(), self._limits
        verdicts = judge(limits, readings)
        new = self._failing.figures(phase, limits, verdicts)
        if not new:
            return ""
        phases = phase_figures(self._test.observed.phases)
        peaks = peak_notes(self._test.observed.sections, readings, new)
        notes = [*self._notes(), *self._leak.lines(), *peaks]
        allocator = allocator_in_force(self._test.observed.devices)
        return breach_text(readings, limits, verdicts, phases, over=new, notes=notes, allocator=allocator)

    def _note_outcome(self, report: pytest.TestReport, phase: Phase) -> None:
        if report.failed:
            self._outcome = "failed"
            self._failed_otherwise |= phase not in self._failing.phases
        elif report.skipped and self._outcome == "passed":
            self._outcome = "skipped"

    def _fail(self, phase: Phase, result: PhaseResult) -> None:
        self._outcome = "failed"
        self._failed_otherwise = True
        self.report = None
        if result.detail:
            self._item.add_report_section(phase, OUTPUT_SECTION, result.detail)
        pytest.fail(result.failure, pytrace=False)
