"""From what was alive in allocators at their peaks to explanations: of which figure, and what to know with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.explanations import Explanation
from pytest_tfmem.figures import GPU_FIGURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_tfmem.explanations import Holder
    from pytest_tfmem.measure.devices import HeldAtPeak

SOURCE = "TensorFlow's profiler"
SILENT = ("cuda_malloc_async", "cuda_malloc")  # whose allocations the profiler is not told of
SPOKEN_FOR_BY = "growth"  # the allocator under which a test is explained that has one of them

_TAKEN_ELSEWHERE = "only tensors: not the CUDA context, libraries and what is in reserve"


def device_explanations(
    held: Sequence[HeldAtPeak], figures: Iterable[str], *, allocator: str, root: Path, seconds: float = 0.0
) -> list[Explanation]:
    """What held the memory of these figures, a figure of a GPU once for each GPU; none for those that `held` is not of.

    `allocator`: TensorFlow's GPU allocator that was in force when the test was measured. Figures that come to the same
    tensors are explained once, by the first of them. `root`: the folder from which files are named.
    """
    explained: dict[tuple[str, str], Explanation] = {}
    for figure in figures:
        for one in held:
            if _is_of(one, figure, allocator):
                told = _explanation(one, figure, allocator, root, seconds)
                explained.setdefault((one.allocator, one.counting), told)
    return list(explained.values())


def _is_of(held: HeldAtPeak, figure: str, allocator: str) -> bool:
    if figure not in GPU_FIGURES:
        return figure == "cpu_tensors" and held.allocator.startswith("bfc_cpu") and held.counting == "charged"
    # Where BFC was measured, as it counts, but for the figure that is of what was asked of it.
    requested = figure == "gpu_tensors" or allocator in SILENT
    return held.device.startswith("GPU") and held.counting == ("requested" if requested else "charged")


def _explanation(held: HeldAtPeak, figure: str, allocator: str, root: Path, seconds: float) -> Explanation:
    told = _told(held, figure, root)
    notes = list(told.notes)
    if held.device.startswith("GPU") and allocator in SILENT:
        notes.append(f"under {SPOKEN_FOR_BY}: {allocator} tells of no single tensor")
    if figure in {"gpu_reserved", "gpu_footprint"}:
        notes.append(_TAKEN_ELSEWHERE)
    return msgspec.structs.replace(told, seconds=seconds, notes=notes)


def _told(held: HeldAtPeak, figure: str, root: Path) -> Explanation:
    holders = [_from_root(one, root) for one in held.holders]
    return Explanation(
        figure=figure,
        device=f"{held.card} ({held.device})" if held.card else held.device if held.device != "CPU:0" else "",
        peak_bytes=held.bytes,
        holders=holders,
        unexplained_bytes=held.bytes - sum(one.bytes for one in holders),
        source=SOURCE,
        allocator=held.allocator,
        notes=[] if held.phase == "call" else [f"the peak was in {held.phase}"],
    )


def _from_root(holder: Holder, root: Path) -> Holder:
    file, _, line = holder.where.rpartition(":")
    if not file or not Path(file).is_relative_to(root):
        return holder
    return msgspec.structs.replace(holder, where=f"{Path(file).relative_to(root).as_posix()}:{line}")
