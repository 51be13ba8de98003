"""The shape of a series in one line of block characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_LEVEL = 0.01  # of the highest value: a range below this is drawn level


def sparkline(values: Sequence[int], width: int) -> str:
    """The shape of `values` in at most `width` characters, from their lowest to their highest.

    With more values than characters, each character stands for the highest of its part, so that no peak is lost.
    Values within 1 % of the highest are drawn level: scaled up, noise would look like growth.
    """
    count = min(len(values), width)
    if count < 1:
        return ""
    parts = [max(_part(values, index, count)) for index in range(count)]
    lowest, highest = min(parts), max(parts)
    if highest - lowest <= _LEVEL * abs(highest):
        return _BLOCKS[0] * count
    return "".join(_BLOCKS[(value - lowest) * (len(_BLOCKS) - 1) // (highest - lowest)] for value in parts)


def _part(values: Sequence[int], index: int, count: int) -> Sequence[int]:
    return values[index * len(values) // count : (index + 1) * len(values) // count]
