"""What the counters of one process say: at one moment, and around a phase of a test."""

from __future__ import annotations

import msgspec


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """What the counters of one process say at one moment, in bytes.

    `peak`: high-water mark of the resident set, since the mark was last reset if `since_reset`, else since the
    process began. `rss`: resident now; `file` and `shmem`: its file and shared pages, None where no counter tells.
    `error`: most that `peak` may fall short of the truth, None where that is not known.
    `exact_now`: whether `rss` is exact. `source`: the counter of `peak`.
    """

    peak: int
    rss: int
    file: int | None
    shmem: int | None
    error: int | None
    exact_now: bool
    since_reset: bool
    source: str


class PhaseMarks(msgspec.Struct, frozen=True, kw_only=True):
    """Marks at the start of a phase, just after the reset, and at its end; `seconds` is how long it took."""

    start: Marks
    end: Marks
    seconds: float
