"""Whether this process may be forked, and the fork then runs: one thread, no live device, no process of its own.

A fork has only the thread that forked it. What others hold, or were about to do, is for ever undone in it: a fork of a
process in which TensorFlow has run anything hangs, and after cuInit it aborts. And a process that was started before
the fork would serve all tests at once, if it were not taken for what the first of them left behind.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tfmem.measure.resident import why_not_populated
from pytest_tfmem.measure.sampler import descendants, lists_children

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_NAMES = 3


def why_no_forkserver() -> str:
    """Why this system has no start method forkserver, as a clause; empty if it has."""
    reason = why_not_populated()
    if reason:
        return reason
    if not lists_children():
        return "this Linux does not list a process's children (CONFIG_PROC_CHILDREN)"
    if not hasattr(os, "pidfd_open"):
        return "this Python has no os.pidfd_open"
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return f"this system has no pidfd_open ({error.strerror})"
    return ""


def why_not_to_fork() -> tuple[str, str]:
    """Why no test may be forked off this process (Linux): what was done in it, and how that shows; else empty."""
    if _has_live_device():
        return "listed GPUs", "CUDA's driver is loaded"
    started = [_name(f"/proc/{pid}") for pid in descendants(os.getpid()) if not _has_ended(pid)]
    if started:
        return "started processes", f"{len(started)} running, {_some(started)}"
    # OpenBLAS ends its worker threads in its fork handler, and starts them again when it next needs them.
    _fork_once()
    main = str(os.getpid())
    names = [_name(f"/proc/self/task/{thread}") for thread in os.listdir("/proc/self/task") if thread != main]
    if not names:
        return "", ""
    threads = f"{len(names) + 1} threads"
    if any(name.startswith("tf_") for name in names):
        return "made tensors", threads
    kinds = set(names) - {_name("/proc/self")}  # most have no name of their own
    return "started threads", f"{threads}, among them {_some(kinds)}" if kinds else threads


def _has_live_device() -> bool:
    return b"/libcuda.so" in Path("/proc/self/maps").read_bytes()


def _fork_once() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _has_ended(pid: int) -> bool:
    """Whether nothing is left of the process but what its parent has not asked for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    return stat.rpartition(b") ")[2].startswith(b"Z")


def _some(names: Iterable[str]) -> str:
    kinds = sorted(set(names))
    return ", ".join(kinds[:_MOST_NAMES]) + (", ..." if len(kinds) > _MOST_NAMES else "")


def _name(process: str) -> str:
    try:
        name = Path(process, "comm").read_text(encoding="utf-8", errors="backslashreplace").strip()
    except OSError:
        return "one that has ended"
    return name.encode("unicode_escape").decode()
