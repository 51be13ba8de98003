"""The account of a stand-in machine as Python reads it: the mapped file, what a process has, and whether it lives."""

from __future__ import annotations

import ctypes
import dataclasses
import mmap
import os
from typing import TYPE_CHECKING

from tests.gpu_stub import layout

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Usage:
    """What one process has of a card, in bytes: see layout.Usage. `held_bytes`: what the driver charges to it."""

    context_bytes: int
    requested_bytes: int
    allocated_bytes: int
    pool_used_bytes: int
    pool_reserved_bytes: int
    peak_bytes: int
    allocations: int

    @classmethod
    def of(cls, record: layout.Usage) -> Usage:
        return cls(
            context_bytes=record.context,
            requested_bytes=record.requested,
            allocated_bytes=record.allocated,
            pool_used_bytes=record.pool_used,
            pool_reserved_bytes=record.pool_reserved,
            peak_bytes=record.peak,
            allocations=record.allocations,
        )

    @property
    def held_bytes(self) -> int:
        """Context, allocations in whole blocks of 2 MiB, and what the pool has reserved."""
        blocks = -(-self.allocated_bytes // (2 * MIB)) * 2 * MIB
        return self.context_bytes + blocks + self.pool_reserved_bytes


def new_file(path: Path) -> Path:
    with path.open("xb") as file:
        file.truncate(ctypes.sizeof(layout.Machine))
    return path


def mapped(path: Path) -> layout.Machine:
    with path.open("r+b") as file:
        return layout.Machine.from_buffer(mmap.mmap(file.fileno(), ctypes.sizeof(layout.Machine)))


def initialise(record: layout.Machine) -> None:
    record.magic, record.size = layout.MAGIC, ctypes.sizeof(layout.Machine)
    _make_lock(record)


def _make_lock(record: layout.Machine) -> None:
    """A lock that processes share, and that the death of its holder does not leave locked: as pthread.h has it."""
    libc = ctypes.CDLL(None)
    kind = ctypes.create_string_buffer(64)
    lock = ctypes.byref(record, layout.Machine.lock.offset)
    shared, robust = 1, 1
    libc.pthread_mutexattr_init(kind)
    libc.pthread_mutexattr_setpshared(kind, shared)
    libc.pthread_mutexattr_setrobust(kind, robust)
    if error := libc.pthread_mutex_init(lock, kind):
        raise OSError(error, os.strerror(error))


def start_time_of(pid: int) -> int:
    """When the process began, in clock ticks since boot; 0 where it has ended (proc(5), fields 3 and 22)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])
