"""Whether a pytest session runs the whole suite, and if not, why not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tfmem.errors import one_line
from pytest_tfmem.isolate.identity import collected_id, escaped, ungrouped
from pytest_tfmem.upkeep.plan import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.settings import Settings

_WORKER_OUTPUT = "tfmem_suite"
# By name of the value in pytest's options: what leaves tests out.
_LEAVING_OUT = {
    "keyword": "-k",
    "markexpr": "-m",
    "deselect": "--deselect",
    "ignore": "--ignore",
    "ignore_glob": "--ignore-glob",
    "lf": "--last-failed",
    "stepwise": "--stepwise",
    "collectonly": "--collect-only",
}


class Collecting:
    """Sees what becomes of the collection, in whatever process collects: this one, or xdist's workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.nodeids: dict[str, None] = {}
        self.deselected = 0
        self.failed: list[str] = []
        self.skipped: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(escaped(report.nodeid))
        elif report.skipped:
            self.skipped.append(escaped(report.nodeid))

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self.deselected += len(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.nodeids.update(dict.fromkeys(collected_id(item) for item in session.items))


class WorkerCollecting(Collecting):
    """The same in a worker of pytest-xdist, which tells the controller of it."""

    @pytest.hookimpl(tryfirst=True)  # before xdist's own, which sends what stands in workeroutput
    def pytest_sessionfinish(self) -> None:
        output: dict[str, Any] = self._config.workeroutput  # type: ignore[attr-defined]  # xdist sets it
        output[_WORKER_OUTPUT] = {"deselected": self.deselected, "skipped": self.skipped}


class ControllerCollecting(Collecting):
    """The same in the session's controller, which hears from workers if it has any."""

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(config)
        self._lost_workers = 0

    @property
    def is_grouped(self) -> bool:
        """Whether xdist adds the name of its group to a test's id."""
        return bool(self._config.getoption("dist", "no") == "loadgroup")

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        names = (ungrouped(nodeid) for nodeid in ids) if self.is_grouped else ids
        self.nodeids.update(dict.fromkeys(map(escaped, names)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        # None after a crash, and xdist may not have set it at all.
        told = (getattr(node, "workeroutput", None) or {}).get(_WORKER_OUTPUT)
        if told is None:
            self._lost_workers += 1
            return
        self.deselected = max(self.deselected, told["deselected"])
        self.skipped += [nodeid for nodeid in told["skipped"] if nodeid not in self.skipped]

    def suite(self, settings: Settings, session: pytest.Session) -> Suite:
        """The tests that were collected, and the first reason why these may not be all."""
        part_of = next(self._reasons(settings, session), "")
        return Suite(nodeids=list(self.nodeids), part_of=part_of, unseen=self.skipped)

    def _reasons(self, settings: Settings, session: pytest.Session) -> Iterator[str]:
        """Why the session has not run, or not seen, all of the suite."""
        if settings.shard:
            yield f"this is shard {settings.shard[0]} of {settings.shard[1]}"
        if left_out := [option for name, option in _LEAVING_OUT.items() if self._config.getoption(name, None)]:
            yield f"{' and '.join(left_out)} may leave tests out"
        if asked := _asked_for(self._config):
            yield f"only {one_line(asked, most=60)} was asked for"
        if self.failed:
            more = f" and {len(self.failed) - 1} more" if len(self.failed) > 1 else ""
            yield f"{one_line(self.failed[0], most=60)}{more} could not be collected"
        if self.deselected:
            yield "1 test was deselected" if self.deselected == 1 else f"{self.deselected} tests were deselected"
        if self._lost_workers:
            yield "a worker of pytest-xdist was lost"
        if not self.nodeids:
            yield "no tests were collected"
        if session.shouldstop or session.shouldfail or session.exitstatus not in {0, 1}:
            yield "the session did not come to its end"


def _asked_for(config: pytest.Config) -> str:
    """The part of the suite that was named in its place; empty if it was all of it."""
    source = config.args_source
    if source is pytest.Config.ArgsSource.TESTPATHS:
        return ""
    places = [Path(config.invocation_params.dir, argument.partition("::")[0]).resolve() for argument in config.args]
    suite = [config.rootpath / path for path in config.getini("testpaths")] or [config.rootpath]
    if all(any(part.resolve().is_relative_to(place) for place in places) for part in suite):
        return "" if not any("::" in argument for argument in config.args) else " ".join(config.args)
    return " ".join(config.args) if source is pytest.Config.ArgsSource.ARGS else str(config.invocation_params.dir)
