"""The pytest plugin of the test's process: picks the test, marks its phases, sends on what pytest says."""

from __future__ import annotations

import io
import os
import sys
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.exceeded import MemoryBudgetExceeded, MemoryRegression
from pytest_tfmem.isolate import arguments, identity, out_of_memory, reports, wire
from pytest_tfmem.isolate.inside import Inside
from pytest_tfmem.measure.marks import PhaseMarks
from pytest_tfmem.measure.nested import Nest

if TYPE_CHECKING:
    import warnings
    from collections.abc import Callable, Generator

    from pytest_tfmem.figures import Phase
    from pytest_tfmem.isolate.channel import Channel
    from pytest_tfmem.isolate.child_devices import ChildDevices
    from pytest_tfmem.measure.kept import KeptSeries
    from pytest_tfmem.measure.tracking import Tracking

PLUGIN_NAME = "tfmem-child"


class ChildPlugin:
    """Hooks for the one test that this process is for, whatever was done here before it."""

    __name__ = PLUGIN_NAME  # by which pytest registers it, and the main plugin knows that it is in a child

    def __init__(self, start: wire.Start, channel: Channel, devices: ChildDevices) -> None:
        self.is_for(start, channel, devices)
        self._stdout = sys.stdout
        self._config: pytest.Config | None = None
        self._chosen: pytest.Item | None = None
        self._kept: KeptSeries | None = None
        self._warms_up = False
        self._tracking: Tracking | None = None

    def is_for(self, start: wire.Start, channel: Channel, devices: ChildDevices) -> None:
        """Which test this process is to run, and who is to be told of it."""
        self._start = start
        self._channel = channel
        self._devices = devices
        self.inside = Inside(channel, Nest(devices))

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # before pytest-xdist, which acts on its options in this hook
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, object, object]:
        start = self._start
        self._config = config
        path, basetemp = os.fsdecode(start.path), os.fsdecode(start.basetemp)
        arguments.neutralise(config, path=path, basetemp=basetemp, workerinput=start.workerinput)
        # The terminal's reporter takes sys.stdout as it finds it when it is configured. Nobody is to read this one.
        self._stdout = sys.stdout
        with _Nowhere() as nowhere:
            sys.stdout = nowhere
            try:
                return (yield)
            finally:
                sys.stdout = self._stdout

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        sys.stdout = self._stdout
        arguments.dismiss_bookkeepers(session.config)

    @pytest.hookimpl(wrapper=True, trylast=True)  # inside capture, whose reading of long output is not the test's
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        if item is not self._chosen:
            self._channel.send(wire.Refused("another test came to run in its place", reports.encodable(item.nodeid)))
        return (yield from self._measured("setup"))

    @pytest.hookimpl(wrapper=True, trylast=True)  # the same
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from self._measured("call", warm_up=item.runtest))

    @pytest.hookimpl(wrapper=True, trylast=True)  # the same
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        return (yield from self._measured("teardown"))

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        assert self._config is not None  # noqa: S101  set before any test runs
        if self._warms_up and not report.failed:
            return  # of a subtest, which is reported when the test's own call has run it
        self._channel.send(wire.Reported(reports.pack(self._config, report)))

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: object
    ) -> None:
        del location
        if when == "runtest":  # the controller has had those of the collection
            self._channel.send(_packed_warning(warning_message, when, nodeid))

    def _called(self, session: pytest.Session, call: wire.Call) -> list[pytest.Item]:
        """In the test's place the call that is asked for, unless that cannot be found."""
        from pytest_tfmem.isolate.called import CalledItem  # noqa: PLC0415  only for a call

        try:
            self._chosen = CalledItem.of(session, call, PLUGIN_NAME)
        except TfmemError as error:
            self._channel.send(wire.Refused(str(error)))
            return []
        # Its arguments are the function's alone: what this keeps would stay resident.
        self._start = msgspec.structs.replace(self._start, call=wire.Call(call.module, call.name, b""))
        return [self._chosen]

    def _run_call(self, item: pytest.Item) -> None:
        from pytest_tfmem.isolate.called import CalledItem  # noqa: PLC0415  only for a call

        assert isinstance(item, CalledItem)  # noqa: S101  made by `_called`
        item.run(self._channel)

    def _measured(self, phase: Phase, warm_up: Callable[[], None] | None = None) -> Generator[None, object, object]:
        if phase == "setup" and self._start.tracked:
            self._track()
        self.inside.phase = phase
        self._channel.send(wire.PhaseBegun(phase, self.inside.nest.begin().start.rss))
        try:
            if warm_up and (self._start.warm_up or self._start.calls):
                self._warm_up(warm_up)
                self.inside.nest.begin()
            result = yield
        except BaseException as error:
            self._phase_over(phase, error)
            raise
        judged, problem = self._phase_over(phase)
        if judged.breach:
            raise (MemoryRegression if judged.regressed else MemoryBudgetExceeded)(judged.breach)
        if problem:
            pytest.fail(problem, pytrace=False)
        return result

    def _track(self) -> None:
        from pytest_tfmem.measure.tracking import Tracking  # noqa: PLC0415  only in a run that explains another

        try:
            self._tracking = Tracking(self._start.tracked)
            self._tracking.begin()
        except Exception as error:  # noqa: BLE001  whatever memray raises, nothing comes of this run without it
            self._tracking = None
            self._channel.send(wire.Refused(f"memray did not start: {reports.encodable(str(error))}"))

    def _warm_up(self, call: Callable[[], None]) -> None:
        from pytest_tfmem.isolate.calls import Ahead  # noqa: PLC0415  only where it is asked for

        assert self._config is not None  # noqa: S101  set before any test runs
        self._warms_up = True
        try:
            with self.inside.unrecorded():
                self._kept = Ahead(call, self._start, self._devices, self._config).run()
        finally:
            self._warms_up = False

    def _phase_over(self, phase: Phase, error: BaseException | None = None) -> tuple[wire.Judged, str]:
        """Say so, and hear the verdict on it; and what is wrong with the devices."""
        if phase == "teardown" and self._tracking is not None:
            self._tracking.end()
        span = self.inside.nest.end(lambda: self._devices.read_at_end(phase))
        marks, devices = PhaseMarks(start=span.start, end=span.end, seconds=span.seconds), span.devices
        refused = out_of_memory.describe(error, devices, self._start.runtime.memory_limit_bytes) if error else ""
        if refused and self._chosen is not None:
            self._chosen.add_report_section(phase, "GPU memory", refused)
        kept = self._kept if phase == "call" else None
        said = wire.PhaseOver(
            phase, marks, error is None, devices, reports.encodable(refused), self.inside.open_sections(), kept
        )
        self._channel.send(said)
        if self._channel.in_fork:
            return wire.Judged(""), ""
        return self._verdict(), devices.problem if devices else ""

    def _verdict(self) -> wire.Judged:
        answer = self._channel.receive()
        while isinstance(answer, wire.CallMeasured):  # whoever had waited for it was torn away from there
            answer = self._channel.receive()
        if isinstance(answer, wire.Deliberating):
            self._stop_the_clock()
            answer = self._channel.receive()
        return answer if isinstance(answer, wire.Judged) else wire.Judged("")

    def _stop_the_clock(self) -> None:
        """End pytest-timeout's timer, which would count what is not the test's time; the controller has one, too."""
        assert self._config is not None  # noqa: S101  set before any test runs
        cancel = getattr(self._config.hook, "pytest_timeout_cancel_timer", None)
        if cancel is not None:
            cancel(item=self._chosen)


