"""What fits in a line of a terminal: text escaped, shortened, padded, wrapped and aligned by its cells."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING

from rich.cells import cell_len

from pytest_tfmem.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

GAP = "  "


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the summary, as `terminalreporter.write_line(text, **markup)` takes it."""

    text: str
    markup: dict[str, bool] = field(default_factory=dict)


def plain(text: str) -> str:
    """`text` with everything escaped that a terminal would act on, and nothing cut off."""
    return one_line(text, most=sys.maxsize)


def shorten_middle(text: str, width: int) -> str:
    """`text` in at most `width` cells: of a node id, its file and the end of its name."""
    if cell_len(text) <= width:
        return text
    if width < 1:
        return ""
    tail = _head(text[::-1], width // 2)[::-1]
    return f"{_head(text, width - 1 - cell_len(tail))}…{tail}"


def shorten_end(text: str, width: int) -> str:
    """`text` in at most `width` cells, cut visibly at its end."""
    return text if cell_len(text) <= width else f"{_head(text, width - 1)}…"


def wrap(text: str, width: int, *, indent: str = "  ", breaks: str = " ") -> list[str]:
    """`text` in lines of at most `width` cells, all but the first indented.

    `breaks` is a pattern for the spaces at which a line may end; what is wider between two of them is cut in pieces.
    """
    room = width - len(indent)
    lines: list[str] = []
    line = ""
    for word in _pieces(re.split(breaks, text), room):
        longer = f"{line} {word}" if line else word
        if line and cell_len(longer) > (room if lines else width):
            lines.append(line)
            longer = word
        line = longer
    lines.append(line)
    return [lines[0], *(f"{indent}{line}" for line in lines[1:])]


def align(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """The rows as lines with their cells in columns, each to the side that `sides` has for it, "<" or ">"."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return [GAP.join(map(pad, row, widths, sides)).rstrip() for row in rows]


def pad(text: str, width: int, side: str = "<") -> str:
    """`text` and enough spaces to fill `width` cells; `side` is where the text goes."""
    spaces = " " * (width - cell_len(text))
    return spaces + text if side == ">" else text + spaces


def _pieces(words: Iterable[str], room: int) -> Iterator[str]:
    for word in words:
        rest = word
        while cell_len(rest) > room:
            piece = _head(rest, room)
            yield piece
            rest = rest[len(piece) :]
        yield rest


def _head(text: str, room: int) -> str:
    used = accumulate(map(_most_cells, text))
    return text[: sum(1 for _ in takewhile(lambda cells: cells <= room, used))]


def _most_cells(char: str) -> int:
    # A variation selector has no cells of its own, but may widen the character before it by one.
    return 1 if char == "\ufe0f" else cell_len(char)
