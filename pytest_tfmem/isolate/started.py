"""A test's process that has been started, by whatever start method."""

from __future__ import annotations

import os
import stat
from typing import IO, TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from pytest_tfmem.isolate.channel import Channel

TOKEN_VARIABLE = "PYTEST_TFMEM_TOKEN"  # noqa: S105  a mark on our own processes, not a secret
_MOST_TAIL_BYTES = 1 << 16

StartMethod = Literal["spawn", "forkserver"]


class Process(Protocol):
    """What a controller asks of a test's process."""

    pid: int

    @property
    def returncode(self) -> int | None:
        """As subprocess gives it: the exit status, or the negated signal; None while it runs."""

    def wait(self, seconds: float) -> int | None:
        """The return code, once it has ended; None if it still runs after `seconds`."""

    def end(self) -> None:
        """Kill the process, if it still runs, and whatever it left behind."""

    def say_last_words(self) -> None:
        """Have a hung process write its threads' tracebacks to its standard error before it is killed."""


class Started:
    """A started test: its process, our end of the channel, and what it wrote past pytest's capture.

    `why_spawned` is why "auto" took a new interpreter where a fork would have been cheaper; empty if it did not.
    """

    def __init__(
        self,
        process: Process,
        channel: Channel,
        output: IO[bytes] | None,
        method: StartMethod,
    ) -> None:
        self.process = process
        self.channel = channel
        self.method = method
        self.why_spawned = ""
        self._output = output
        self._captured: IO[bytes] | None = None

    def phase_begins(self) -> None:
        """Keep hold of what pytest captures of the process's standard error: it cannot be had once that has died."""
        if self._captured is None and self._output is not None:
            self._captured = _captured_errors(self.process.pid, self._output)

    def output_tail(self) -> str:
        """The end of what the process wrote to its own standard output and error, where that is not shown live."""
        files = (self._captured, self._output)
        return "\n".join(filter(None, (tail(file).rstrip("\n") for file in files if file is not None)))

    def close(self) -> None:
        """End the process with all it started, and close what is open to it."""
        try:
            self.process.end()
        finally:
            self.channel.close()
            for file in filter(None, (self._captured, self._output)):
                file.close()


def _captured_errors(pid: int, output: IO[bytes]) -> IO[bytes] | None:
    """The file in which pytest captures what a process writes to its standard error; None where it is no other file."""
    try:
        file = open(f"/proc/{pid}/fd/2", "rb", buffering=0)  # noqa: SIM115  closed by Started
    except OSError:
        return None
    found = os.fstat(file.fileno())
    if stat.S_ISREG(found.st_mode) and not os.path.samestat(found, os.fstat(output.fileno())):
        return file
    file.close()
    return None


def tail(output: IO[bytes]) -> str:
    """The end of what was written to a file, which is another process's standard output."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _MOST_TAIL_BYTES))
    return output.read(_MOST_TAIL_BYTES).decode("utf-8", "backslashreplace")
