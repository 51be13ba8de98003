"""What was requested of TensorFlow's GPU allocators at once, added up from the profiler's events.

BFC says only what it charged, which depends on what was there before. Its events say what was requested, too.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_tfmem.measure.devices import TensorPeak

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ALLOCATION, _DEALLOCATION = "MemoryAllocation", "MemoryDeallocation"
_GPU_ALLOCATOR = re.compile(r"GPU_(\d+)_bfc")  # by the number of the logical GPU


class Profiled(msgspec.Struct, frozen=True, kw_only=True):
    """The peaks of the GPUs' allocators while the profiler ran, or the `problem` for which there are none, a clause."""

    peaks: list[TensorPeak] = []
    problem: str = ""


class MemoryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An allocation, or with negative bytes its end, at a moment in picoseconds."""

    at: int
    allocator: str
    requested: int
    charged: int


class Profile:
    """TensorFlow's profiler, running from when this is made until `stop`; or `problem`, a clause, says why it is not.

    Only the events that are always recorded, of allocations among them. About 1 kB of host memory for each, so never
    in a process whose host memory is measured.
    """

    def __init__(self) -> None:
        self.problem = ""
        self._folder: Path | None = None
        try:
            import tensorflow as tf  # noqa: PLC0415  only for a test that is profiled
        except ImportError as error:
            self.problem = f"TensorFlow, whose profiler it needs, cannot be imported ({error})"
            return
        self._profiler: Any = tf.profiler.experimental
        self._folder = Path(tempfile.mkdtemp(prefix="tfmem-profile-"))
        options = self._profiler.ProfilerOptions(host_tracer_level=0, python_tracer_level=0, device_tracer_level=0)
        try:
            self._profiler.start(str(self._folder), options)
        except Exception as error:  # noqa: BLE001  whatever TensorFlow raises, the test has done nothing wrong
            self.problem = f"TensorFlow's profiler did not start ({error})"
            self._remove_folder()

    def stop(self, cards: Mapping[str, str]) -> Profiled:
        """Stop it, and add up what it has seen. `cards`: uuid of the GPU that each device, such as "GPU:0", is on."""
        if self._folder is None:
            return Profiled(problem=self.problem)
        try:
            self._profiler.stop()
            peaks = _peaks(_events_in(self._folder), cards)
        except Exception as error:  # noqa: BLE001  the same; and protobuf's own where the file is of another version
            return Profiled(problem=f"what TensorFlow's profiler recorded cannot be read ({error})")
        finally:
            self._remove_folder()
        if not peaks:
            return Profiled(problem="TensorFlow's profiler recorded no allocation on a GPU: only BFC's are recorded")
        return Profiled(peaks=peaks)

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None


def add_up(events: Iterable[MemoryEvent]) -> tuple[int, int]:
    """The most that was requested at once, and the most that was charged at once, of one allocator's events."""
    requested = charged = most_requested = most_charged = 0
    for event in sorted(events, key=lambda event: event.at):
        requested += event.requested
        charged += event.charged
        most_requested = max(most_requested, requested)
        most_charged = max(most_charged, charged)
    return most_requested, most_charged


def _peaks(events: Iterable[MemoryEvent], cards: Mapping[str, str]) -> list[TensorPeak]:
    by_device: dict[str, list[MemoryEvent]] = {}
    for event in events:
        gpu = _GPU_ALLOCATOR.fullmatch(event.allocator)
        if gpu is not None:
            by_device.setdefault(f"GPU:{gpu[1]}", []).append(event)
    peaks = []
    for device, its_events in sorted(by_device.items()):
        requested, charged = add_up(its_events)
        card = cards.get(device, "")
        peaks.append(TensorPeak(device=device, card=card, requested=requested, charged=charged))
    return peaks


def _events_in(folder: Path) -> Iterator[MemoryEvent]:
    """The allocations, and their ends, that the profiler has written below a folder (xplane.proto)."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2  # noqa: PLC0415  only for a test that is profiled

    for path in folder.rglob("*.xplane.pb"):
        space = xplane_pb2.XSpace()
        space.ParseFromString(path.read_bytes())
        for plane in space.planes:
            yield from _events_of(plane)


def _events_of(plane: Any) -> Iterator[MemoryEvent]:
    names = {number: metadata.name for number, metadata in plane.event_metadata.items()}
    stat_names = {number: metadata.name for number, metadata in plane.stat_metadata.items()}
    signs = {_ALLOCATION: 1, _DEALLOCATION: -1}
    for line in plane.lines:
        for event in line.events:
            sign = signs.get(names[event.metadata_id])
            if sign is None:
                continue
            stats = {stat_names[stat.metadata_id]: _value(stat, stat_names) for stat in event.stats}
            yield MemoryEvent(
                at=line.timestamp_ns * 1000 + event.offset_ps,
                allocator=stats["allocator_name"],
                requested=sign * stats["requested_bytes"],
                charged=sign * stats["allocation_bytes"],
            )


def _value(stat: Any, names: Mapping[int, str]) -> Any:
    kind = stat.WhichOneof("value")
    value = getattr(stat, kind)
    return names[value] if kind == "ref_value" else value
