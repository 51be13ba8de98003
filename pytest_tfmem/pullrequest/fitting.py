"""What fits: blocks of lines in one text, shortened by their importance until it is short enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def _nothing(_left_out: int) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Rows between two texts, of which the last may be left out; `rest` says how many those are.

    `count`: how many rows there are; they are made one by one, as far as there is room. `importance`: rows of the
    greater are kept before those of the less. Where none of its rows is kept, `rest` is all that is left of a block.
    """

    importance: int
    before: str = ""
    count: int = 0
    rows: Iterable[str] = ()
    after: str = ""
    rest: Callable[[int], str] = _nothing

    def text(self, rows: Sequence[str]) -> str:
        """The block with these rows, the first of its own."""
        left_out = self.count - len(rows)
        told = self.rest(left_out) if left_out else ""
        if left_out and not rows:
            return told
        return "".join([self.before, *(f"{row}\n" for row in rows), told and f"\n{told}", self.after])

    def least(self) -> int:
        """Most bytes that it takes beside its rows."""
        rest = f"\n{self.rest(self.count)}" if self.count else ""
        return size(f"{self.before}{self.after}{rest}")


def fitted(blocks: Sequence[Block], *, most: int) -> str:
    """The blocks in their order, in at most `most` bytes of UTF-8 if what cannot be left out has no more."""
    room = most - sum(block.least() for block in blocks)
    kept: dict[int, list[str]] = {}
    for place in sorted(range(len(blocks)), key=lambda place: -blocks[place].importance):
        kept[place] = _first(blocks[place].rows, room)
        room -= sum(size(row) + 1 for row in kept[place])
    return "".join(block.text(kept[place]) for place, block in enumerate(blocks))


def size(text: str) -> int:
    """Bytes of UTF-8: no fewer than there are characters, however those who take the text count them."""
    return len(text.encode())


def _first(rows: Iterable[str], room: int) -> list[str]:
    kept = []
    for row in rows:
        room -= size(row) + 1
        if room < 0:
            break
        kept.append(row)
    return kept
