"""A process of ours and all that it started: waiting for it, and ending it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

LAST_WORDS_SECONDS = 0.3
_KILLED_SECONDS = 1.0  # most that the end of a killed process is waited for: one in a device's hands may not end
_LOOK_SECONDS = 0.002


class ChildProcess:
    """One child, leader of a process group of its own.

    Only what carries this child's marks is ever ended: its process group, its descendants, and processes that were
    started with its `token` in their environment and got away from both.
    """

    def __init__(self, popen: subprocess.Popen[bytes], token: str) -> None:
        self._popen = popen
        self._token = token
        self._known: list[psutil.Process] = []
        self.pid = popen.pid

    @property
    def returncode(self) -> int | None:
        """As subprocess gives it: the exit status, or the negated signal; None while it runs."""
        return self._popen.poll()

    def wait(self, seconds: float) -> int | None:
        """The return code, once it has ended; None if it still runs after `seconds`."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kill the child, if it still runs, and whatever it left behind."""
        left = self._known + self._descendants()
        _signal_group(self.pid, _KILL)
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait()
        left += self._runaways()
        for process in left:
            _kill(process)
        _wait_for(left)

    def say_last_words(self) -> None:
        """Have a hung child write its threads' tracebacks to its standard error before it is killed.

        SIGABRT, which pytest's faulthandler plugin answers with them; first no core dump is to be written.
        """
        if sys.platform != "linux":
            return
        self._known = self._descendants()  # if it dies of this, they are no longer to be found under it
        forbid_core_dump(self.pid)
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGABRT)
        self.wait(LAST_WORDS_SECONDS)

    def _descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            return []

    def _runaways(self) -> list[psutil.Process]:
        """Processes with our token that are in no group and under no parent of ours: daemons."""
        if sys.platform != "linux":
            return []
        wanted = self._token.encode()
        found = [_process(pid) for pid in _younger_than(self.pid) if wanted in _environment_of(pid)]
        return [process for process in found if process is not None]


def forbid_core_dump(pid: int) -> None:
    """A process that is to be ended by SIGABRT writes no core dump (Linux)."""
    import resource  # noqa: PLC0415  POSIX only

    with contextlib.suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None  # it has ended meanwhile


def _younger_than(pid: int) -> list[int]:
    """Process ids of all that may have been started after `pid` was (Linux)."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]
    # Process ids rise until they wrap: the newest is then below ours, and nothing can be said of the others.
    return [other for other in pids if other > pid] if _newest_pid() >= pid else pids


def _newest_pid() -> int:
    with open("/proc/loadavg", "rb") as file:
        return int(file.read().split()[-1])


def _environment_of(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""


def _signal_group(group: int, number: int) -> None:
    if sys.platform == "win32":
        return
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left in it


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.Error:
        return


def _wait_for(killed: Sequence[psutil.Process]) -> None:
    """Wait until they have ended. They are no children of ours: who is to reap them may do so late, or never."""
    deadline = time.monotonic() + _KILLED_SECONDS
    while any(_is_alive(process) for process in killed) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


_KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL


def seconds_left(deadline: float | None) -> float:
    """Seconds until `deadline` on the monotonic clock; infinite without one."""
    return float("inf") if deadline is None else deadline - time.monotonic()
