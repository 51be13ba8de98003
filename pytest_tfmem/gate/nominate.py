"""The first stage of the gate: which readings the history of their series makes suspect. It takes no extra runs.

The only assumption is that sessions are exchangeable while nothing changes: that their order says nothing. Then a
reading is among the r + 1 greatest of m + 1 with a chance of at most (r + 1) / (m + 1), whatever the distribution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.gate.median import median

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_SESSIONS = 5
_SESSIONS_PER_RANK = 20


def rank(sessions: int) -> int:
    """How many of so many earlier sessions a suspect need not exceed: one of twenty may have been an outlier."""
    return sessions // _SESSIONS_PER_RANK


def nominated(now_bytes: int, values: Sequence[int], floor_bytes: int) -> bool:
    """Whether a reading is suspect: above all of `values` but `rank` of them, and above their median by the floor.

    `values`: one for each earlier session since the last step. With fewer than `LEAST_SESSIONS` nothing is suspect.
    """
    if len(values) < LEAST_SESSIONS:
        return False
    highest = sorted(values)[-1 - rank(len(values))]
    return now_bytes > max(highest, median(values) + floor_bytes)


def improved(now_bytes: int, values: Sequence[int], floor_bytes: int) -> bool:
    """Whether a reading is below the least of `values` by more than the floor.

    No mirror of `nominated`, after which the second stage decides: of what has improved nothing is run again. And as
    what disturbs a peak makes it higher, it is the least that is nearest to what the code needed.
    """
    return len(values) >= LEAST_SESSIONS and now_bytes < min(values) - floor_bytes
