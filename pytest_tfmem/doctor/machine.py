"""The kernel's counters that everything rests on, each really tried."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pytest_tfmem.doctor.diagnosis import Check
from pytest_tfmem.isolate.fitness import why_no_forkserver
from pytest_tfmem.measure.host import linux_version, peak_error_bytes, read_marks, reset_peak
from pytest_tfmem.measure.oom import oom_kills
from pytest_tfmem.measure.sampler import lists_children
from pytest_tfmem.settings.options import START_METHODS
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from pytest_tfmem.history.environment import Environment

_PER_CPU_SINCE = (6, 2)
_LARGE_ERROR_BYTES = 4 << 20
_FEWER_CORES = 4


def machine_checks(environment: Environment) -> list[Check]:
    checks = [_kernel(environment), *([_cores(environment)] if sys.platform == "linux" else [])]
    checks += [_reset(), _children(), _oom(), _huge_pages(environment.transparent_huge_pages)]
    return [*checks, _start_methods()]


def _start_methods() -> Check:
    reason = why_no_forkserver()
    if not reason:
        methods = ", ".join(method for method in START_METHODS if method != "auto")
        return Check(name="start methods", state="ok", said=f"{methods}: tests are forked where that is safe")
    said = f"spawn only, so that each test imports its frameworks again: {reason}"
    return Check(name="start methods", state="note", said=said, help="forkserver needs Linux 5.14 or newer")


def _kernel(environment: Environment) -> Check:
    name = f"{environment.system} {environment.kernel}"
    if sys.platform != "linux":
        said = f"{name}: peaks count from the beginning of a test's process, what it imports included"
        return Check(name="kernel", state="note", said=said, help="only Linux can tell a test's own peak apart")
    if linux_version() < _PER_CPU_SINCE:
        said = (
            f"{name}: before Linux 6.2 each thread of a test may hold back up to 64 pages of each of three counters,"
            " so that readings are lower than the truth by an error that grows with the threads, not with the cores"
        )
        return Check(name="kernel", state="note", said=said, help="the errors given here hold from Linux 6.2 on")
    if not read_marks(since_reset=False).exact_now:
        said = f"{name}: present sizes and peaks are both counted per core, and may be read too low"
        return Check(name="kernel", state="note", said=said, help="since Linux 6.17 present sizes are exact")
    said = f"{name}: present sizes are exact; peaks are counted per core, and may be read too low"
    return Check(name="kernel", state="ok", said=said)


def _cores(environment: Environment) -> Check:
    cores, allowed = environment.cores or 1, environment.cores_allowed or environment.cores or 1
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    error = peak_error_bytes(cores, allowed, page_bytes)
    said = f"{cores}, of which tests may run on {allowed}: a peak can be read at most {format_size(error)} too low"
    if error <= _LARGE_ERROR_BYTES or allowed <= _FEWER_CORES:
        return Check(name="cores", state="ok", said=said)
    smaller = format_size(peak_error_bytes(cores, _FEWER_CORES, page_bytes))
    help_ = f"on {_FEWER_CORES} of them it is {smaller}: taskset -c 0-{_FEWER_CORES - 1} pytest"
    return Check(name="cores", state="note", said=said, help=help_)


def _reset() -> Check:
    if reset_peak():
        return Check(name="peak reset", state="ok", said="a test's peak starts at its setup (/proc/self/clear_refs)")
    said = "the kernel's peak cannot be reset: rss includes what was held while the test's file was imported"
    help_ = "a kernel with CONFIG_PROC_PAGE_MONITOR, and a sandbox that allows writing to /proc/self/clear_refs"
    return Check(name="peak reset", state="note", said=said, help=help_ if sys.platform == "linux" else "")


def _children() -> Check:
    if lists_children():
        return Check(name="process tree", state="ok", said="the kernel lists each process's children: cheap to follow")
    said = "children are found by looking at every process of the machine, so that rss_tree is sampled less often"
    help_ = "a kernel with CONFIG_PROC_CHILDREN" if sys.platform == "linux" else ""
    return Check(name="process tree", state="note", said=said, help=help_)


def _oom() -> Check:
    kills = oom_kills()
    if kills is not None:
        said = f"counted by the kernel ({kills} since it started): a test that it kills for want of memory is told so"
        return Check(name="OOM kills", state="ok", said=said)
    said = "not counted here: a test that is killed for want of memory is reported as killed by SIGKILL"
    return Check(name="OOM kills", state="note", said=said)


def _huge_pages(mode: str | None) -> Check:
    name = "huge pages"
    if mode is None:
        return Check(name=name, state="ok", said="this system has no transparent huge pages")
    if mode == "always":
        said = "always: any large block may count in steps of 2 MiB, as the kernel finds room for them"
        help_ = "for readings that repeat: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, as root"
        return Check(name=name, state="note", said=said, help=help_)
    if mode == "madvise":
        said = "madvise: NumPy asks for them for arrays of 4 MiB and more, which then count in steps of 2 MiB"
        return Check(name=name, state="ok", said=said, help="NUMPY_MADVISE_HUGEPAGE=0 has NumPy ask for none")
    return Check(name=name, state="ok", said=mode)
