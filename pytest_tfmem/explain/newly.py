"""Which holders are new, held against an earlier explanation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.explain.earlier import Kept
    from pytest_tfmem.explanations import Explanation, Holder

_MORE_SHARE = 0.02
_MORE_BYTES = 1 << 20
_FRAMES = re.compile(r", \d+ frames$")


def against(explanation: Explanation, earlier: Kept | None) -> Explanation:
    """The explanation with what is new marked, against an earlier one and the name of its run; as it is without one."""
    if earlier is None:
        return explanation
    before, name = earlier
    pairs = _pairs(explanation.holders, before.holders)
    holders = [
        msgspec.structs.replace(holder, before_bytes=held, new=holder.bytes - held > _slack(held))
        for holder, held in zip(explanation.holders, pairs, strict=True)
    ]
    return msgspec.structs.replace(explanation, holders=holders, against=name)


def _pairs(now: Sequence[Holder], before: Sequence[Holder]) -> list[int]:
    """What each holder held before, 0 where it was not there.

    A holder is known by what and where it is, but for its line, which moves with every line above it. Of several that
    are alike, those of a like size are paired first.
    """
    left: dict[object, list[int]] = {}
    for holder in before:
        left.setdefault(_known_by(holder), []).append(holder.bytes)
    found: list[int | None] = []
    for holder in now:
        sizes = left.get(_known_by(holder), [])
        like = next((size for size in sizes if abs(holder.bytes - size) <= _slack(size)), None)
        if like is not None:
            sizes.remove(like)
        found.append(like)
    for at, holder in enumerate(now):
        if found[at] is None:
            sizes = left.get(_known_by(holder), [])
            found[at] = sizes.pop(0) if sizes else 0
    return [held or 0 for held in found]


def _slack(size: int) -> int:
    return max(_MORE_BYTES, int(_MORE_SHARE * size))


def _known_by(holder: Holder) -> object:
    return holder.kind, holder.what, holder.where.rpartition(":")[0], _FRAMES.sub("", holder.detail)
