"""From what a test's process said of its devices to readings: which number is which figure, and how good it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pytest_tfmem.figures import DEVICE_FIGURES, PHASES, NotMeasured, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_tfmem.figures import AnyReading, FigureReading, Phase
    from pytest_tfmem.measure.devices import AllocatorMarks, Card, DeviceMarks, TensorPeak

NO_FRAMEWORK = "the test imported no framework that uses a GPU"
NO_DEVICE = "the test used no GPU"
ENDED = "the test's process ended before it said what it used"
_NO_CPU_TENSORS = "TensorFlow does not count them unless tf_runtime(cpu_allocator='bfc') says so"
_ROUNDS_UP = "{allocator} rounds up: gpu_tensors=True on memory_budget, or --tfmem-explain, has them counted"
ROUNDING = ("growth", "bfc", "memory_guard")  # BFC, which retries, too, before it gives up
_CPU = "CPU"
# Their marks are reset before the call, so that what came before in it does not count.
_RESET = ("rss", "rss_growth", "rss_anon", "gpu", "gpu_tensors", "gpu_reserved", "cpu_tensors")


class _Logical(NamedTuple):
    """A logical device of a framework: its allocator is the same through all phases."""

    framework: str
    device: str
    card: str

    @property
    def label(self) -> str:
        return f"{self.card} ({self.device})" if self.card else self.device


def device_readings(
    phases: Mapping[Phase, DeviceMarks | None],
    *,
    footprint: FigureReading,
    tensors: Sequence[TensorPeak] | str,
    no_gpu: str = "",
) -> dict[str, FigureReading]:
    """Readings of every device figure of a test that has reached the end of the phases given.

    A phase's marks are None where no framework was loaded. `footprint`: what the driver said of the process.
    `tensors`: what a profiled run of the test added up to, or why there was none, empty where nobody asked. `no_gpu`:
    why nothing of a GPU is measured here, if so.
    """
    found = [marks for phase in PHASES if (marks := phases.get(phase)) is not None]
    logical = _by_device(found)
    gpus = {one: marks for one, marks in logical.items() if not one.device.startswith(_CPU)}
    readings: dict[str, FigureReading] = {"cpu_tensors": _cpu_tensors(logical)}
    if no_gpu or not gpus:
        unread = next((marks.unread for marks in found if marks.unread), "")
        reason = no_gpu or unread or (NO_DEVICE if found else NO_FRAMEWORK)
        if not no_gpu and isinstance(footprint, list):
            readings["gpu_footprint"] = footprint  # seen from outside, of a process that said nothing, or not of this
        return {figure: readings.get(figure, NotMeasured(reason)) for figure in DEVICE_FIGURES}
    readings["gpu"] = [_in_use(one, marks) for one, marks in gpus.items()]
    readings["gpu_tensors"] = [_requested(one, marks, tensors) for one, marks in gpus.items()]
    readings["gpu_reserved"] = [_reserved(one, marks, found, footprint) for one, marks in gpus.items()]
    readings["gpu_footprint"] = footprint
    return {figure: readings[figure] for figure in DEVICE_FIGURES}


def allocator_in_force(phases: Mapping[Phase, DeviceMarks | None]) -> str:
    """TensorFlow's GPU allocator, by name; empty where it has made no GPU device."""
    marks = [one for devices in phases.values() if devices for one in devices.allocators]
    return next((one.allocator for one in marks if one.framework == "tensorflow" and one.device[:3] == "GPU"), "")


def cards_used(phases: Mapping[Phase, DeviceMarks | None]) -> list[Card]:
    """The GPUs on which the process had a context, in CUDA's order."""
    cards = {card.uuid: card for devices in phases.values() if devices for card in devices.cards}
    return sorted(cards.values(), key=lambda card: card.ordinal)


def _by_device(found: Sequence[DeviceMarks]) -> dict[_Logical, list[AllocatorMarks]]:
    devices: dict[_Logical, list[AllocatorMarks]] = {}
    for marks in found:
        for one in marks.allocators:
            devices.setdefault(_Logical(one.framework, one.device, one.card), []).append(one)
    return devices


def _in_use(device: _Logical, marks: Sequence[AllocatorMarks]) -> AnyReading:
    read = [one for one in marks if not one.why_not]
    if not read:
        return NotMeasured(marks[-1].why_not, device.label)
    peak = max(read, key=lambda one: one.peak)
    source = f"{peak.allocator} ({device.framework})"
    if not peak.since_reset:
        source += ", since the process began"
    # BFC counts whole chunks, up to twice what was requested, as its history has it.
    exact = peak.since_reset and peak.allocator not in ROUNDING
    return Reading(bytes=peak.peak, exactness="exact" if exact else "upper-bound", source=source, device=device.label)


