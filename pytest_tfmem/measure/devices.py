"""What a test's process says of the devices that it has used, as its marks say it of the host's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from pytest_tfmem.explanations import Holder
from pytest_tfmem.figures import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

_PEAKS = ("peak", "reserved_peak", "requested_peak", "used_peak")


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU, or a part of one, as the CUDA of one process sees it.

    `ordinal`: its place among the visible devices. `uuid`: "GPU-..." or "MIG-...", by which the driver knows it too.
    `pci_bus_id`: "0000:01:00.0". `total_bytes`: its memory. `has_pools`: it can allocate in stream order, which
    TensorFlow's cuda_malloc_async needs.
    """

    ordinal: int
    uuid: str
    pci_bus_id: str
    name: str
    total_bytes: int
    compute_capability: tuple[int, int]
    has_pools: bool


class AllocatorMarks(msgspec.Struct, frozen=True, kw_only=True):
    """What a framework's allocator of one logical device says at one moment, in bytes.

    `device`: the framework's name of it, such as "GPU:0". `card`: uuid of the GPU that it is on, empty for a CPU's or
    where it could not be told. `allocator`: its kind, "cuda_malloc_async", "growth", "bfc", "cuda_malloc",
    "memory_guard", "cpu_bfc", "torch", ... `limit`: the most that it may hold, None where nothing limits it.
    `in_use`: now; `peak`: most since the last reset if `since_reset`, else since the process began; `reserved_peak`:
    most that its pool had taken from the driver, where the framework says so; `requested_peak`: most that was asked of
    it at once, without what it rounds up, where it keeps count of that. `why_not`: why it has no numbers. `unverified`:
    why `allocator` is what the process's settings say, not what was found to be in force; empty where it was found.
    """

    framework: str
    device: str
    card: str
    allocator: str
    limit: int | None = None
    in_use: int = 0
    peak: int = 0
    reserved_peak: int | None = None
    requested_peak: int | None = None
    since_reset: bool = True
    why_not: str = ""
    unverified: str = ""


def device_label(marks: AllocatorMarks) -> str:
    """How readings name the device: with the GPU that it is on, where that is known."""
    return f"{marks.card} ({marks.device})" if marks.card else marks.device


class PoolMarks(msgspec.Struct, frozen=True, kw_only=True):
    """High-water marks of a GPU's default memory pool since their reset, in bytes (cuMemPoolGetAttribute)."""

    card: str
    reserved_peak: int
    used_peak: int


class TensorPeak(msgspec.Struct, frozen=True, kw_only=True):
    """What the profiler's events add up to for one allocator, in bytes.

    `requested`: most that was requested at once; `charged`: most that the allocator counted for it, its own peak.
    """

    device: str
    card: str
    requested: int
    charged: int


class HeldAtPeak(msgspec.Struct, frozen=True, kw_only=True):
    """What was alive in one of TensorFlow's allocators when it held the most, by the profiler's events.

    `allocator`: by TensorFlow's name, such as "GPU_0_bfc". `counting`: whether bytes are as they were requested, or as
    the allocator charged them. `bytes`: the peak, in this `phase`. `holders`: the largest first; the rest of the bytes
    is of smaller ones, and of what was allocated before the profiler began. `where` of each is as Python has the file.
    """

    allocator: str
    device: str
    card: str
    counting: Literal["requested", "charged"]
    phase: Phase
    bytes: int
    holders: list[Holder]


class DeviceMarks(msgspec.Struct, frozen=True, kw_only=True):
    """What one process says of its devices at the end of a phase.

    `cards`: the GPUs on which it has a context. `allocators`: of every logical device whose framework is up. `peaks`:
    the profiler's, at the end of a profiled run, and `why_no_peaks` why it has none; `held`: what was alive at them, of
    the CPU's allocators too, where that was asked for. `problem`: what is in force though
    something else was asked for, a sentence for the user. `unread`: why some of this could not be read, a clause; what
    is missing is then not known.
    """

    cards: list[Card] = []
    allocators: list[AllocatorMarks] = []
    pools: list[PoolMarks] = []
    peaks: list[TensorPeak] = []
    held: list[HeldAtPeak] = []
    why_no_peaks: str = ""
    problem: str = ""
    unread: str = ""


_Marks = TypeVar("_Marks", AllocatorMarks, PoolMarks)


def joined(before: DeviceMarks | None, after: DeviceMarks | None) -> DeviceMarks | None:
    """The marks of two stretches of time, the one right after the other, as marks of both together."""
    if before is None or after is None:
        return after or before
    return DeviceMarks(
        cards=after.cards or before.cards,
        allocators=_joined(before.allocators, after.allocators, lambda one: (one.framework, one.device, one.card)),
        pools=_joined(before.pools, after.pools, lambda one: (one.card,)),
        peaks=after.peaks or before.peaks,
        held=after.held or before.held,
        why_no_peaks=after.why_no_peaks or before.why_no_peaks,
        problem=before.problem or after.problem,
        unread=before.unread or after.unread,
    )


def _joined(before: list[_Marks], after: list[_Marks], key: Callable[[_Marks], tuple[str, ...]]) -> list[_Marks]:
    found = {key(one): one for one in before}
    for one in after:
        earlier = found.get(key(one))
        found[key(one)] = one if earlier is None else _most(earlier, one)
    return list(found.values())


def _most(before: _Marks, after: _Marks) -> _Marks:
    if getattr(after, "why_not", "") and not getattr(before, "why_not", ""):
        return before  # it had numbers, and has none any more
    fields = [field for field in _PEAKS if hasattr(after, field)]
    return msgspec.structs.replace(
        after, **{field: _greater(getattr(before, field), getattr(after, field)) for field in fields}
    )


def _greater(one: int | None, other: int | None) -> int | None:
    return max((size for size in (one, other) if size is not None), default=None)