class SpawnedPlugin(ChildPlugin):
    """Hooks for the one test of a new interpreter: from the collection of its file to the end of its session."""

    @pytest.hookimpl(trylast=True)  # after every plugin that adds, drops or renames tests
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        if self._start.call is not None:
            items[:] = self._called(session, self._start.call)
            return
        chosen = identity.find(items, self._start.test_id, self._start.ordinal)
        if chosen is None:
            self._channel.send(wire.Refused(identity.not_found(items, self._start.test_id)))
        items[:] = [] if chosen is None else [chosen]
        self._chosen = chosen

    @pytest.hookimpl(tryfirst=True)  # in place of pytest's own loop, which is of a test
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if self._start.call is None:
            return None
        for item in session.items:
            self._run_call(item)
        return True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            text = reports.encodable(reports.shortened(report.longreprtext, 1 << 20))
            self._channel.send(wire.Refused(wire.NOT_COLLECTED, text))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._channel.send(packed_stop(excinfo.value))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.shouldstop:
            self._channel.send(wire.Stopped(kind="shouldstop", reason=reports.encodable(str(session.shouldstop))))

    def pytest_internalerror(self, excrepr: object) -> None:
        text = reports.encodable(reports.shortened(str(excrepr), 1 << 20))
        self._channel.send(wire.Refused(wire.FAILED_INSIDE, text))


class _Nowhere(io.TextIOWrapper):
    """Where pytest's terminal leads in this process: nobody is to read it.

    But what another thread writes there are last words: pytest-timeout's timer does, and then ends the process.
    """

    def __init__(self) -> None:
        super().__init__(open(os.devnull, "wb"), encoding="utf-8")  # noqa: SIM115  closed with this

    def write(self, text: str) -> int:
        if threading.current_thread() is threading.main_thread() or sys.__stderr__ is None:
            return super().write(text)
        return sys.__stderr__.write(text)


def _packed_warning(recorded: warnings.WarningMessage, when: str, nodeid: str) -> wire.Warned:
    category = recorded.category or Warning
    return wire.Warned(
        text=reports.encodable(reports.shortened(str(recorded.message), 1 << 16)),
        category=category.__name__,
        category_module=category.__module__,
        filename=reports.encodable(recorded.filename),
        lineno=recorded.lineno,
        when=when,
        nodeid=reports.encodable(nodeid),
    )


def packed_stop(error: BaseException) -> wire.Stopped:
    """What the controller is to be told of a Ctrl-C, or of pytest.exit, in the test."""
    if isinstance(error, pytest.exit.Exception):
        return wire.Stopped(kind="exit", reason=reports.encodable(str(error.msg)), returncode=error.returncode)
    return wire.Stopped(kind="interrupt", reason=reports.encodable(str(error)))
