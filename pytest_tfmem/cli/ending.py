"""A command that is ended in the middle ends in order, with what it had begun undone."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def in_order() -> Iterator[None]:
    """SIGTERM raises SystemExit in here, as Ctrl-C raises KeyboardInterrupt."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, _frame: object) -> NoReturn:
    """A signal's own way to end a process undoes nothing."""
    sys.exit(128 + number)
