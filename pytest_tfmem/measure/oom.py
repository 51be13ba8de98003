"""The kernel's count of processes that it killed for want of memory."""

from __future__ import annotations

import os


def oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory since it started; None where it does not say.

    Linux: `oom_kill` of /proc/vmstat, which also counts the kills in memory cgroups.
    """
    try:
        descriptor = os.open("/proc/vmstat", os.O_RDONLY)
    except OSError:
        return None
    try:
        lines = os.read(descriptor, 1 << 16).splitlines()
    except OSError:
        return None
    finally:
        os.close(descriptor)
    counts = (line.split()[1] for line in lines if line.startswith(b"oom_kill "))
    return next((int(count) for count in counts), None)
