"""The resident set of this process, and its high-water mark, by the kernel's own counters."""

from __future__ import annotations

import os
import platform
import sys

from pytest_tfmem.measure.marks import Marks

HAS_PROC: bool = sys.platform == "linux"

_COUNTERS_IN_RSS = 3  # anonymous, file and shared pages are counted apart
_BOUNDED_SINCE = (6, 2)  # Linux that counts per CPU; before, per thread, with no bound that can be known afterwards
_EXACT_SINCE = (6, 17)  # Linux that sums the per-CPU counters for VmRSS (commit 82241a83cd15)


def read_marks(*, since_reset: bool) -> Marks:
    """Peak and present resident set of this process; `since_reset` says whether `reset_peak` succeeded before.

    Linux: `VmHWM`, `VmRSS`, `RssFile` and `RssShmem` of /proc/self/status (proc_pid_status(5)). Elsewhere psutil's
    peak counter, which counts from the process's beginning.
    """
    if HAS_PROC:
        return _marks_of_status(_read("/proc/self/status"), since_reset=since_reset)
    return _marks_of_psutil()


def reset_peak() -> bool:
    """Set this process's high-water mark to what is resident now; False where the system cannot.

    Linux: "5" into /proc/self/clear_refs (Documentation/filesystems/proc.rst).
    """
    if not HAS_PROC:
        return False
    try:
        # os.open, not open(): a buffered file would allocate inside the reading.
        descriptor = os.open("/proc/self/clear_refs", os.O_WRONLY)
    except OSError:
        return False
    try:
        os.write(descriptor, b"5")
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def peak_error_bytes(online_cpus: int, allowed_cpus: int, page_bytes: int) -> int:
    """Most bytes by which Linux's stored high-water mark can fall short of the true peak.

    Each of the three page counters is spread over the CPUs, and up to `percpu_counter_batch` = max(32, 2 x CPUs)
    pages on each CPU that the process may use are not yet in the sum that the mark is compared with
    (lib/percpu_counter.c, mm/memory.c). Linux 6.2 and later: earlier ones count apart in each thread.
    """
    return max(32, 2 * online_cpus) * allowed_cpus * page_bytes * _COUNTERS_IN_RSS


def parse_status(status: bytes) -> dict[str, int]:
    """The `Vm...` and `Rss...` lines of a /proc/PID/status, in bytes. Empty for a process that has ended."""
    sizes = {}
    # Not every line that ends in " kB", nor splitlines(): a process may call itself anything, and stands in Name.
    for line in status.split(b"\n"):
        name, _, value = line.partition(b":")
        if name.startswith((b"Vm", b"Rss")):
            sizes[name.decode()] = int(value.removesuffix(b" kB")) * 1024
    return sizes


def _marks_of_status(status: bytes, *, since_reset: bool) -> Marks:
    sizes = parse_status(status)
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    return Marks(
        # VmHWM, not ru_maxrss: ru_maxrss survives exec and would report the parent's peak.
        peak=sizes["VmHWM"],
        rss=sizes["VmRSS"],
        file=sizes["RssFile"],
        shmem=sizes["RssShmem"],
        error=_peak_error_bytes(linux_version(), allowed),
        exact_now=linux_version() >= _EXACT_SINCE,
        since_reset=since_reset,
        source="VmHWM",
    )


def _peak_error_bytes(linux: tuple[int, ...], allowed_cpus: int) -> int | None:
    if linux < _BOUNDED_SINCE:
        return None
    return peak_error_bytes(os.cpu_count() or 1, allowed_cpus, os.sysconf("SC_PAGE_SIZE"))


def linux_version() -> tuple[int, ...]:
    """Major and minor version of the running Linux, such as (6, 18)."""
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2] if part.isdecimal())


def _marks_of_psutil() -> Marks:
    import psutil  # noqa: PLC0415  only where there is no /proc

    memory = psutil.Process().memory_info()
    peak, source = _portable_peak(memory)
    return Marks(
        peak=max(peak, memory.rss),
        rss=memory.rss,
        file=None,
        shmem=None,
        error=None,
        exact_now=False,
        since_reset=False,
        source=source,
    )


def _portable_peak(memory: object) -> tuple[int, str]:
    if hasattr(memory, "peak_wset"):
        return int(memory.peak_wset), "PeakWorkingSetSize"
    import resource  # noqa: PLC0415  POSIX only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024, "ru_maxrss"


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)
