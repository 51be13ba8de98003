"""The median of whole bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def median(values: Sequence[int]) -> int:
    """The middle value; of an even number the mean of the two in the middle, rounded down to whole bytes.

    Not statistics.median: that makes a float of it, and its module takes longer to load than all of the gate.
    """
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2
