"""What held the host's memory: by one more run of the test, under memray."""

from __future__ import annotations

import dataclasses
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.explain import newly
from pytest_tfmem.explain.again import NAMED
from pytest_tfmem.explain.reading import Captured, read
from pytest_tfmem.explanations import Explanation, Holder
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.explain.again import Again
    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.isolate.observed import Observed
    from pytest_tfmem.isolate.order import Order
    from pytest_tfmem.measure.marks import Marks
    from pytest_tfmem.settings import ExplainWhen

# The narrowest first: what the test itself added says the most of it.
_FIGURES = ("rss_growth", "rss_anon", "rss", "rss_tree")
_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
_MISSING = "memray is not installed (pip install 'pytest-tfmem[explain]')"
_KEPT = 50
_LEAST_SHARE = 0.5  # of what the first run added: less than that is another program
_NEAR_SHARE = 0.9
_NOT_SMALL_BYTES = 16 << 20  # of which a share says something

WITHOUT_ONEDNN = "TensorFlow ran without oneDNN there: each tensor stands where it was made"
IN_REGIONS = "TensorFlow takes regions for many tensors: each stands where it was taken"
WARMED_UP = "memray counts the warm-up, too: what is named may be its, and not the measured call's"
OF_ONE_PROCESS = "memray does not follow the processes that the test started"


def wanted(measured: Measurement, when: ExplainWhen) -> list[str]:
    """The host figures that are to be explained: those over their limits, or all that have a reading."""
    over = [figure for figure in _FIGURES if measured.verdicts.get(figure) == "over"]
    regressed = [figure for figure in _FIGURES if any(one.figure == figure for one in measured.regressions)]
    if over or regressed or when != "always":
        return list(dict.fromkeys([*over, *regressed]))
    limited = [figure for figure in _FIGURES if figure in measured.limits]
    return limited or [figure for figure in _FIGURES[:1] if figure in measured.readings]


def explain(again: Again, figures: Sequence[str]) -> list[Explanation]:
    """What held the first of the figures: what the test allocated, and what was there before it.

    One second run tells of them all: they count the same memory.
    """
    figure = figures[0]
    if find_spec("memray") is None:
        return [Explanation(figure=figure, failed=_MISSING)]
    capture = again.folder / "capture.memray"
    order, notes = _order(again, capture)
    observed = again.run(order)
    if isinstance(observed, str):
        return [Explanation(figure=figure, failed=observed, seconds=again.seconds)]
    differs, too_much = _differs(again.measured, observed)
    if too_much:
        return [Explanation(figure=figure, failed=differs, seconds=again.seconds)]
    captured = read(capture, root=again.root, graphs=again.graphs)
    if isinstance(captured, str):
        return [Explanation(figure=figure, failed=captured, seconds=again.seconds)]
    notes += [OF_ONE_PROCESS] if figure == "rss_tree" else []
    return [_made(figure, again, observed, captured, [*([differs] if differs else []), *notes])]


def _order(again: Again, capture: os.PathLike[str]) -> tuple[Order, list[str]]:
    """The order for the run under memray, and what is to be said of it."""
    start = msgspec.structs.replace(again.order.start, tracked=os.fsencode(capture), calls=0)
    order = dataclasses.replace(again.order, start=start)
    warmed = [WARMED_UP] if start.warm_up else []
    if not again.used_tensorflow:
        return order, warmed
    chosen = {**order.environment, **order.start.runtime.env}
    if start.runtime.cpu_allocator or _ONEDNN in chosen:
        in_regions = chosen.get(_ONEDNN) != "0" or start.runtime.cpu_allocator
        return order, [*warmed, IN_REGIONS] if in_regions else warmed
    return dataclasses.replace(order, environment={**order.environment, _ONEDNN: "0"}), [*warmed, WITHOUT_ONEDNN]


def _differs(measured: Measurement, observed: Observed) -> tuple[str, bool]:
    """What is to be said where the second run added less than the first; and whether it is too little to explain it."""
    first = max((int(phase.get("rss_growth_bytes", 0)) for phase in measured.phases.values()), default=0)
    second = max((marks.end.peak - marks.start.rss for marks in observed.phases.values()), default=0)
    if first < _NOT_SMALL_BYTES or second >= first * _NEAR_SHARE:
        return "", False
    said = f"{NAMED} added {format_size(max(second, 0))} where the first added {format_size(first)}"
    return said, second < first * _LEAST_SHARE


def _made(figure: str, again: Again, observed: Observed, captured: Captured, notes: Sequence[str]) -> Explanation:
    before = _before_setup(figure, next(iter(observed.phases.values())).start)
    holders = sorted([*captured.holders, *before], key=lambda holder: -holder.bytes)[:_KEPT]
    peak = captured.peak_bytes + sum(holder.bytes for holder in before)
    explanation = Explanation(
        figure=figure,
        peak_bytes=peak,
        holders=holders,
        unexplained_bytes=peak - sum(holder.bytes for holder in holders),
        source="memray",
        allocator=again.measured.allocator,
        seconds=round(again.seconds, 3),
        flame_graph=captured.flame_graph,
        notes=list(notes),
    )
    return newly.against(explanation, again.earlier(figure))


def _before_setup(figure: str, start: Marks) -> list[Holder]:
    """What was resident before the test's setup, which a figure of the whole process counts."""
    if figure == "rss_growth":
        return []
    held = start.rss - ((start.file or 0) + (start.shmem or 0) if figure == "rss_anon" else 0)
    return [Holder(bytes=held, what="before setup: the interpreter, pytest and imports", kind="native")]
