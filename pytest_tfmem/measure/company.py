"""Who else is on the cards that a test uses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_tfmem.errors import one_line
from pytest_tfmem.measure.nvml_library import DriverError
from pytest_tfmem.measure.sampler import descendants
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tfmem.measure.nvml import Driver

Processes = dict[int, int | None]
_MOST_OF_NAME = 60


class Company:
    """Sorts the processes on the cards of one test into those that it started and those that are others'.

    `ids_differ`: the driver gives other ids than this system, so that none can be looked up here.
    """

    def __init__(self, driver: Driver, pid: int, *, ids_differ: bool) -> None:
        self._driver = driver
        self._pid = pid
        self._ids_differ = ids_differ
        self._before: dict[str, Processes] = {}
        self._others: dict[str, Processes] = {}
        self._started: dict[str, Processes] = {}
        self._family: set[int] = set()
        self._names: dict[int, str] = {}

    def was_there(self, uuid: str, listed: Mapping[int, int | None]) -> None:
        """Who was on the card before the test's process had a context."""
        self._before[uuid] = dict(listed)
        self._note(self._others, uuid, listed)

    def is_there(self, uuid: str, listed: Mapping[int, int | None]) -> None:
        """Who is on the card now, the test's process among them."""
        others, started = self._sorted(uuid, listed)
        self._note(self._others, uuid, others)
        self._note(self._started, uuid, started)

    def crowd(self, uuid: str) -> str:
        """Who else has been on the card, in one clause; empty if nobody has."""
        found = self._others.get(uuid, {}) | self._started.get(uuid, {})
        return ", ".join(self.named(found))

    def notes(self) -> list[str]:
        """A sentence for each that has been on a card beside the test's process."""
        others = [
            f"on {uuid} beside the test: {one}" for uuid, found in self._others.items() for one in self.named(found)
        ]
        started = [
            f"on {uuid}, started by the test and not counted in gpu_footprint: {one}"
            for uuid, found in self._started.items()
            for one in self.named(found)
        ]
        return others + started

    def named(self, processes: Mapping[int, int | None]) -> list[str]:
        """Each as "python (pid 1234): 1.20 GiB"."""
        return [
            f"{self._name(pid)}: {format_size(size)}" if size else self._name(pid) for pid, size in processes.items()
        ]

    def _sorted(self, uuid: str, listed: Mapping[int, int | None]) -> tuple[Processes, Processes]:
        if self._ids_differ or self._pid not in listed:
            return self._unknown(uuid, listed), {}
        rest = {pid: size for pid, size in listed.items() if pid != self._pid}
        if not rest.keys() <= self._family | self._others.get(uuid, {}).keys():
            self._family.update(descendants(self._pid))  # remembered: who has lost its parent is nobody's descendant
        started = {pid: size for pid, size in rest.items() if pid in self._family}
        return {pid: size for pid, size in rest.items() if pid not in started}, started

    def _unknown(self, uuid: str, listed: Mapping[int, int | None]) -> Processes:
        """Which one is the test's process cannot be told: if one has come since, that one is taken for it."""
        before = self._before.get(uuid, {})
        come = {pid: size for pid, size in listed.items() if pid not in before}
        return dict(listed) if len(come) > 1 else {pid: size for pid, size in listed.items() if pid in before}

    def _note(self, noted: dict[str, Processes], uuid: str, found: Mapping[int, int | None]) -> None:
        known = noted.setdefault(uuid, {})
        for pid, size in found.items():
            known[pid] = max(known.get(pid) or 0, size or 0) or None
            self._name(pid)  # while it lives

    def _name(self, pid: int) -> str:
        if pid not in self._names:
            name = "a process of the host's" if self._ids_differ else _command(pid) or self._as_the_driver_says(pid)
            self._names[pid] = f"{one_line(name, most=_MOST_OF_NAME)} (pid {pid})"
        return self._names[pid]

    def _as_the_driver_says(self, pid: int) -> str:
        try:
            return self._driver.process_name(pid) or "a process"
        except DriverError:
            return "a process"


def _command(pid: int) -> str:
    try:
        descriptor = os.open(f"/proc/{pid}/comm", os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 64).decode("utf-8", "replace").rstrip("\n")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
