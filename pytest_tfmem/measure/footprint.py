"""`gpu_footprint`: what the driver charges to one test's process, watched from outside while it runs.

The figure is of the test's process. What processes that it started hold on its cards is told beside it, not added.
"""

from __future__ import annotations

import os
import time
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_tfmem.figures import GpuTimeline, NotMeasured
from pytest_tfmem.measure.company import Company
from pytest_tfmem.measure.joining import look_around, why_ids_differ, why_no_size, why_not_listed
from pytest_tfmem.measure.nvml_library import DriverError
from pytest_tfmem.measure.points import Point, Points
from pytest_tfmem.measure.rungs import USED_NONE, Seen, footprint_reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_tfmem.figures import AnyReading, FigureReading
    from pytest_tfmem.measure.devices import Card
    from pytest_tfmem.measure.joining import Surroundings
    from pytest_tfmem.measure.nvml import Driver

INTERVAL_SECONDS = 0.2
LIST_CALLS_PER_SECOND = 10
LARGEST_LIST_SHARE = 0.02  # of the time, in which CUDA may have to wait for the driver's lock
LARGEST_CPU_SHARE = 0.004  # of one CPU, for each of the two: lists, and memory in use
_LEAST_SECONDS = 0.01  # between two readings of the memory in use
_LOOK_FOR_CUDA_SECONDS = 1.0  # to read the 1,000 mappings of a TensorFlow process takes 1.2 ms
_USED_SOURCE = "in use on the card, beyond what was before the test"
_LIST_SOURCE = "the test's process, by the driver's process list"


