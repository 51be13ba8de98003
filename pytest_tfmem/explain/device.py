"""What held a device's memory: the tensors alive at its peak, by one more run under TensorFlow's profiler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.explain import newly
from pytest_tfmem.explanations import Explanation
from pytest_tfmem.figures import DEVICE_FIGURES, GPU_FIGURES, greatest
from pytest_tfmem.isolate.profiled import held_in, order_to_explain
from pytest_tfmem.measure.device_explanations import device_explanations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.explain.again import Again
    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.settings import ExplainWhen

_USUAL = ("gpu", "cpu_tensors")  # of a test without a limit on a device
_OTHERS = "only TensorFlow's allocators tell of single tensors"
_ONE_PROFILER = "a process has one profiler, so a test that profiles itself cannot be explained"
_NOTHING = "the profiler saw no tensors on that device"


def wanted(measured: Measurement, when: ExplainWhen) -> list[str]:
    """The device figures that are to be explained: those that made the test fail, or all that have a reading."""
    if measured.outcome == "failed" and measured.out_of_memory:
        return ["gpu"]
    over = [figure for figure in DEVICE_FIGURES if measured.verdicts.get(figure) == "over"]
    regressed = [one.figure for one in measured.regressions if one.figure in DEVICE_FIGURES]
    if over or regressed or when != "always":
        return list(dict.fromkeys([*over, *regressed]))
    limited = [figure for figure in DEVICE_FIGURES if figure in measured.limits]
    return [figure for figure in limited or _USUAL if greatest(measured.readings.get(figure)) is not None]


def explain(again: Again, figures: Sequence[str]) -> list[Explanation]:
    """What held them, by one more run of the test: figures of the same tensors are explained once.

    Of a test to which memory was refused, what was alive at its peak before that.
    """
    measured = again.measured
    if not measured.allocator and set(figures) <= set(GPU_FIGURES):
        return [Explanation(figure=figures[0], failed=_OTHERS)]
    observed = again.run(order_to_explain(again.order), must_pass=not measured.out_of_memory)
    held = observed if isinstance(observed, str) else held_in(observed)
    if isinstance(held, str):
        why = f"{held}; {_ONE_PROFILER}" if isinstance(observed, str) else held
        return [Explanation(figure=figures[0], failed=why, seconds=again.seconds)]
    seconds = round(again.seconds, 3)
    found = device_explanations(held, figures, allocator=measured.allocator, root=again.root, seconds=seconds)
    if not found:
        return [Explanation(figure=figures[0], failed=_NOTHING, seconds=seconds)]
    return [newly.against(one, again.earlier(one.figure)) for one in found]
