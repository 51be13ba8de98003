"""What was alive in an allocator at its peak: the profiler's events replayed, and told by operation and line."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_tfmem.explanations import Holder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_tfmem.figures import Phase
    from pytest_tfmem.measure.events import MemoryEvent

Counting = Literal["requested", "charged"]

MOST_HOLDERS = 50

_CALL_OF_FUNCTION = re.compile(r"^(?:(?:Stateful)?PartitionedCall(?:_\d+)?/)+")
_FOLDED = re.compile(r"/_\d+__cf__\d+$")  # a constant that TensorFlow worked out beforehand
_WHOLE_FUNCTION = re.compile(r"__inference_(.+)_\d+")
_WRITES_VARIABLE = re.compile(r"(?:^|/)(?:Assign|ResourceApply|ResourceScatter)\w*$")
# What TensorFlow was doing, the most telling first, where it names no operation.
_WITHIN = {
    "autotuner": "XLA trying out kernels (autotuner)",
    "Build buffer allocations": "XLA's buffers",
    "tf.constant": "a value handed over from Python (tf.constant)",
    "convert_to_tensor": "a value handed over from Python (convert_to_tensor)",
}
# The name and the bytes of each kind of number, 0 where they differ: tensorflow/core/framework/types.proto.
_KINDS = {
    1: ("float32", 4),
    2: ("float64", 8),
    3: ("int32", 4),
    4: ("uint8", 1),
    5: ("int16", 2),
    6: ("int8", 1),
    7: ("string", 0),
    8: ("complex64", 8),
    9: ("int64", 8),
    10: ("bool", 1),
    14: ("bfloat16", 2),
    17: ("uint16", 2),
    18: ("complex128", 16),
    19: ("float16", 2),
    20: ("resource", 0),
    21: ("variant", 0),
    22: ("uint32", 4),
    23: ("uint64", 8),
}


class Span(NamedTuple):
    """What of the time counts: a phase, from the moment that its marks were reset, in picoseconds since the epoch."""

    phase: Phase
    begin: int
    end: int


class Peak(NamedTuple):
    """The most that one allocator held in some spans of time, and the allocations that were alive then.

    `bytes`, counted as `counting` says, are more than those of `alive` where some were made before the profile began.
    """

    phase: Phase
    at: int
    bytes: int
    counting: Counting
    alive: list[MemoryEvent]


def find_peak(events: Sequence[MemoryEvent], spans: Iterable[Span], counting: Counting) -> Peak | None:
    """The peak of one allocator's events, which are in the order of time; None if it held nothing in these spans.

    "charged" is as the allocator itself counts, so that the peak is its own; "requested" is added up from the events.
    What was held at a span's beginning counts in it. Of equal moments the first is taken.
    """
    held = _held(events, counting)
    moments = [event.at for event in events]
    best: tuple[int, int, Phase] | None = None
    for span in spans:
        first, end = bisect_left(moments, span.begin), bisect_right(moments, span.end)
        for place in range(max(first - 1, 0), end):
            if best is None or held[place] > held[best[0]]:
                best = place, max(moments[place], span.begin), span.phase
    if best is None or held[best[0]] <= 0:
        return None
    place, at, phase = best
    return Peak(phase=phase, at=at, bytes=held[place], counting=counting, alive=_alive(events[: place + 1]))


def holders(peak: Peak, where: Callable[[MemoryEvent], str]) -> list[Holder]:
    """Who held the peak, the largest first: one for each operation, shape, kind of number and line.

    `where(event)`: the user's line at which it was allocated, empty if that is not known.
    """
    found: dict[tuple[str, str, str], list[int]] = {}
    for event in peak.alive:
        size = event.charged if peak.counting == "charged" else event.requested
        found.setdefault((named(event), where(event), detail(event)), []).append(size)
    all_of_them = [
        Holder(bytes=sum(sizes), count=len(sizes), what=what, where=line, kind="tensor", detail=shape)
        for (what, line, shape), sizes in found.items()
    ]
    return sorted(all_of_them, key=lambda one: (-one.bytes, one.what, one.detail, one.where))[:MOST_HOLDERS]


def named(event: MemoryEvent) -> str:
    """The operation by its name in the graph, without what TensorFlow puts around it; or what is known in its place."""
    name = _FOLDED.sub("", _CALL_OF_FUNCTION.sub("", event.operation))
    function = _WHOLE_FUNCTION.fullmatch(name)
    if function is not None:
        return f"in the function {function[1]}"
    if name:
        return name
    return next((told for part, told in _WITHIN.items() if part in event.within), "") or _unnamed(event)


def detail(event: MemoryEvent) -> str:
    """Such as "float32[300,512]", and that it is a variable's value where the operation writes one."""
    kind, size = _KINDS.get(event.kind, ("", 0))
    # TensorFlow says what the last tensor of the operation was: not always this one, or none, which is float32[0].
    if not kind or (size and size * _elements(event.shape) != event.requested):
        return ""
    return f"{kind}{event.shape}{', a variable' if _WRITES_VARIABLE.search(event.operation) else ''}"


def _elements(shape: str) -> int:
    return math.prod(int(size) for size in re.findall(r"\d+", shape))


def _unnamed(event: MemoryEvent) -> str:
    if event.thread_name.startswith("tf_data"):
        return "no operation named, of tf.data"
    return f"no operation named, in {event.within[-1]}" if event.within else "no operation named"


def _held(events: Sequence[MemoryEvent], counting: Counting) -> list[int]:
    """What the allocator held after each event."""
    if counting == "charged":
        return [event.in_use for event in events]
    held, total = [], _held_before(events)
    for event in events:
        total += event.requested
        held.append(total)
    return held


def _held_before(events: Sequence[MemoryEvent]) -> int:
    """What was held before the first event. As it was charged: nobody has said what was requested."""
    return events[0].in_use - events[0].charged if events else 0


def _alive(events: Iterable[MemoryEvent]) -> list[MemoryEvent]:
    alive: dict[int, MemoryEvent] = {}
    for event in events:
        alive.pop(event.address, None)
        if event.charged > 0:
            alive[event.address] = event
    return list(alive.values())
