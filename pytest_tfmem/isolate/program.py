"""A program as its controller sees it: from its first statement to its end, however it ends."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.program_process import ProgramProcess, end_all, start_program, still_running, under
from pytest_tfmem.isolate.watched import Watched, deadline_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tfmem.isolate.order import Order
    from pytest_tfmem.isolate.signals import PassedOn
    from pytest_tfmem.measure.footprint import Footprint

_LONGEST_WAIT_SECONDS = 0.1  # in which a signal waits to be passed on
_SECONDS_TO_END = 5.0  # for a program to end in order when its time is up


class NoProgramError(TfmemError):
    """There is no such module, or no `__main__` in what was named: `what` is Python's own words."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a program has ended. `returncode` is as subprocess has it.

    `timed_out`: it was ended, because its time was up. `cut_off`: it did not come to the end of an interpreter, where
    it would have said what it held; `became_another` says that another program took its place (exec). `oom`: the
    kernel killed some process for want of memory meanwhile. `left`: ids of processes that it has started and that
    still run. `peak_bytes` and `cpu_seconds` are as ProgramProcess has them.
    """

    returncode: int
    timed_out: bool
    cut_off: bool
    became_another: bool
    oom: bool
    seconds: float
    left: list[int]
    peak_bytes: int | None
    cpu_seconds: tuple[float, float] | None


class MeasuredProgram(Watched):
    """One program in a fresh process. `close` ends it, if it still runs.

    `is_wanted`: it is waited for however it takes Ctrl-C; one that is not has a few seconds to end then, or up to the
    next one.
    """

    def __init__(
        self,
        order: Order,
        signals: PassedOn,
        *,
        footprint: Callable[[int], Footprint] | None,
        is_wanted: bool = True,
    ) -> None:
        self._signals = signals
        self._is_wanted = is_wanted
        self._is_to_end = False
        self._limit_seconds = order.timeout_seconds
        self._began = time.monotonic()
        self._has_begun = self._is_over = self._became_another = self._timed_out = self._is_deaf = False
        self._under: list[tuple[int, float]] = []
        self._nothing_to_run = ""
        super().__init__(order, start=start_program, footprint=footprint)

    def run(self) -> Ended:
        """Wait for the program to end. Raises TfmemError if it could not begin as it was asked for, or is not there."""
        while (returncode := self._process.returncode) is None:
            self._signals.look(self._process.pid)
            if not self._is_wanted:
                self._heed(self._signals.came.count(signal.SIGINT))
            self._wait()
        self._hear()  # what it said last
        if self._nothing_to_run:
            raise NoProgramError(self._nothing_to_run)
        left = still_running(self._under)
        if self._is_to_end:
            end_all(left)
        return Ended(
            returncode=returncode,
            timed_out=self._timed_out,
            cut_off=not self._is_over,
            became_another=self._became_another,
            oom=self._killed_for_memory(),
            seconds=time.monotonic() - self._began,
            left=[] if self._is_to_end else [pid for pid, _ in left],
            peak_bytes=self._process.peak_bytes,
            cpu_seconds=self._process.cpu_seconds,
        )

    def _wait(self) -> None:
        if self._seconds_left <= 0:
            self._end()
        if self._look(max(0.0, min(_LONGEST_WAIT_SECONDS, self._seconds_left))):
            self._hear()
        if self._is_deaf and not self._is_over:
            now = _command_of(self._process.pid)
            self._became_another = self._became_another or now not in {b"", self._process.command}

    def _end(self) -> None:
        """Its time is up: it is asked to end, and killed with what it started if it does not."""
        if self._is_to_end:
            self._process.end()
            return
        self._timed_out = True
        self._is_to_end_soon()
        self._process.ask_to_end()

    def _heed(self, interrupts: int) -> None:
        if interrupts:
            self._is_to_end_soon()
        if interrupts > 1:
            self._end()

    def _is_to_end_soon(self) -> None:
        if not self._is_to_end:
            self._is_to_end = True
            self._under = under(self._process.pid)
            self._deadline = deadline_in(_SECONDS_TO_END)

    @property
    def _process(self) -> ProgramProcess:
        process = self._child.process
        assert isinstance(process, ProgramProcess)  # noqa: S101  it was started as one
        return process

    def _hear(self) -> None:
        channel = self._child.channel
        while not self._is_deaf and self._has_something_to_say():
            try:
                channel.take_in()
                while (message := channel.next_message()) is not None:
                    self._handle(message)
            except wire.WireError:
                channel.close()  # the program has written where it should not: nothing there is to be believed
            if channel.ended:
                self._listen_no_more()
                self._is_deaf = True

    def _handle(self, message: wire.Message) -> None:
        match message:
            case wire.PhaseBegun(phase=phase, resident_bytes=resident) if not self._has_begun:
                self._has_begun = True
                self._began = time.monotonic()
                self._deadline = deadline_in(self._limit_seconds)
                self._begun(phase, resident)
            case wire.PhaseOver() if self._has_begun and not self._is_over:
                self._is_over = True
                self._read_outside(message)
                self._under += under(self._process.pid)
                self._send(wire.Judged(""))
                self._all_measured()
            case wire.Refused(reason=reason) if self._has_begun:
                self._nothing_to_run = reason
            case wire.Refused(reason=reason):
                raise TfmemError(reason)
            case wire.Done():
                return
            case _:
                raise wire.WireError("sent a message that is not its to send")


def _command_of(pid: int) -> bytes:
    """The command line of a process (Linux); empty where it cannot be had, and of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
