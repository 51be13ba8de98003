"""What the controller and another process say to each other: typed messages, in frames with a version."""

from __future__ import annotations

import msgspec

from pytest_tfmem.figures import decode_reading
from pytest_tfmem.isolate.wire.functions import Call, CallMeasured, MeasureWanted, Raised, Returned
from pytest_tfmem.isolate.wire.phases import (
    FAILED_INSIDE,
    NO_SESSION,
    NOT_COLLECTED,
    Checkpointed,
    Deliberating,
    Done,
    Judged,
    Limited,
    PhaseBegun,
    PhaseOver,
    Refused,
    Reported,
    SectionEntered,
    SectionLeft,
    Stopped,
    Warned,
)
from pytest_tfmem.isolate.wire.servers import Exited, Fork, Forked, Ready, Serve, Serving, Unfit, Warm
from pytest_tfmem.isolate.wire.starting import Program, Start

__all__ = [
    "FAILED_INSIDE",
    "NOT_COLLECTED",
    "NO_SESSION",
    "SCHEMA",
    "Call",
    "CallMeasured",
    "Checkpointed",
    "Deliberating",
    "Done",
    "Exited",
    "Fork",
    "Forked",
    "Frame",
    "Judged",
    "Limited",
    "MeasureWanted",
    "Message",
    "OfAnyThread",
    "PhaseBegun",
    "PhaseOver",
    "Program",
    "Raised",
    "Ready",
    "Refused",
    "Reported",
    "Returned",
    "SectionEntered",
    "SectionLeft",
    "Serve",
    "Serving",
    "Start",
    "Stopped",
    "Unfit",
    "Warm",
    "Warned",
    "WireError",
    "decode",
    "encode",
]

SCHEMA = 3


class WireError(Exception):
    """What arrived is not a message of ours; its text is a clause for the user to read."""


_OfServers = Warm | Serve | Serving | Ready | Unfit | Fork | Forked | Exited
OfAnyThread = SectionEntered | SectionLeft | Checkpointed | Limited
_OfTest = PhaseBegun | PhaseOver | OfAnyThread | Reported | Warned | MeasureWanted | Returned | Refused | Stopped | Done
Message = Start | Deliberating | Judged | CallMeasured | _OfTest | _OfServers


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """One message as it travels, with the version of what it is written in."""

    schema: int
    body: msgspec.Raw


def encode(message: Message) -> bytes:
    """The frame of a message."""
    return msgspec.msgpack.encode(Frame(SCHEMA, msgspec.Raw(msgspec.msgpack.encode(message))))


def decode(data: bytes) -> Message:
    """The message in `data`. Raises WireError if it is none, or of another version."""
    try:
        frame = msgspec.msgpack.decode(data, type=Frame)
        if frame.schema != SCHEMA:
            raise WireError(
                f"speaks version {frame.schema} of pytest-tfmem's messages and pytest version {SCHEMA}:"
                " two versions of pytest-tfmem are installed where tests look for it"
            )
        message: Message = msgspec.msgpack.decode(frame.body, type=Message, dec_hook=decode_reading)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise WireError(f"sent something that is not a message of pytest-tfmem ({error})") from error
    return message
