"""What a phase and the sections within it held at most, though the kernel and each allocator keep one mark.

Wherever a section begins or ends, the marks are read, added to all that is open, and reset. So each stretch between
two such moments counts for whatever was open then, in whichever order that was opened and is closed.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import msgspec

from pytest_tfmem.measure.devices import joined
from pytest_tfmem.measure.host import read_marks, reset_peak

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pytest_tfmem.measure.devices import DeviceMarks
    from pytest_tfmem.measure.marks import Marks


class Devices(Protocol):
    """What the devices' allocators say, as `DeviceReader` has it."""

    def reset(self) -> None:
        """Set their peaks to what they hold now."""

    def read(self) -> DeviceMarks | None:
        """Their marks, None where there is nothing to be read."""


class Host(Protocol):
    """The kernel's counters of this process, as `measure.host` has them."""

    def reset(self) -> bool:
        """Set the high-water mark to what is resident now; False where the system cannot."""

    def read(self, *, since_reset: bool) -> Marks:
        """Peak and present resident set."""


class Kernel:
    """The counters of this process itself."""

    def reset(self) -> bool:
        return reset_peak()

    def read(self, *, since_reset: bool) -> Marks:
        return read_marks(since_reset=since_reset)


class Span:
    """A stretch of time whose own peaks are kept: a phase, or one entry of a section.

    `start`: the marks just after the reset with which it began. `end` and `devices`: those read last, with the most
    that any of its stretches has held for a peak; `devices` is None where no framework was loaded. `seconds` is how
    long it took, once it is over.
    """

    def __init__(self, start: Marks) -> None:
        self.start = start
        self.end = start
        self.devices: DeviceMarks | None = None
        self._began = time.perf_counter()
        self._ended: float | None = None

    @property
    def seconds(self) -> float:
        return (time.perf_counter() if self._ended is None else self._ended) - self._began

    def stop(self) -> None:
        self._ended = time.perf_counter()

    def take_host(self, marks: Marks) -> None:
        peak = max(self.end.peak, marks.peak)
        self.end = msgspec.structs.replace(marks, peak=peak, since_reset=self.start.since_reset and marks.since_reset)

    def take_devices(self, marks: DeviceMarks | None) -> None:
        self.devices = joined(self.devices, marks)


class Nest:
    """The phase that runs in this process and the sections that are open in it, each with its own marks.

    May be used by several threads; the marks are those of the whole process.
    """

    def __init__(self, devices: Devices, host: Host | None = None) -> None:
        self._devices = devices
        self._host = host or Kernel()
        self._phase: Span | None = None
        self._sections: list[Span] = []
        self._since_reset = False
        self._lock = threading.RLock()

    def begin(self) -> Span:
        """A phase begins. What was open as a section before it stays open."""
        with self._lock:
            if self._sections:
                self._phase = None
                self._fold(self._devices.read)
            self._phase = self._started()
            return self._phase

    def end(self, read: Callable[[], DeviceMarks | None] | None = None) -> Span:
        """The phase that has begun is over: read its marks, the devices' by `read` if given."""
        with self._lock:
            span, self._phase = self._phase, None
            assert span is not None  # noqa: S101  a phase ends after it has begun
            span.stop()
            self._fold(read or self._devices.read, span)
            return span

    def enter(self) -> Span:
        """A section begins."""
        with self._lock:
            self._fold(self._devices.read)
            span = self._started()
            self._sections.append(span)
            return span

    @contextmanager
    def leaving(self, span: Span) -> Generator[None]:
        """A section ends, not necessarily the one that was entered last. What the block takes counts for nobody."""
        with self._lock:
            span.stop()
            self._fold(self._devices.read)
            self._sections.remove(span)
            try:
                yield
            finally:
                self._reset()

    def look(self) -> tuple[Marks, DeviceMarks | None]:
        """What is held now. To ask takes some memory, which counts for nobody."""
        with self._lock:
            found = self._fold(self._devices.read)
            self._reset()
            return found

    def _fold(
        self, read: Callable[[], DeviceMarks | None], phase: Span | None = None
    ) -> tuple[Marks, DeviceMarks | None]:
        phase = phase or self._phase
        opened = [*([phase] if phase else []), *self._sections]
        # The host's memory first: to ask the devices takes some.
        marks = self._host.read(since_reset=self._since_reset)
        for span in opened:
            span.take_host(marks)
        devices = read()
        for span in opened:
            span.take_devices(devices)
        return marks, devices

    def _reset(self) -> None:
        self._devices.reset()
        self._since_reset = self._host.reset()  # the last to be reset: to ask devices takes memory

    def _started(self) -> Span:
        self._reset()
        return Span(self._host.read(since_reset=self._since_reset))
