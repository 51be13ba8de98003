"""Whether processes in the driver's lists can be told by this system's process ids, driver by driver.

The driver's lists had the ids of the whole machine before 535.113.01; since then they have those of the namespace of
who asks, as a container is one, but up to 560.35.03 with 0 bytes for each (open-gpu-kernel-modules, gpu_rmapi.c).
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass

TELLS_NAMESPACES = (535, 113, 1)
COUNTS_IN_NAMESPACES = (565, 57, 1)
CLIMB = "driver 565.57.01 or newer; or the processes of the host seen from the container, as by docker run --pid=host"

# include/uapi/linux/nsfs.h: PID_NS_INIT_INO, the number of the machine's own namespace on every Linux since 3.8.
_MACHINES_OWN = "pid:[4026531836]"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where pytest runs. `own_pids`: process ids are of a namespace of their own, as inside a container; None where
    that cannot be told. `wsl`: Windows runs the driver, beneath the Windows Subsystem for Linux.
    """

    own_pids: bool | None
    wsl: bool


def look_around() -> Surroundings:
    """Where this process runs, by /proc."""
    return Surroundings(own_pids=_own_pids(), wsl=_is_wsl())


def why_ids_differ(driver: str, around: Surroundings) -> str:
    """Why an id in the driver's lists is not to be compared with one of ours; empty if it may be.

    `driver` is its version. An id that is the same by chance would be another process's.
    """
    if around.own_pids and (0,) < _numbers(driver) < TELLS_NAMESPACES:
        return f"driver {driver} lists processes by the host's ids, which are not those of this container"
    return ""


def why_no_size(driver: str, around: Surroundings, size: int | None) -> str:
    """Why the driver lists a process without saying what it holds; empty if it says so."""
    if size:
        return ""
    if around.wsl:
        return "under WSL2 the driver does not say what a process holds"
    if size is None:
        return f"driver {driver} lists the process, but does not say what it holds"
    if around.own_pids and TELLS_NAMESPACES <= _numbers(driver) < COUNTS_IN_NAMESPACES:
        return f"driver {driver} says 0 bytes of every process in a container"
    return f"driver {driver} lists the process with 0 bytes, which it cannot hold"


def why_not_listed(driver: str, around: Surroundings) -> str:
    """Why the driver's lists have no process of ours."""
    if around.wsl:
        return "under WSL2 the driver does not list the process"
    if around.own_pids:
        return f"driver {driver} does not list the process, whose id is a container's own"
    return f"driver {driver} does not list the process"


def why_no_sizes(driver: str, around: Surroundings) -> str:
    """Why, as far as is known of such drivers, no process's size can be had from the lists here; empty if it can."""
    if around.wsl:
        return why_no_size(driver, around, None)
    return why_ids_differ(driver, around) or _zero_in_containers(driver, around)


def _zero_in_containers(driver: str, around: Surroundings) -> str:
    zero = around.own_pids and TELLS_NAMESPACES <= _numbers(driver) < COUNTS_IN_NAMESPACES
    return why_no_size(driver, around, 0) if zero else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]{1,9}", version)[:3]) or (0,)


def _own_pids() -> bool | None:
    try:
        return os.readlink("/proc/self/ns/pid") != _MACHINES_OWN
    except OSError:
        return None


def _is_wsl() -> bool:
    if sys.platform != "linux":
        return False
    try:
        with open("/proc/version", encoding="utf-8", errors="replace") as file:
            return "microsoft" in file.read().lower()
    except OSError:
        return False
