"""What the test's process does about its devices: before the test, and at both ends of each phase."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.isolate.runtime import apply_to_devices, apply_visible_devices
from pytest_tfmem.measure.allocator import DeviceReader
from pytest_tfmem.measure.devices import DeviceMarks

if TYPE_CHECKING:
    from pytest_tfmem.figures import Phase
    from pytest_tfmem.isolate import wire
    from pytest_tfmem.measure.replay import Profile


def profile_folder(start: wire.Start) -> Path:
    """Where the profiler of this start writes: beside the folder for the test's own files, which pytest empties."""
    return Path(f"{os.fsdecode(start.basetemp)}-profile")


class ChildDevices:
    """The devices of this process for the test of `start`. Nothing here starts one, but for what the runtime asks."""

    def __init__(self, start: wire.Start) -> None:
        self._start = start
        self._reader = DeviceReader(start.runtime.allocator or "", verifies=not start.profiled)
        self._profile: Profile | None = None

    def prepare(self) -> None:
        """Before anything touches a device: which are visible, the profiler if it is asked for, how they are divided.

        Raises TfmemError if that cannot be had.
        """
        os.environ.update(self._start.environment)
        if self._start.visible_devices is not None:
            apply_visible_devices(self._start.visible_devices)
        if self._start.profiled:
            from pytest_tfmem.measure.replay import Profile  # noqa: PLC0415  only in a profiled run

            self._profile = Profile(profile_folder(self._start), explains=self._start.explained)
        apply_to_devices(self._start.runtime)

    def load(self) -> None:
        """Import what the other methods need, in a process that is about to be forked."""
        self._reader.load()

    def reset(self) -> None:
        """Peaks are to count from now on."""
        self._reader.reset()
        if self._profile is not None:
            self._profile.counts()

    def in_use(self) -> dict[str, int]:
        """What allocators hold now, by device."""
        return self._reader.in_use()

    @property
    def why_not_in_use(self) -> str:
        """Why some of that could not be read, a clause; empty where all of it was."""
        return self._reader.why_not_in_use

    def read(self) -> DeviceMarks | None:
        """Marks of now; None where no framework is loaded that could use a device."""
        if self._profile is not None:
            self._profile.pauses()
        return self._reader.read()

    def read_at_end(self, phase: Phase) -> DeviceMarks | None:
        """Marks at the end of a phase."""
        if self._profile is not None:
            self._profile.phase_ends(phase)
        marks = self._reader.read()
        if self._profile is None or phase != ("call" if self._start.program else "teardown"):
            return marks
        marks = marks or DeviceMarks()
        profiled = self._profile.stop({one.device: one.card for one in marks.allocators})
        return msgspec.structs.replace(marks, peaks=profiled.peaks, why_no_peaks=profiled.problem, held=profiled.held)
