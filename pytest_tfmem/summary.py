"""The hooks in which a session is summed up: what was measured is collected, recorded, written and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_tfmem.isolate import identity
from pytest_tfmem.recording import NOT_REACHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.session import TfmemSession


class Summary:
    """Sums up, where the session is summed up: in the controller, not in xdist's workers."""

    def __init__(self, session: TfmemSession, config: pytest.Config) -> None:
        self._session = session
        self._config = config

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._session.recording.to_run(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)  # of pytest-xdist, whose workers collect in place of this process
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        is_grouped = self._config.getoption("dist", "no") == "loadgroup"
        self._session.recording.to_run(map(identity.ungrouped, ids) if is_grouped else ids)

    @pytest.hookimpl(trylast=True)  # after those who write reports down as they come
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._session.record(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        try:
            self._session.write_json()
        except OSError as error:
            self._session.notices.append(f"--tfmem-json: {error}")
            if exitstatus == pytest.ExitCode.OK:
                session.exitstatus = exitstatus = pytest.ExitCode.INTERNAL_ERROR
        self._session.finish(int(exitstatus))

    @pytest.hookimpl(optionalhook=True)  # of pytest-xdist
    def pytest_configure_node(self, node: Any) -> None:
        self._session.tell_worker(node.workerinput)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        measurements = self._session.measurements()
        held = self._session.held_against(measurements)
        notices = self._notices(measurements)
        if not measurements and not notices:
            return
        from pytest_tfmem.report.terminal import summary_lines  # noqa: PLC0415  only where there is something to say

        terminalreporter.ensure_newline()
        terminalreporter.section("memory budgets")
        verbosity = self._config.get_verbosity("tfmem")
        width = self._config.get_terminal_writer().fullwidth
        for line in summary_lines(measurements, width=width, verbosity=verbosity, notices=notices, held=held):
            terminalreporter.write_line(line.text, **line.markup)

    def _notices(self, measurements: Sequence[Measurement]) -> list[str]:
        """What the user should know of the session, each once: a history that is away is one thing, not two."""
        notices = dict.fromkeys([*self._session.notices, *(one for test in measurements for one in test.notices)])
        if not (fault := self._session.recording.unreached):
            return list(notices)
        from pytest_tfmem.comparison import NOT_HELD  # noqa: PLC0415  loaded long since, where a run was to be sent

        if f"{NOT_HELD}: {fault}" not in notices:
            return list(notices)
        del notices[f"{NOT_HELD}: {fault}"]
        told = f"{NOT_REACHED}: {fault}"
        return [one.replace(told, f"{told}; nor is it held against earlier runs", 1) for one in notices]
