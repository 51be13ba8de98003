"""Many stacks as few holders: what each place of the user's code held, with what it called folded away."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_tfmem.explain.threads import Threads
from pytest_tfmem.explanations import Holder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.explain.stacks import Frame, Place

MOST_HOLDERS = 50


class Piece(NamedTuple):
    """Memory that was alive at the peak: `pieces` of it from one stack, its innermost frame first."""

    bytes: int
    pieces: int
    stack: tuple[Frame, ...]


def fold(pieces: Sequence[Piece], root: str) -> list[Holder]:
    """The holders, the largest first."""
    threads = Threads((piece.stack for piece in pieces), root)
    sizes: dict[Place, tuple[int, int]] = {}
    for piece in pieces:
        place = threads.place_of(piece.stack)
        held, count = sizes.get(place, (0, 0))
        sizes[place] = held + piece.bytes, count + piece.pieces
    holders = [
        Holder(
            bytes=held,
            count=count,
            what=place.what,
            where=place.where,
            kind="native" if place.kind == "native" else "python",
            detail=place.detail,
            path=list(place.path),
        )
        for place, (held, count) in sizes.items()
    ]
    return sorted(holders, key=lambda holder: (-holder.bytes, holder.what, holder.where, holder.detail))