def _requested(device: _Logical, marks: Sequence[AllocatorMarks], tensors: Sequence[TensorPeak] | str) -> AnyReading:
    allocator = marks[-1].allocator
    counted = [one for one in marks if one.requested_peak is not None]
    if counted:
        most = max(counted, key=lambda one: one.requested_peak or 0)
        return _in_use(device, [msgspec.structs.replace(most, peak=most.requested_peak or 0)])
    if allocator not in ROUNDING:
        return NotMeasured(marks[-1].why_not or f"{allocator} does not count them", device.label)
    if isinstance(tensors, str):
        return NotMeasured(tensors or _ROUNDS_UP.format(allocator=allocator), device.label)
    peak = next((one for one in tensors if (one.device, one.card) == (device.device, device.card)), None)
    if peak is None:
        return NotMeasured("the profiled run allocated nothing on it", device.label)
    return Reading(
        bytes=peak.requested, exactness="exact", source="events of a second, profiled run", device=device.label
    )


def _reserved(
    device: _Logical, marks: Sequence[AllocatorMarks], found: Sequence[DeviceMarks], footprint: FigureReading
) -> AnyReading:
    allocator = marks[-1].allocator
    pools = [pool.reserved_peak for devices in found for pool in devices.pools if pool.card == device.card]
    told = [one.reserved_peak for one in marks if one.reserved_peak is not None]
    if told and allocator == "bfc":
        source = "the region that bfc took at once, by the driver"
        return Reading(bytes=max(told), exactness="lower-bound", source=source, device=device.label)
    if told:
        return Reading(bytes=max(told), exactness="exact", source=f"{allocator}'s own count", device=device.label)
    if allocator == "cuda_malloc_async" and pools:
        return Reading(
            bytes=max(pools), exactness="exact", source="high mark of the driver's pool", device=device.label
        )
    if allocator == "cuda_malloc":
        return NotMeasured("cuda_malloc has no pool", device.label)
    whole = [one for one in footprint if _is_of(one, device)] if isinstance(footprint, list) else []
    if whole and isinstance(whole[0], Reading):
        source = f"{whole[0].source}: the CUDA context is in it too"
        return Reading(bytes=whole[0].bytes, exactness="upper-bound", source=source, device=device.label)
    return NotMeasured(f"{allocator} does not say what it reserves, and gpu_footprint was not measured", device.label)


def _is_of(reading: AnyReading, device: _Logical) -> bool:
    return bool(device.card) and (reading.device or "").startswith(device.card)


def _cpu_tensors(logical: Mapping[_Logical, list[AllocatorMarks]]) -> FigureReading:
    cpus = [marks for one, marks in logical.items() if one.device.startswith(_CPU)]
    read = [one for marks in cpus for one in marks if not one.why_not]
    if not read:
        return NotMeasured(cpus[0][0].why_not if cpus else _NO_CPU_TENSORS)
    peak = max(one.peak for one in read)
    return Reading(bytes=peak, exactness="upper-bound", source="TensorFlow's CPU allocator (bfc)")


def incomplete(readings: Mapping[str, FigureReading]) -> dict[str, FigureReading]:
    """The readings of a test whose process did not end well: nobody knows what came after the last mark.

    Not gpu_footprint, which was read from outside and says itself how far it goes.
    """
    return {
        figure: reading if figure == "gpu_footprint" else _each(reading, _as_last_known)
        for figure, reading in readings.items()
    }


def warmed_up(readings: Mapping[str, FigureReading], calls: int) -> dict[str, FigureReading]:
    """The readings, each that leaves out what `calls` of the test's body before its own have used saying so."""
    if not calls:
        return dict(readings)
    said = f"after {calls} warm-up call{'s' * (calls > 1)}"

    def told(reading: AnyReading) -> AnyReading:
        if isinstance(reading, NotMeasured):
            return reading
        return msgspec.structs.replace(reading, source=f"{reading.source}, {said}")

    return {figure: _each(one, told) if figure in _RESET else one for figure, one in readings.items()}


def _each(reading: FigureReading, change: Callable[[AnyReading], AnyReading]) -> FigureReading:
    return [change(one) for one in reading] if isinstance(reading, list) else change(reading)


def _as_last_known(reading: AnyReading) -> AnyReading:
    if isinstance(reading, NotMeasured):
        return NotMeasured(ENDED) if reading.not_measured in {NO_FRAMEWORK, NO_DEVICE} else reading
    source = f"{reading.source}, before its process ended"
    return msgspec.structs.replace(reading, exactness="sampled", error_bytes=None, source=source)
