"""What explains the tests of one session: what is to be explained, where its files go, and what earlier runs say."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.explain import flow
from pytest_tfmem.explain.again import Again
from pytest_tfmem.explain.earlier import Earlier
from pytest_tfmem.history.runfiles import make_folder
from pytest_tfmem.report.explanation import put_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import pytest

    from pytest_tfmem.explanations import Explanation
    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.isolate import wire
    from pytest_tfmem.isolate.controller import IsolatedTest
    from pytest_tfmem.isolate.order import Order
    from pytest_tfmem.isolate.started import Started
    from pytest_tfmem.settings import Settings


class Explaining:
    """`root` is the root directory; `runs` the folder of run files, None where none are kept; `run_id` this run's."""

    def __init__(self, settings: Settings, *, root: Path, runs: Path | None, run_id: Callable[[], str]) -> None:
        self._when = settings.explain
        self._root = root
        self._runs = runs
        self._earlier = Earlier(settings, root=root, run_id=run_id)

    def wants(self, measured: Measurement) -> bool:
        """Whether this test is to be run again when its process has ended."""
        return flow.is_wanted(measured, self._when)

    def explain(
        self,
        measured: Measurement,
        order: Order,
        *,
        session: pytest.Session,
        report: pytest.TestReport,
        start: Callable[[Order, float | None], Started],
        restore: Callable[[dict[str, Any]], pytest.TestReport],
        measure: Callable[[IsolatedTest, wire.MeasureWanted], wire.CallMeasured | None],
        used_tensorflow: bool,
    ) -> list[Explanation]:
        """Run the test of this order again, and let what held its memory stand in its report.

        Ctrl-C meanwhile ends that, and the session as soon as this test, whose figures are there, is reported.
        """
        # The attempt's own may hold what its author wants to see.
        folder = Path(f"{os.fsdecode(order.start.basetemp)}-explain")

        def again() -> Again:
            folder.mkdir(parents=True, exist_ok=True)
            return Again(
                order=_in_folder(order, folder, _most(measured)),
                start=start,
                restore=restore,
                measure=measure,
                measured=measured,
                root=self._root,
                folder=folder,
                graphs=self._graphs(),
                used_tensorflow=used_tensorflow,
                earlier=lambda figure: self._earlier.of(measured.nodeid, figure),
            )

        try:
            found = flow.explain(again, measured, self._when)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if flow.is_interrupted(found):
            self._stop(session, measured)
        put_on(report, found)
        return found

    def _stop(self, session: pytest.Session, measured: Measurement) -> None:
        self._when = "off"
        session.shouldstop = f"what held the memory of {measured.nodeid} is not explained"

    def _graphs(self) -> Path | None:
        """The folder of run files, made if need be; None where none can be: the run file's own notice tells of it."""
        try:
            if self._runs is not None:
                make_folder(self._runs)
        except OSError:
            return None
        return self._runs


def _in_folder(order: Order, folder: Path, most_seconds: float) -> Order:
    start = msgspec.structs.replace(order.start, basetemp=os.fsencode(folder / "basetemp"))
    return dataclasses.replace(order, start=start, timeout_seconds=order.timeout_seconds or most_seconds)


def _most(measured: Measurement) -> float:
    """How long the second run of a test without a timeout may take, in seconds: no explanation is worth a session."""
    return 600.0 + 20 * sum(float(phase.get("seconds", 0)) for phase in measured.phases.values())
