"""Numbers in a row, packed: as whole steps from one to the next."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.page.island import Packed


def packed(values: Sequence[int | None]) -> Packed:
    """The values as `Packed` says; a missing one leaves the next to be counted from the last that there was.

    Memory comes in pages: steps of 4,096 bytes are a third as long to write as bytes are.
    """
    known = [value for value in values if value is not None]
    if not known:
        return [0, 1, *(None for _ in values)]
    differences = [value - known[at - 1] if at else 0 for at, value in enumerate(known)]
    step = gcd(*differences) or 1
    steps = [difference // step for difference in differences]
    if len(known) == len(values):
        return [known[0], step, *steps]
    following = iter(steps)
    return [known[0], step, *(None if value is None else next(following) for value in values)]


def unpacked(numbers: Packed) -> list[int | None]:
    """The values again: what the page's scripts do, for those who read the page without them."""
    first, step, *differences = numbers
    at = first or 0
    found: list[int | None] = []
    for difference in differences:
        if difference is not None:
            at += difference * (step or 1)
        found.append(None if difference is None else at)
    return found