class Footprint:
    """Watches one process on the GPUs. To be made before the process has a context, and asked by one thread.

    `exclusive`: UUIDs of the cards that are held for the test alone. Lists of processes are read at most every
    `interval_seconds`, never more than ten in a second, and never for more than 2 % of the time. Until the process has
    loaded CUDA the driver is asked about cards that are held, and about no others. Whatever the driver refuses is a
    reason in the reading, never an exception.
    """

    def __init__(
        self,
        driver: Driver,
        pid: int,
        *,
        exclusive: Sequence[str] = (),
        interval_seconds: float = INTERVAL_SECONDS,
        around: Surroundings | None = None,
    ) -> None:
        self._driver = driver
        self._pid = pid
        self._around = around or look_around()
        self._interval = max(interval_seconds, 1 / LIST_CALLS_PER_SECOND)
        self._began = self._used_due_at = time.monotonic()
        self._due_at = self._began + self._interval
        self._has_cuda = False
        self._told: set[str] = set()  # UUIDs of the cards that the process has said it uses
        self._problem = ""
        self._seen: dict[str, Seen] = {}
        self.points = Points()
        for uuid in exclusive:
            self._look_before(uuid)

    def wait_seconds(self) -> float:
        """How long until the next reading is due; 0 if it is."""
        return max(0.0, self._due_at - time.monotonic())

    def sample_if_due(self) -> None:
        """Read what is due: memory in use on cards that are held, whenever this is called, but every 10 ms at most."""
        now = time.monotonic()
        if now >= self._used_due_at:
            self._read_used(now)
        if now >= self._due_at:
            self._due_at = now + _LOOK_FOR_CUDA_SECONDS
            self._has_cuda = self._has_cuda or has_cuda(self._pid)
            if self._has_cuda:
                self._sample_lists(now)

    def uses(self, cards: Sequence[Card]) -> None:
        """The process has said that it uses these: no others are read from now on."""
        found = map(self._find, cards)
        self._told.update(seen.uuid for seen in found if isinstance(seen, Seen))

    def call_ended(self, cards: Sequence[Card]) -> None:
        """The test's body is over, and its fixtures still stand; `cards` are those of its process's marks."""
        self._read_end(cards, everyone=True)

    def ended(self, cards: Sequence[Card]) -> None:
        """The test's teardown is over, and its process still there."""
        self._read_end(cards, everyone=False)

    def reading(self, cards: Sequence[Card], allocator: str) -> FigureReading:
        """gpu_footprint on each of `cards`, in their order; of a process that named none, on those it was seen on.

        `allocator`: TensorFlow's, that was in force; empty if there was none.
        """
        if cards:
            return [self._of_card(card, allocator) for card in cards]
        seen = [seen for seen in self._seen.values() if seen.was_used]
        if not seen:
            return NotMeasured(self._why_unseen() or USED_NONE)
        return [self._of_seen(one, allocator) for one in seen]

    def notes(self) -> list[str]:
        """Who else was on the cards that the test used, a sentence each."""
        return self._company.notes() if self._seen else []

    def timeline(self, seconds: Sequence[float]) -> list[GpuTimeline]:
        """The points at a timeline's `seconds`, counted from when this was made: the most up to the next of them."""
        return [
            GpuTimeline(device=uuid, source=self._source(uuid), bytes=self.points.at(seconds, uuid))
            for uuid in self.points.cards()
        ]

    def _look_before(self, uuid: str) -> None:
        seen = self._at(uuid, exclusive=True)
        try:
            seen.before = self._driver.used_bytes(uuid)
        except DriverError as error:
            seen.problem = error.reason
            return
        self._company.was_there(uuid, self._listed(seen) or {})

    def _read_used(self, now: float) -> None:
        cpu_before = time.thread_time()
        for seen in self._seen.values():
            if seen.before is None:
                continue
            try:
                used = self._driver.used_bytes(seen.uuid)
            except DriverError as error:
                seen.problem = error.reason
                continue
            seen.used = max(seen.used or 0, used)
            self.points.add(Point(now - self._began, seen.uuid, max(0, used - seen.before)))
        spent = time.thread_time() - cpu_before
        self._used_due_at = now + max(_LEAST_SECONDS, spent / LARGEST_CPU_SHARE)

    def _sample_lists(self, now: float) -> None:
        calls, cpu_before = self._driver.list_calls, time.thread_time()
        for seen in self._cards_to_sample():
            self._sample_list(seen, now)
        calls, spent, cpu = self._driver.list_calls - calls, time.monotonic() - now, time.thread_time() - cpu_before
        rests = (self._interval, calls / LIST_CALLS_PER_SECOND, spent / LARGEST_LIST_SHARE, cpu / LARGEST_CPU_SHARE)
        self._due_at = now + max(rests)

    def _sample_list(self, seen: Seen, now: float) -> None:
        if self._ids_differ:
            seen.problem = self._ids_differ
            return
        listed = self._listed(seen, until=self._pid) or {}
        size = listed.get(self._pid)
        if not size:
            seen.problem = self._why_no_size(listed) or seen.problem
            return
        seen.sampled = max(seen.sampled or 0, size)
        self._company.is_there(seen.uuid, listed)
        if seen.before is None:
            self.points.add(Point(now - self._began, seen.uuid, size))

    def _cards_to_sample(self) -> list[Seen]:
        """The cards on which the process is known to be; until one is, all that the driver lists."""
        known = [seen for seen in self._seen.values() if seen.uuid in self._told or seen.exclusive or seen.listed]
        if known:
            return known
        try:
            return [self._at(card.uuid) for card in self._driver.cards() if not card.split]
        except DriverError as error:
            self._problem = error.reason
            return []

    def _read_end(self, cards: Sequence[Card], *, everyone: bool) -> None:
        self.uses(cards)
        self._read_used(time.monotonic())
        for seen in map(self._find, cards):
            if isinstance(seen, Seen):
                self._read_card(seen, everyone=everyone)

    def _read_card(self, seen: Seen, *, everyone: bool) -> None:
        listed = self._listed(seen, until=None if everyone else self._pid)
        if listed is not None:
            self._join(seen, listed)
            self._company.is_there(seen.uuid, listed)
            seen.crowd = self._company.crowd(seen.uuid)
        self._read_account(seen)

    def _join(self, seen: Seen, listed: Mapping[int, int | None]) -> None:
        seen.problem = self._why_not_joined(listed)
        if not seen.problem:
            size = listed[self._pid] or 0
            seen.at_end = max(seen.at_end or 0, size)
            if seen.before is None:
                self.points.add(Point(time.monotonic() - self._began, seen.uuid, size))

    def _why_not_joined(self, listed: Mapping[int, int | None]) -> str:
        if self._ids_differ:
            return self._ids_differ
        if self._pid not in listed:
            return why_not_listed(self._version, self._around)
        return self._why_no_size(listed)

    def _why_no_size(self, listed: Mapping[int, int | None]) -> str:
        return why_no_size(self._version, self._around, listed[self._pid]) if self._pid in listed else ""

    def _why_unseen(self) -> str:
        return self._problem or next((seen.problem for seen in self._seen.values() if seen.problem), "")

    def _read_account(self, seen: Seen) -> None:
        if self._ids_differ:
            return  # the mark would be another process's
        try:
            seen.accounted = max(seen.accounted or 0, self._driver.accounted_bytes(seen.uuid, self._pid))
        except DriverError:
            return  # off, or not to be believed: there is the next rung

    def _of_card(self, card: Card, allocator: str) -> AnyReading:
        seen = self._find(card)
        return seen if isinstance(seen, NotMeasured) else self._of_seen(seen, allocator)

    def _of_seen(self, seen: Seen, allocator: str) -> AnyReading:
        if seen.at_end is None and seen.sampled:
            self._read_account(seen)  # the driver remembers those that have ended, too
        return footprint_reading(seen, allocator)

    def _find(self, card: Card) -> Seen | NotMeasured:
        try:
            return self._at(self._driver.locate(card.uuid, card.pci_bus_id))
        except DriverError as error:
            known = self._seen.get(card.uuid)
            return known or NotMeasured(error.reason, card.uuid)

    def _at(self, uuid: str, *, exclusive: bool = False) -> Seen:
        return self._seen.setdefault(uuid, Seen(uuid, exclusive=exclusive, interval_seconds=self._interval))

    def _listed(self, seen: Seen, *, until: int | None = None) -> Mapping[int, int | None] | None:
        """The processes on a card; None, with the problem noted, where the driver does not tell."""
        try:
            return self._driver.processes(seen.uuid, until=until)
        except DriverError as error:
            seen.problem = error.reason
            return None

    def _source(self, uuid: str) -> str:
        return _LIST_SOURCE if self._seen[uuid].before is None else _USED_SOURCE

    @cached_property
    def _company(self) -> Company:
        return Company(self._driver, self._pid, ids_differ=bool(self._ids_differ))

    @cached_property
    def _ids_differ(self) -> str:
        return why_ids_differ(self._version, self._around)

    @cached_property
    def _version(self) -> str:
        try:
            return self._driver.version()
        except DriverError:
            return "of an unknown version"


def has_cuda(pid: int) -> bool:
    """Whether the process has loaded CUDA's driver library (libcuda.so), by /proc/PID/maps.

    Where there is no such file it is taken to have.
    """
    try:
        descriptor = os.open(f"/proc/{pid}/maps", os.O_RDONLY)
    except OSError:
        return not os.path.exists("/proc/self/maps")
    try:
        return _mentions(descriptor, b"/libcuda.so")
    except OSError:
        return False  # it has ended
    finally:
        os.close(descriptor)


def _mentions(descriptor: int, name: bytes) -> bool:
    end = b""
    while read := os.read(descriptor, 1 << 16):
        if name in end + read:
            return True
        end = read[-len(name) :]
    return False
