"""Run files: one run as JSON Lines, written as its tests end, so that a session that is killed leaves a readable one.

The first line is the header: the schema, the run and its environment. Then a line for each test, in the words of the
run document; a test that was run again has several. The last is the footer. A file may hold several runs one after the
other, as `tfmem combine` writes them.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_tfmem.history.encoding import encoded, finite
from pytest_tfmem.history.recorded import Header
from pytest_tfmem.history.runlines import read_runs

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.history.recorded import Footer, RecordedRun

if sys.platform != "win32":
    import fcntl

__all__ = ["Header", "RunFileWriter", "is_being_written", "read_runs", "run_lines"]


class RunFileWriter:
    """A run file that is being written: whatever happens to this process, what it wrote are whole lines.

    Everything raises OSError as the system does. A line that could not be written whole leaves nothing of itself.
    """

    def __init__(self, path: Path, header: Header) -> None:
        """Make the file, which must not be there yet."""
        self.path = path
        # Appended to by the system itself: a process that was forked meanwhile cannot write over what stands there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, flags, 0o666)
        self._size = 0
        self._nodeids: set[str] = set()
        try:
            _hold(self._descriptor)
            self._write(encoded(header))
        except BaseException:
            self.close()
            with suppress(OSError):
                path.unlink()
            raise

    @property
    def tests(self) -> int:
        """How many tests stand in it."""
        return len(self._nodeids)

    def add(self, test: Measurement) -> None:
        self._write(encoded(finite(test)))
        self._nodeids.add(test.nodeid)

    def finish(self, footer: Footer) -> None:
        self._write(encoded(footer))

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        try:
            written = 0
            while written < len(line):
                written += os.write(self._descriptor, line[written:])  # a disk that fills up takes a part first
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(line)


def run_lines(run: RecordedRun) -> bytes:
    """A whole run as a run file has it."""
    lines = [encoded(Header(run=run.run, environment=run.environment)), *(encoded(finite(test)) for test in run.tests)]
    return b"".join([*lines, *([encoded(run.footer)] if run.footer else [])])


def is_being_written(path: Path) -> bool:
    """Whether a living process writes this file. Where the system cannot tell (Windows), it refuses to remove it."""
    if sys.platform == "win32":
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


def _hold(descriptor: int) -> None:
    """Hold the file until this process ends, however it does."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return  # a file system without locks, or somebody who looks right now whether it is held
