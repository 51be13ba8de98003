"""A test run once more in a fresh process, for what it reads alone: its reports go nowhere."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from pytest_tfmem.errors import one_line
from pytest_tfmem.figures import PHASES
from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.child_devices import profile_folder
from pytest_tfmem.isolate.controller import IsolatedTest

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_tfmem.figures import Phase
    from pytest_tfmem.isolate.observed import Observed
    from pytest_tfmem.isolate.order import Order
    from pytest_tfmem.isolate.started import Started


def run_again(
    order: Order,
    *,
    named: str,
    start: Callable[[Order, float | None], Started],
    restore: Callable[[dict[str, Any]], pytest.TestReport],
    measure: Callable[[IsolatedTest, wire.MeasureWanted], wire.CallMeasured | None] | None = None,
    must_pass: bool = True,
) -> Observed | str:
    """What was observed of a run in which no phase raised anything; or why there is nothing, as a clause.

    Where it need not pass, of one that came to its end. `named` is how the clause calls this run: "the profiled run".
    Raises OSError if its process cannot be started.
    """
    # Not by their reports: a test that is to fail for what it uses (xfail) is reported as failed if it is not failed.
    passed: set[Phase] = set()

    def judge(phase: Phase) -> wire.Judged:
        passed.add(phase)
        return wire.Judged("")

    test = IsolatedTest(order, start=start, judge=judge, restore=restore, deliver=lambda _: None, measure=measure)
    try:
        return _result(test, passed, named, must_pass=must_pass)
    finally:
        test.close()
        shutil.rmtree(profile_folder(order.start), ignore_errors=True)  # of a process that was killed


def _result(test: IsolatedTest, passed: set[Phase], named: str, *, must_pass: bool) -> Observed | str:
    for phase in PHASES:
        if phase == "call" and "setup" not in passed:
            continue
        result = test.run_phase(phase)
        if result.failure or result.stop is not None:
            return f"{named} ended early: {one_line(result.failure or 'the test stopped the session')}"
    if must_pass and not passed.issuperset(PHASES):
        return f"{named} of the test did not pass"
    return test.observed
