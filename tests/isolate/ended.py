"""Whether a process still runs."""

from __future__ import annotations

import time

import psutil

_WAIT_SECONDS = 20  # for what is certain to come, on a machine however busy


def has_ended(pid: int) -> bool:
    """Whether the process ends within a generous time; one that nobody has reaped has ended."""
    try:
        process = psutil.Process(pid)
        deadline = time.monotonic() + _WAIT_SECONDS
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
    except psutil.NoSuchProcess:
        return True
    return True


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
