"""From what the driver said of a process on one card to gpu_footprint: the best rung of the ladder that holds.

The rungs: accounting; the list of processes, read while the test still held what it held; the list, read while it ran;
the difference in the card's memory in use, where nobody else has it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_tfmem.figures import NotMeasured, Reading

ACCOUNTING = "the driver's accounting, since the process began"
LIST = "the driver's process list"
DIFFERENCE = "the device's difference, an estimate"
USED_NONE = "the test used no GPU"

# What keeps its memory until its process ends, but for BFC's collection of empty regions when memory runs out.
GIVES_NOTHING_BACK = frozenset({"cuda_malloc_async", "growth", "bfc", "memory_guard"})


@dataclass
class Seen:
    """What was seen of a test's process on one card, in bytes; None is not seen.

    `before`: in use on the card, by anybody, before the process had a context; `used`: most that was in use since. Both
    only of a card that is held exclusively. `sampled`: most in a list read while the test ran; `at_end`: most in a
    list read at the end of its call or its teardown. `accounted`: the driver's own mark. `problem`: why the list does
    not tell, or no longer. `crowd`: who else was on the card, which keeps a difference from being the test's.
    """

    uuid: str
    exclusive: bool
    interval_seconds: float
    before: int | None = None
    used: int | None = None
    sampled: int | None = None
    at_end: int | None = None
    accounted: int | None = None
    problem: str = ""
    crowd: str = ""

    @property
    def listed(self) -> int:
        """Most that any list said of the process, 0 if none did."""
        return max(self.sampled or 0, self.at_end or 0)

    @property
    def was_used(self) -> bool:
        """Whether the process was seen on the card, or, where it cannot be told apart, more of the card is in use."""
        return bool(self.listed) or (self.before is not None and (self.used or 0) > self.before)


def footprint_reading(seen: Seen, allocator: str) -> Reading | NotMeasured:
    """gpu_footprint of the process on the card. `allocator`: what was in force in it, by TensorFlow's name."""
    if seen.accounted and seen.accounted >= seen.listed:
        return Reading(bytes=seen.accounted, exactness="exact", source=ACCOUNTING, device=seen.uuid)
    if seen.at_end:
        return _listed_at_end(seen, allocator)
    if seen.sampled:
        why = seen.problem or "the process ended before its end could be read"
        source = f"{_sampled_source(seen)}, incomplete: {why}"
        return Reading(bytes=seen.sampled, exactness="sampled", source=source, device=seen.uuid)
    return _difference(seen)


def _listed_at_end(seen: Seen, allocator: str) -> Reading:
    at_end = seen.at_end or 0
    if allocator not in GIVES_NOTHING_BACK or at_end < seen.listed:
        source = f"{_sampled_source(seen)}, and at the ends of call and teardown"
        return Reading(bytes=seen.listed, exactness="sampled", source=source, device=seen.uuid)
    source = f"{LIST} at the call's end, near-exact under {allocator}"
    if allocator == "bfc":
        source += "; it takes the whole card, or its limit, at once"
    return Reading(bytes=at_end, exactness="lower-bound", source=source, device=seen.uuid)


def _sampled_source(seen: Seen) -> str:
    return f"{LIST}, read every {seen.interval_seconds * 1000:g} ms at best"


def _difference(seen: Seen) -> Reading | NotMeasured:
    why = seen.problem or "the driver did not list the process"
    if not seen.exclusive or seen.before is None or seen.used is None:
        return NotMeasured(why, seen.uuid)
    if seen.crowd:
        return NotMeasured(f"{why}, and the card was not the test's alone: {seen.crowd}", seen.uuid)
    if seen.used <= seen.before:
        return NotMeasured(f"{why}, and the card's memory in use did not grow", seen.uuid)
    # Not a bound to either side: peaks between two readings are missed, and what the driver itself takes for a
    # process, such as its page tables, is in it.
    source = f"{DIFFERENCE}, for {why}"
    return Reading(bytes=seen.used - seen.before, exactness="sampled", source=source, device=seen.uuid)
