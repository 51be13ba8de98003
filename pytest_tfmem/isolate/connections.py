"""What arrives from servers, and waiting for it, with any number of descriptors open (POSIX)."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.process import seconds_left

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.isolate.channel import ControlChannel


def arrived(channel: ControlChannel) -> list[wire.Message]:
    """Every message that has arrived whole. What is no message ends the connection."""
    messages: list[wire.Message] = []
    try:
        while not channel.ended and is_readable([channel], 0):
            channel.take_in()
        while (message := channel.next_message()) is not None:
            messages.append(message)
    except wire.WireError:
        channel.ended = True
    return messages


def wait_for(channels: Sequence[ControlChannel], deadline: float | None) -> bool:
    """Wait until something arrives on one of them, or one ends; False if the time is up before."""
    open_ones = [channel for channel in channels if not channel.ended]
    if not open_ones:
        return False
    return is_readable(open_ones, None if deadline is None else max(0.0, seconds_left(deadline)))


def is_readable(files: Sequence[ControlChannel | int], seconds: float | None) -> bool:
    """Wait until one of them can be read, or has ended; False if none could in that time."""
    poll = select.poll()  # select() knows no descriptor from 1024 on
    for file in files:
        poll.register(file, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))
