"""The shape of a series in one line of block characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_LEVEL = 0.01  # of the highest value: a range below this is drawn level


def sparkline(values: Sequence[int | None], width: int) -> str:
    """The shape of `values` in at most `width` characters, from their lowest to their highest.

    With more values than characters, each character stands for the highest of its part, so that no peak is lost.
    Where none was read (None) the last one stands on, and before the first there is a space.
    Values within 1 % of the highest are drawn level: scaled up, noise would look like growth.
    """
    count = min(len(values), width)
    if count < 1:
        return ""
    parts = [_highest(values[at * len(values) // count : (at + 1) * len(values) // count]) for at in range(count)]
    known = [part for part in parts if part is not None]
    if not known:
        return ""
    shape, drawn = iter(_shape(known)), ""
    for part in parts:
        drawn += (drawn[-1:] or " ") if part is None else next(shape)
    return drawn


def _highest(values: Sequence[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _shape(parts: Sequence[int]) -> str:
    lowest, highest = min(parts), max(parts)
    if highest - lowest <= _LEVEL * abs(highest):
        return _BLOCKS[0] * len(parts)
    return "".join(_BLOCKS[(value - lowest) * (len(_BLOCKS) - 1) // (highest - lowest)] for value in parts)
