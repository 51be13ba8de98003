"""A table of rows that belong to tests: beside the test's id where there is room for both, else below it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len

from pytest_tfmem.report.layout import GAP, Line, align, pad, plain, shorten_end, shorten_middle, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEST = "test"  # the head of the ids
_ROOM_FOR_IDS = 40  # with less, an id that does not fit gets a line of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: how what it tells stands, in a word; of which test; and the cells that are aligned with other rows'.

    `remark` stands behind the cells, or below them where the row is below its test.
    """

    standing: str
    nodeid: str
    cells: tuple[str, ...]
    remark: str = ""
    markup: dict[str, bool] = field(default_factory=dict)


def table_of_tests(rows: Sequence[Row], *, columns: Sequence[str], sides: str, width: int, standing: int) -> list[Line]:
    """The rows in their order, below a head; none where there are none.

    `columns` names the cells, and `sides` is where each goes, "<" or ">". `standing`: cells of the longest that a
    row's standing can be. Rows of one test that stand alike and follow each other share its line, where it has one.
    """
    if not rows:
        return []
    head, *texts = align([columns, *(row.cells for row in rows)], sides)
    indent = standing + len(GAP)
    beside = [head, *_remarked(rows, [head, *texts])]
    room = width - indent - len(GAP) - max(map(cell_len, beside))
    longest = max(len(_TEST), *(cell_len(plain(row.nodeid)) for row in rows))
    if longest <= room or room >= _ROOM_FOR_IDS:
        return _beside(rows, head, beside[1:], room=min(longest, room), indent=indent)
    return _stacked(rows, head, texts, width=width, indent=indent)


def _remarked(rows: Sequence[Row], texts: Sequence[str]) -> list[str]:
    """The rows' texts, of which the first is the head, each with its remark behind it."""
    widest = max(map(cell_len, texts))
    return [
        f"{pad(text, widest)}{GAP}{row.remark}" if row.remark else text
        for row, text in zip(rows, texts[1:], strict=True)
    ]


def _beside(rows: Sequence[Row], head: str, texts: Sequence[str], *, room: int, indent: int) -> list[Line]:
    lines = [Line(f"{'':{indent}}{pad(_TEST, room)}{GAP}{head}", {"bold": True})]
    for row, text in zip(rows, texts, strict=True):
        name = pad(shorten_middle(plain(row.nodeid), room), room)
        lines.append(Line(f"{row.standing:{indent}}{name}{GAP}{text}", row.markup))
    return lines


def _stacked(rows: Sequence[Row], head: str, texts: Sequence[str], *, width: int, indent: int) -> list[Line]:
    lines = [Line(shorten_end(f"{'':{indent}}{head}", width), {"bold": True})]
    below = zip(rows, texts, strict=True)
    for (nodeid, standing), group in groupby(below, key=lambda one: (one[0].nodeid, one[0].standing)):
        name = shorten_middle(plain(nodeid), width - indent)
        for place, (row, text) in enumerate(group):
            if not place:
                lines.append(Line(f"{standing:{indent}}{name}", row.markup))
            told = [shorten_end(text, width - indent), *(wrap(row.remark, width - indent) if row.remark else ())]
            lines += [Line(f"{'':{indent}}{one}", row.markup) for one in told]
    return lines
