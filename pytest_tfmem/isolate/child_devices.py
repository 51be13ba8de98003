"""What the test's process does about its devices at the end of each phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.isolate.runtime import apply_to_devices, apply_visible_devices
from pytest_tfmem.measure.allocator import read_devices
from pytest_tfmem.measure.devices import DeviceMarks

if TYPE_CHECKING:
    from pytest_tfmem.figures import Phase
    from pytest_tfmem.isolate import wire


def prepare_devices(start: wire.Start) -> None:
    """Before anything touches a device: which are visible, how they are divided, and the profiler if it is asked for.

    Raises TfmemError if that cannot be had.
    """
    if start.visible_devices is not None:
        apply_visible_devices(start.visible_devices)
    if start.profiled:
        from pytest_tfmem.measure.replay import start_profile  # noqa: PLC0415  only in a profiled run

        start_profile()
    apply_to_devices(start.runtime)


class ChildDevices:
    """Reads the marks of this process's devices, and looks once whether the allocator is the one that was asked for."""

    def __init__(self, start: wire.Start) -> None:
        self._runtime = start.runtime
        self._is_profiled = start.profiled
        self._is_verified = False

    def read(self, phase: Phase) -> DeviceMarks | None:
        """Their marks now; None where no framework is loaded that could use one. Makes no device."""
        marks = read_devices()
        if self._is_profiled and phase == "teardown":
            return self._with_peaks(marks or DeviceMarks())
        if marks is None or self._is_verified or not any(one.device.startswith("GPU") for one in marks.allocators):
            return marks
        self._is_verified = True
        from pytest_tfmem.measure.tensorflow_allocator import mismatch  # noqa: PLC0415  only where it is in use

        return msgspec.structs.replace(marks, problem=mismatch(self._runtime.allocator, marks))

    def _with_peaks(self, marks: DeviceMarks) -> DeviceMarks:
        from pytest_tfmem.measure.replay import stop_profile  # noqa: PLC0415  only in a profiled run

        peaks, why_not = stop_profile()
        return msgspec.structs.replace(marks, peaks=peaks, why_no_peaks=why_not)
