"""A test run once more in a fresh process, for what it reads alone: its reports go nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tfmem.errors import one_line
from pytest_tfmem.figures import PHASES
from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.controller import IsolatedTest

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_tfmem.isolate.controller import Observed
    from pytest_tfmem.isolate.order import Order
    from pytest_tfmem.isolate.started import Started


def run_again(
    order: Order,
    *,
    named: str,
    start: Callable[[Order, float | None], Started],
    restore: Callable[[dict[str, Any]], pytest.TestReport],
) -> Observed | str:
    """What was observed of a run in which every phase passed; or why there is nothing, as a clause.

    `named` is how the clause calls this run: "the profiled run". Raises OSError if its process cannot be started.
    """
    test = IsolatedTest(order, start=start, judge=lambda _: wire.Judged(""), restore=restore, deliver=lambda _: None)
    try:
        return _result(test, named)
    finally:
        test.close()


def _result(test: IsolatedTest, named: str) -> Observed | str:
    passes = True
    for phase in PHASES:
        if phase == "call" and not passes:
            continue
        result = test.run_phase(phase)
        if result.failure or result.stop is not None:
            return f"{named} ended early: {one_line(result.failure or 'the test stopped the session')}"
        passes = passes and result.report is not None and result.report.passed
    return test.observed if passes else f"{named} of the test did not pass"
