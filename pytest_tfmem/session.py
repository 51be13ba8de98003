"""What this plugin knows in one pytest session: its settings, what is asked of tests, what came of them."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.recording import Recording, keeps_no_record, plugins_of, run_files, shown
from pytest_tfmem.resources import Resources
from pytest_tfmem.settings.options import ATTEMPT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.ahead import Ahead
    from pytest_tfmem.budgets.model import BudgetsFile
    from pytest_tfmem.comparison import Comparison
    from pytest_tfmem.explain.explaining import Explaining
    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.history.recorded import RecordedRun
    from pytest_tfmem.isolate.allocators import GpuFacts
    from pytest_tfmem.isolate.order import Order
    from pytest_tfmem.report.regressions import HeldAgainst
    from pytest_tfmem.reporting import Outcome
    from pytest_tfmem.request import Request, Requests
    from pytest_tfmem.settings import Settings
    from pytest_tfmem.testrun import TestRun

MARKERS = ("memory_budget", "tf_runtime")
_FIXTURE = "tfmem"
_RUN_ID = "tfmem_run_id"
KEY: pytest.StashKey[TfmemSession] = pytest.StashKey()


def asks_for_itself(item: pytest.Item) -> bool:
    """Whether the test, or a fixture that it asks for, asks for the fixture that is its own view of its memory."""
    return _FIXTURE in getattr(item, "fixturenames", ())


class TfmemSession:
    """One per pytest session, in its controller and in each xdist worker; none in a test's process."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.settings = settings
        self.notices: list[str] = []
        self._config = config
        self._resources = Resources(config, settings)
        self.recording = Recording(
            settings,
            root=config.rootpath,
            off=keeps_no_record(settings, config),
            run_id=getattr(config, "workerinput", {}).get(_RUN_ID),
            plugins=lambda: plugins_of(config),
        )
        self._file = _read_budgets(settings, config)
        self._lazy_requests: Requests | None = None
        self._lazy_ahead: Ahead | None = None
        self._lazy_comparison: Comparison | None = None
        self._measured: dict[str, bytes] = {}

    @property
    def isolates(self) -> bool:
        """Whether tests run in processes of their own here at all."""
        return not self.settings.in_process

    @property
    def may_warm_up(self) -> bool:
        """Whether it is of use to look ahead: not where tests are spawned, or only listed."""
        return self.settings.start_method != "spawn" and not self._config.getoption("collectonly", False)

    @property
    def budgets(self) -> BudgetsFile | None:
        """The budgets file as it was read, if there is one."""
        return self._file

    def wants(self, item: pytest.Item) -> bool:
        """Whether the test is to be measured."""
        if self.settings.measure_all or asks_for_itself(item):
            return True
        if any(item.get_closest_marker(name) for name in MARKERS):
            return True
        return self._file is not None and self._requests.names(item)

    def request(self, item: pytest.Item) -> Request:
        """What is asked of the test. Raises TfmemError for a marker that is wrong."""
        return self._requests.of(item)

    def start(self, item: pytest.Item) -> TestRun:
        """Start the test in a fresh process. Fails the test if it cannot be started."""
        from pytest_tfmem.testrun import TestRun  # noqa: PLC0415  only where a test is isolated

        try:
            request = self.request(item)
            with ExitStack() as undone:
                lease = self._resources.lease(item, request)
                if lease is not None:
                    undone.enter_context(lease)
                run = TestRun(
                    item,
                    request,
                    self.settings,
                    self._resources.starter,
                    basetemp=self._resources.new_folder(),
                    gpus=self._resources.gpus,
                    lease=lease,
                    runtime_of_call=lambda asked: self._requests.of_call(item, asked),
                    comparison=(lambda: self._comparison) if self.settings.fail_on_regression else None,
                    explaining=self._explaining,
                )
                undone.pop_all()  # the run lets go of it
                self.recording.look()
                return run
        except TfmemError as error:
            failure = str(error)
        except OSError as error:
            failure = f"the test's process could not be started: {error}"
        # Not from within the handlers: pytest would print the handled error too, which says the same.
        pytest.fail(failure, pytrace=False)

    def ended(self, run: TestRun) -> None:
        """End an attempt: nothing of it runs any more, and what a passing one left is removed."""
        run.close()
        if run.outcome != "failed":
            self._resources.discard(run.basetemp)

    def put_unmeasured(self, item: pytest.Item, report: pytest.TestReport, outcome: Outcome) -> None:
        """Let it ride on the report that a test to be measured ran in pytest's own process."""
        from pytest_tfmem.figures import encode_measurement  # noqa: PLC0415
        from pytest_tfmem.reporting import unmeasured  # noqa: PLC0415

        try:
            request = self.request(item)
        except TfmemError:
            return  # the test itself has failed with it
        reason = f"{self.settings.in_process} runs tests in pytest's own process"
        report.tfmem = encode_measurement(unmeasured(item, request, outcome, reason))  # type: ignore[attr-defined]

    def record(self, report: pytest.TestReport) -> None:
        """Take what rides on a report, and keep the last attempt's where a test was run again.

        Taken off it and packed: pytest keeps every report to the session's end, and a long session many.
        """
        self.recording.saw(report.nodeid)
        measured = getattr(report, "tfmem", None)
        if isinstance(measured, dict):
            from msgspec import msgpack  # noqa: PLC0415  only where something was measured

            from pytest_tfmem.figures import decode_measurement  # noqa: PLC0415

            self._measured.pop(report.nodeid, None)
            self._measured[report.nodeid] = msgpack.encode(measured)
            self.recording.add(decode_measurement(measured))
            del report.tfmem

    def measurements(self) -> list[Measurement]:
        """What came of every test that was to be measured, in the order in which they ended."""
        if not self._measured:
            return []
        from msgspec import msgpack  # noqa: PLC0415

        from pytest_tfmem.figures import decode_measurement  # noqa: PLC0415

        return [decode_measurement(msgpack.decode(measured)) for measured in self._measured.values()]

    def tell_worker(self, workerinput: dict[str, Any]) -> None:
        """Let a worker of pytest-xdist know which run this is, if it is to hold tests against earlier ones.

        What the controller has written down of this session is none of those.
        """
        if self.settings.fail_on_regression or self.settings.explain != "off":
            workerinput[_RUN_ID] = self.recording.run_id

    def held_against(self, measurements: Sequence[Measurement]) -> HeldAgainst | None:
        """What has changed since earlier runs; what of them could not be read is a notice. None if nothing measured."""
        if all(test.unmeasured for test in measurements):
            return None
        held = self._comparison.held_against(measurements)
        self.notices += self._comparison.notices
        if self.settings.fail_on_regression and not (held and held.runs):
            # Green by silence for ever, where a CI system keeps no history.
            what = "no earlier run could be read" if held and held.unread else "there is no earlier run"
            self.notices.append(f"--tfmem-fail-on=regression: {what}, so no test can fail by it")
        return held

    def write_json(self) -> None:
        """Write the run document, if one is wanted. Raises OSError."""
        if self.settings.json is None:
            return
        from msgspec.structs import replace  # noqa: PLC0415  only if one is wanted

        from pytest_tfmem.history.rundocument import RunDocument, write_run_document  # noqa: PLC0415

        recorded = self.run()
        run = replace(recorded.run, duration_seconds=self.recording.seconds)
        document = RunDocument(run=run, environment=recorded.environment, tests=recorded.tests)
        write_run_document(self.settings.json, document)

    def run(self) -> RecordedRun:
        """The session as a run, as far as it has come."""
        return self.recording.run_with(self.measurements())

    def finish(self, exit_status: int) -> None:
        """The session's exit status is known: end the record of its run."""
        self.recording.finish(exit_status, self.measurements)
        self.notices += self.recording.notices

    @property
    def ahead(self) -> Ahead:
        """What looks ahead in this session."""
        if self._lazy_ahead is None:
            from pytest_tfmem.ahead import Ahead  # noqa: PLC0415  only where a test is isolated

            self._lazy_ahead = Ahead(
                lambda: self._resources.starter,
                wants=self.wants,
                order_for=self._order_for,
                early_order_for=self._early_order_for,
            )
        return self._lazy_ahead

    def run_is_over(self) -> None:
        """No test comes any more: end what was held ready for one."""
        self._resources.run_is_over()

    def close(self) -> None:
        self._resources.close()

    def _order_for(self, item: pytest.Item) -> Order:
        return self._order(item, self.request(item))

    def _early_order_for(self, item: pytest.Item) -> Order:
        self._resources.gpus.look()  # beside pytest's collection: the test's own order waits for what is found
        return self._order(item, self._requests.early(item))

    def _order(self, item: pytest.Item, request: Request) -> Order:
        from pytest_tfmem.ordering import order_for  # noqa: PLC0415

        return order_for(item, request, self.settings, self._resources.starter)

    @property
    def _requests(self) -> Requests:
        if self._lazy_requests is None:
            from pytest_tfmem.request import Requests  # noqa: PLC0415  only where a test is to be measured

            self._lazy_requests = Requests(self.settings, self._file, self._gpu_facts)
        return self._lazy_requests

    @property
    def _comparison(self) -> Comparison:
        if self._lazy_comparison is None:
            from pytest_tfmem.comparison import Comparison  # noqa: PLC0415  only where something was measured

            tolerance = self._file.defaults.tolerance if self._file else None
            self._lazy_comparison = Comparison(
                self.settings, root=self._config.rootpath, header=self.recording.header, tolerance=tolerance
            )
        return self._lazy_comparison

    @cached_property
    def _explaining(self) -> Explaining | None:
        # Nobody reads what an attempt of the gate would explain. It measures gpu_tensors all the same, as the head did.
        if self.settings.explain == "off" or ATTEMPT_VARIABLE in os.environ:
            return None
        from pytest_tfmem.explain.explaining import Explaining  # noqa: PLC0415  only where it is asked for

        root, recording = self._config.rootpath, self.recording
        return Explaining(
            self.settings, root=root, runs=run_files(self.settings, root), run_id=lambda: recording.run_id
        )

    def _gpu_facts(self) -> GpuFacts:
        return self._resources.gpus.facts()


def _read_budgets(settings: Settings, config: pytest.Config) -> BudgetsFile | None:
    """The budgets file, if there is one. Raises TfmemError if it is wrong."""
    if settings.budgets is None:
        return None
    from pytest_tfmem.budgets.file import load_budgets  # noqa: PLC0415  only where there is such a file

    return load_budgets(settings.budgets, shown=shown(settings.budgets, config.rootpath))
