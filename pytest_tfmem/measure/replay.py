"""What was requested of TensorFlow's allocators at once, and what was alive then, from the profiler's events.

BFC says only what it charged, which depends on what was there before. Its events say what was requested, too.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_tfmem.measure.devices import HeldAtPeak, TensorPeak
from pytest_tfmem.measure.events import THREAD_MARK, read_events
from pytest_tfmem.measure.held import Span, find_peak, holders
from pytest_tfmem.measure.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_tfmem.figures import Phase
    from pytest_tfmem.measure.events import MemoryEvent, Recorded
    from pytest_tfmem.measure.held import Counting

_GPU_ALLOCATOR = re.compile(r"GPU_(\d+)_bfc")  # by the number of the logical GPU
_CPU_ALLOCATORS = ("bfc_cpu_allocator_for_gpu", "mklcpu")  # with TF_CPU_ALLOCATOR_USE_BFC, and oneDNN's without
_COUNTINGS: tuple[Counting, ...] = ("requested", "charged")
_NO_CUPTI = "TF_GPU_CUPTI_USE_STUB_INTERFACE"


class Profiled(msgspec.Struct, frozen=True, kw_only=True):
    """What the allocators held while the profiler ran, or the `problem` for which that is not known, a clause.

    `peaks` of the GPUs; `held`: what was alive at the peaks, of the CPU's allocators too.
    """

    peaks: list[TensorPeak] = []
    held: list[HeldAtPeak] = []
    problem: str = ""


class Profile:
    """TensorFlow's profiler, running from when this is made until `stop`; or `problem`, a clause, says why it is not.

    Only the events that are always recorded, of allocations among them. About 1 kB of host memory for each, so never
    in a process whose host memory is measured. `explains`: what was alive at the peaks of the phases that are marked is
    told too, with the lines of the user's own code, which are followed meanwhile. `folder`: where it writes, which it
    removes; a process that is killed leaves that to the one that has started it.
    """

    def __init__(self, folder: Path | None = None, *, explains: bool = False) -> None:
        self.problem = ""
        self._began = 0
        self._pieces: list[tuple[int, int]] = []
        self._spans: list[Span] = []
        self._folder: Path | None = None
        self._lines: Lines | None = None
        try:
            import tensorflow as tf  # noqa: PLC0415  only for a test that is profiled
        except ImportError as error:
            self.problem = f"TensorFlow, whose profiler it needs, cannot be imported ({error})"
            return
        self._profiler: Any = tf.profiler.experimental
        if not _has_cupti(tf):
            os.environ.setdefault(_NO_CUPTI, "true")  # without it, TensorFlow is ended by SIGSEGV
        self._folder = folder or Path(tempfile.mkdtemp(prefix="tfmem-profile-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        options = self._profiler.ProfilerOptions(host_tracer_level=0, python_tracer_level=0, device_tracer_level=0)
        try:
            self._profiler.start(str(self._folder), options)
        except Exception as error:  # noqa: BLE001  whatever TensorFlow raises, the test has done nothing wrong
            self.problem = f"TensorFlow's profiler did not start ({error})"
            self._remove_folder()
            return
        if explains:
            self._lines = Lines(self._meet)
            self._lines.start()

    def counts(self) -> None:
        """Peaks count from now on. What came before does not, but as far as it is still held."""
        self._began = time.time_ns()

    def pauses(self) -> None:
        """Peaks do not count from now on, until `counts` says so."""
        self._pieces.append((self._began * 1000, time.time_ns() * 1000))

    def phase_ends(self, phase: Phase) -> None:
        """What has counted since the last phase ended was this one."""
        self.pauses()
        self._spans += [Span(phase, *piece) for piece in self._pieces]
        self._pieces = []

    def stop(self, cards: Mapping[str, str]) -> Profiled:
        """Stop it, and add up what it has seen. `cards`: uuid of the GPU that each device, such as "GPU:0", is on."""
        if self._lines is not None:
            self._lines.stop()
        if self._folder is None:
            return Profiled(problem=self.problem)
        try:
            self._profiler.stop()
            recorded = read_events(self._folder)
            peaks, held = _peaks(recorded.events, cards), self._held(recorded, cards)
        except Exception as error:  # noqa: BLE001  the same; and protobuf's own where the file is of another version
            return Profiled(problem=f"what TensorFlow's profiler recorded cannot be read ({error})")
        finally:
            self._remove_folder()
        nothing = "TensorFlow's profiler recorded no allocation on a GPU: only BFC's are recorded"
        return Profiled(peaks=peaks, held=held, problem="" if peaks else nothing)

    def _held(self, recorded: Recorded, cards: Mapping[str, str]) -> list[HeldAtPeak]:
        lines = self._lines
        if lines is None:
            return []

        def where(event: MemoryEvent) -> str:
            return lines.at(recorded.threads.get(event.thread), event.at // 1000)

        found = []
        for allocator, events in sorted(_by_allocator(recorded.events).items()):
            device = _device(allocator)
            for counting in _COUNTINGS if device else ():
                peak = find_peak(events, self._spans, counting)
                if peak is not None:
                    found.append(
                        HeldAtPeak(
                            allocator=allocator,
                            device=device,
                            card=cards.get(device, ""),
                            counting=counting,
                            phase=peak.phase,
                            bytes=peak.bytes,
                            holders=holders(peak, where),
                        )
                    )
        return found

    def _meet(self, thread: int) -> None:
        with self._profiler.Trace(f"{THREAD_MARK}{thread}"):
            pass

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
    peaks = []
    for allocator, its_events in sorted(_by_allocator(events).items()):
        if _GPU_ALLOCATOR.fullmatch(allocator):
            device = _device(allocator)
            requested, charged = add_up(its_events)
            peaks.append(TensorPeak(device=device, card=cards.get(device, ""), requested=requested, charged=charged))
    return peaks


def _by_allocator(events: Iterable[MemoryEvent]) -> dict[str, list[MemoryEvent]]:
    found: dict[str, list[MemoryEvent]] = {}
    for event in events:
        found.setdefault(event.allocator, []).append(event)
    return found


def _device(allocator: str) -> str:
    """The device whose tensors it holds, by TensorFlow's name; empty for another's, as that of pinned memory is."""
    gpu = _GPU_ALLOCATOR.fullmatch(allocator)
    if gpu is not None:
        return f"GPU:{gpu[1]}"
    return "CPU:0" if allocator in _CPU_ALLOCATORS else ""


def _has_cupti(tf: Any) -> bool:
    """Whether NVIDIA's library for profilers can be loaded; also where this TensorFlow does not ask for it."""
    if not tf.test.is_built_with_cuda():
        return True
    major = str(tf.sysconfig.get_build_info().get("cuda_version", "")).partition(".")[0]
    name = f"libcupti.so.{major}"
    # NVIDIA's packages, where TensorFlow finds it by a path of its own.
    packaged = Path(tf.__file__).parent.parent / "nvidia" / "cuda_cupti" / "lib" / name
    try:
        ctypes.CDLL(str(packaged) if packaged.exists() else name)
    except OSError:
        return False
    return True
