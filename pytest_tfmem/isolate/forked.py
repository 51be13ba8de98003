"""A test's process that was forked off a module server, as the controller sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Protocol

from pytest_tfmem.isolate.connections import is_readable, wait_for
from pytest_tfmem.isolate.process import LAST_WORDS_SECONDS, forbid_core_dump

if TYPE_CHECKING:
    from pytest_tfmem.isolate.channel import ControlChannel

_KILLED_SECONDS = 10.0  # for a killed test to end: one in a device's hands may take long
_TOLD_SECONDS = 3.0  # for a module server to tell of that, before it is given up


class Parent(Protocol):
    """What it is forked off: a module server, over whose channel the controller is told when it ends."""

    @property
    def channel(self) -> ControlChannel: ...

    def pump(self) -> None:
        """Take in what has arrived on the channel."""

    def kill(self) -> None:
        """End it, and with it all that was forked off it."""


class ForkedProcess:
    """A child of a module server, known by a descriptor, so that nobody else can ever be taken for it."""

    def __init__(self, module: Parent) -> None:
        self._module = module
        self._descriptor = -1
        self._returncode: int | None = None
        self.pid = 0  # until it is forked

    @property
    def returncode(self) -> int | None:
        self._module.pump()
        if self._returncode is None and self._module.channel.ended:
            self._is_orphaned()
        return self._returncode

    def is_forked(self, pid: int, descriptor: int) -> None:
        self.pid, self._descriptor = pid, descriptor

    def has_ended(self, returncode: int) -> None:
        self._returncode = returncode
        os.close(self._descriptor)

    def wait(self, seconds: float) -> int | None:
        deadline = time.monotonic() + seconds
        while self.returncode is None and wait_for([self._module.channel], deadline):
            pass
        return self.returncode

    def end(self) -> None:
        if self.pid == 0 or self.returncode is not None:
            return  # what it started has been ended with it
        self._signal(signal.SIGKILL)
        is_readable([self._descriptor], _KILLED_SECONDS)
        if self.wait(_TOLD_SECONDS) is None:
            self._module.kill()

    def say_last_words(self) -> None:
        if self.pid == 0 or self.returncode is not None:
            return
        forbid_core_dump(self.pid)
        self._signal(signal.SIGABRT)
        self.wait(LAST_WORDS_SECONDS)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended, which nobody has told us yet
            signal.pidfd_send_signal(self._descriptor, number)

    def _is_orphaned(self) -> None:
        # The kernel ends it with its module server, whoever ended that.
        if self.pid and is_readable([self._descriptor], _KILLED_SECONDS):
            self.has_ended(-signal.SIGKILL)
