"""A second run of a test, under TensorFlow's profiler: for what its tensors asked of an allocator that rounds up."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_tfmem.errors import one_line
from pytest_tfmem.figures import PHASES
from pytest_tfmem.isolate.controller import IsolatedTest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from pytest_tfmem.isolate.order import Order
    from pytest_tfmem.isolate.started import Started
    from pytest_tfmem.measure.devices import TensorPeak


def tensor_peaks(
    order: Order,
    *,
    start: Callable[[Order, float | None], Started],
    restore: Callable[[dict[str, Any]], pytest.TestReport],
) -> Sequence[TensorPeak] | str:
    """Run the test of this order once, for its tensors alone; or why nothing came of it, as a clause.

    What comes of the test itself is not looked at: it is run and judged again without the profiler. Raises OSError if
    its process cannot be started.
    """
    order = dataclasses.replace(order, start=msgspec.structs.replace(order.start, profiled=True))
    profiled = IsolatedTest(order, start=start, judge=lambda _: "", restore=restore, deliver=lambda _: None)
    try:
        return _result(profiled)
    finally:
        profiled.close()


def _result(profiled: IsolatedTest) -> Sequence[TensorPeak] | str:
    passes = True
    for phase in PHASES:
        if phase == "call" and not passes:
            continue
        result = profiled.run_phase(phase)
        if result.failure or result.stop is not None:
            return f"the profiled run ended early: {one_line(result.failure or 'the test stopped the session')}"
        passes = passes and result.report is not None and result.report.passed
    if not passes:
        return "the profiled run of the test did not pass"
    marks = profiled.observed.devices.get("teardown")
    if marks is None:
        return "the profiled run used no framework that the profiler is of"
    return marks.peaks or marks.why_no_peaks or "the profiled run allocated nothing on a GPU"
