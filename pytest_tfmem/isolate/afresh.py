"""What makes a fork like a new interpreter: what it has from the process that it was forked off, and must not keep."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import gc
import io
import logging
import os
import stat
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable

_PR_SET_NAME = 15  # prctl(2)
_PR_SET_CHILD_SUBREAPER = 36
# Flags that an open file keeps, about how it was to be found or made: those of temporary files.
_TO_FIND_OR_MAKE_IT = os.O_TRUNC | os.O_NOFOLLOW | getattr(os, "O_TMPFILE", 0)
_STANDARD = 2  # the highest of the descriptors 0, 1 and 2


def lead_a_session(output: int, errors: int) -> None:
    """A session and a process group of its own, and standard output and error that lead elsewhere."""
    os.setsid()
    os.dup2(output, 1)
    os.dup2(errors, 2)
    for stream, descriptor in ((sys.__stdout__, 1), (sys.__stderr__, 2)):
        if isinstance(stream, io.TextIOWrapper):
            # As a new interpreter would have found them.
            stream.reconfigure(line_buffering=descriptor == _STANDARD or os.isatty(descriptor))


def call_itself(name: str) -> str:
    """Set the name under which `ps` and `top` show this process, at most 15 bytes; the name that it had."""
    before = Path("/proc/self/comm").read_bytes().strip().decode(errors="replace")
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)
    return before


def adopt_orphans() -> None:
    """Have the kernel give this process whatever its descendants leave behind when they end (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def forget_inherited_ends() -> None:
    """Nothing that was to be done when the forking process ends is done when this one does."""
    # As multiprocessing does with the processes that it forks.
    atexit._clear()  # noqa: SLF001
    # Those of weakref, which is to do it for what is made from now on.
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]  # noqa: SLF001
        finalizer.atexit = False
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]  # noqa: SLF001
    atexit.register(logging.shutdown)
    _start_coverage_anew()


def own_files() -> list[int]:
    """Descriptors of the regular files that this process has open, but for its standard streams."""
    streams = {_file(descriptor) for descriptor in (0, 1, 2)}
    found = [(descriptor, _file(descriptor)) for descriptor in map(int, os.listdir("/proc/self/fd"))]
    return [descriptor for descriptor, file in found if file and file not in streams]


def reopen(descriptors: Iterable[int]) -> None:
    """Open each file anew, where it was: what is read or written here moves nobody else's position."""
    for descriptor in descriptors:
        try:
            position = os.lseek(descriptor, 0, os.SEEK_CUR)
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~_TO_FIND_OR_MAKE_IT
            again = os.open(f"/proc/self/fd/{descriptor}", flags)
        except OSError:
            continue  # its file may not be opened again: it stays shared
        os.lseek(again, position, os.SEEK_SET)
        os.dup2(again, descriptor, inheritable=os.get_inheritable(descriptor))
        os.close(again)


def writers() -> list[io.IOBase]:
    """Every object of this process that may hold back what was written to a file."""
    # By its type alone: an object may claim to be of any class, and run anything when asked.
    kinds = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    return [value for value in gc.get_objects() if issubclass(type(value), kinds)]


def end(files: Iterable[int] = (), inherited: Iterable[io.IOBase] = ()) -> NoReturn:
    """End this process as an interpreter ends, but for taking every object apart, which for TensorFlow takes long.

    `files` and `inherited`: the `own_files` and the `writers` of the process that it was forked off.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  waits for threads, as an interpreter does first
    atexit._run_exitfuncs()  # noqa: SLF001  as multiprocessing has them run in the processes that it forks
    # What files that nobody closed still hold back. Frozen objects, as inherited ones may be, are not looked through.
    made_here = writers() if set(own_files()) - set(files) else []
    for stream in (*made_here, *inherited, sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):
            stream.flush()
    os._exit(0)


def _start_coverage_anew() -> None:
    """If coverage measures subprocesses: measure this one, and leave what was measured before to who measured it."""
    coverage: Any = sys.modules.get("coverage")
    current = coverage.Coverage.current() if coverage is not None else None
    if current is not None:
        current.stop()
        # By this it knows that it has started in this process: it would not a second time.
        vars(coverage.process_startup).pop("coverage", None)
        coverage.process_startup()


def _file(descriptor: int) -> tuple[int, int] | None:
    """Which regular file it is of, by device and inode; None if of none."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None  # the one by which they were listed
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None
