"""Signals that are sent to this process in place of the program that it has started."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES = ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
_SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
_SENT_BY_KERNEL = 0x80  # SI_KERNEL, <asm-generic/siginfo.h>: the terminal's, to every process of its foreground group
_CAN_ASK = hasattr(signal, "sigtimedwait")  # Linux: who sent a signal can be told


class PassedOn:
    """While it is entered, signals end nothing here: `look` passes them on to the process of this id.

    Not those of the terminal, which the program has had itself. Where the system does not tell who sent one
    (macOS, Windows), Ctrl-C is taken to be the terminal's, and all others are passed on. `came`: all that were seen.
    """

    def __init__(self) -> None:
        self.blocked_before: list[int] = []
        self.came: list[int] = []
        self._before: list[tuple[int, Callable[..., object] | int | None]] = []
        self._waiting: list[int] = []

    def __enter__(self) -> Self:
        if _CAN_ASK:
            # Blocked from before the program is started, so that none is lost; it sets its own mask.
            self.blocked_before = list(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)))
        else:
            self._before = [(number, signal.signal(number, self._note)) for number in _SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        if _CAN_ASK:
            while (info := signal.sigtimedwait(_SIGNALS, 0)) is not None:
                self.came.append(info.si_signo)  # for the program, which has ended
            signal.pthread_sigmask(signal.SIG_SETMASK, self.blocked_before)
        for number, handler in self._before:
            signal.signal(number, handler)

    def look(self, pid: int) -> None:
        """Pass on to this process what has come meanwhile."""
        while _CAN_ASK and (info := signal.sigtimedwait(_SIGNALS, 0)) is not None:
            self.came.append(info.si_signo)
            if info.si_code != _SENT_BY_KERNEL:
                self._waiting.append(info.si_signo)
        while self._waiting:
            with suppress(OSError):  # it has ended
                os.kill(pid, self._waiting.pop(0))

    def _note(self, number: int, _frame: object) -> None:
        self.came.append(number)
        if number != signal.SIGINT:
            self._waiting.append(number)
