"""The budgets file brought up to date at the end of a session, as `--tfmem-update` asks."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from pytest_tfmem.budgets.edit import AddEntry, Remove, SetLimit, edited, new_file
from pytest_tfmem.budgets.file import read_budgets, read_data
from pytest_tfmem.budgets.ondisk import write_budgets
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.settings.options import DEFAULT_BUDGETS, OFF
from pytest_tfmem.upkeep.suite import ControllerCollecting, WorkerCollecting

if TYPE_CHECKING:
    from pytest_tfmem.budgets.model import BudgetsFile
    from pytest_tfmem.history.series import History
    from pytest_tfmem.report.upkeep import Changed
    from pytest_tfmem.session import TfmemSession
    from pytest_tfmem.upkeep.plan import Plan, Planner


def keep_up(session: TfmemSession, config: pytest.Config) -> None:
    """Have the session's budgets file brought up to date at its end."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(WorkerCollecting(config), "tfmem-suite")
        return
    collecting = ControllerCollecting(config)
    config.pluginmanager.register(collecting, "tfmem-suite")
    config.pluginmanager.register(Keeper(session, config, collecting), "tfmem-keeper")


class Keeper:
    """Plans the changes when all tests have run, makes them, and shows them below the summary."""

    def __init__(self, session: TfmemSession, config: pytest.Config, collecting: ControllerCollecting) -> None:
        self._session = session
        self._config = config
        self._collecting = collecting
        self._path = session.settings.budgets
        self._shown = session.budgets.shown if session.budgets else DEFAULT_BUDGETS
        self._read = read_data(self._path, shown=self._shown) if self._path else None
        self._changed: Changed | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        from pytest_tfmem.report.upkeep import Changed  # noqa: PLC0415

        preview = "preview" in self._session.settings.update
        try:
            plan = self._planner(session).plan(self._session.settings.update)
            before = self._read or b""
            after = self._with(plan) if plan.all else before
            if plan.all and not preview:
                path = self._path or self._config.rootpath / DEFAULT_BUDGETS
                write_budgets(path, after, read=self._read, shown=self._shown)
        except TfmemError as error:
            self._changed = Changed(shown=self._shown, error=str(error))
            return
        self._changed = Changed(
            shown=self._shown,
            before=before,
            after=after,
            counts=_counts(plan),
            remarks=plan.remarks,
            preview=preview,
        )

    @pytest.hookimpl(trylast=True)  # below the section with the measurements
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._changed is None:
            return
        from pytest_tfmem.report.upkeep import TITLE, upkeep_lines  # noqa: PLC0415

        width = self._config.get_terminal_writer().fullwidth
        verbosity = self._config.get_verbosity("tfmem")
        terminalreporter.section(TITLE)
        for line in upkeep_lines(self._changed, width=width, verbosity=verbosity):
            terminalreporter.write_line(line.text, **line.markup)

    def _planner(self, session: pytest.Session) -> Planner:
        from pytest_tfmem.upkeep.needs import Needs  # noqa: PLC0415
        from pytest_tfmem.upkeep.plan import Planner  # noqa: PLC0415

        file = self._file()
        measurements = self._session.measurements()
        before = self._before([test.nodeid for test in measurements])
        header = self._session.recording.header
        return Planner(
            file,
            measurements,
            needs=Needs(header.environment, before, file.defaults.tolerance if file else None),
            profiles=_profiles(file),
            suite=self._collecting.suite(self._session.settings, session),
            today=dt.datetime.now(tz=dt.UTC).date(),
        )

    def _file(self) -> BudgetsFile | None:
        return None if self._read is None else read_budgets(self._read, shown=self._shown)

    def _before(self, nodeids: list[str]) -> History:
        from pytest_tfmem.history.baseline import load_baseline  # noqa: PLC0415

        settings = self._session.settings
        named = [location for location in settings.baseline if location != OFF]
        locations = named if settings.baseline else [settings.history] if settings.history else []
        # What cannot be read of it is told where the run is held against it.
        return load_baseline(
            locations,
            self._session.recording.header.run,
            root=self._config.rootpath,
            named=bool(named),
            nodeids=nodeids,
            same_code=True,
        ).history

    def _with(self, plan: Plan) -> bytes:
        if self._read is None:
            entries = [edit for edit in plan.all if isinstance(edit, AddEntry)]
            return new_file(entries, shown=self._shown)
        return edited(self._read, plan.all, shown=self._shown)


def _profiles(file: BudgetsFile | None) -> frozenset[str]:
    from pytest_tfmem.budgets.resolve import active_profiles  # noqa: PLC0415
    from pytest_tfmem.measure.nvml import gpu_names  # noqa: PLC0415

    return active_profiles(file, gpu_names()) if file and file.profiles else frozenset()


def _counts(plan: Plan) -> list[str]:
    """What the plan does, as `3 limits raised`, in the order in which it is asked for."""
    counted = {
        "limit raised": len(plan.edits.get("raise", [])),
        "limit trimmed": len(plan.edits.get("trim", [])),
        "entry created": sum(isinstance(edit, AddEntry) for edit in plan.edits.get("create", [])),
        "limit added": sum(isinstance(edit, SetLimit) for edit in plan.edits.get("create", [])),
        "entry removed": sum(edit.section == "budgets" for edit in _removals(plan)),
        "waiver removed": sum(edit.section == "waivers" for edit in _removals(plan)),
    }
    return [_count(number, what) for what, number in counted.items() if number]


def _removals(plan: Plan) -> list[Remove]:
    return [edit for edit in plan.edits.get("prune", []) if isinstance(edit, Remove)]


def _count(number: int, what: str) -> str:
    noun, done = what.split()
    many = {"entry": "entries"}.get(noun, f"{noun}s")
    return f"{number} {noun if number == 1 else many} {done}"
