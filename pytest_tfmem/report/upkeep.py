"""What was changed in the budgets file: its difference, what is left to do by hand, and one line that sums it up."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.report.layout import Line, plain, shorten_middle, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "memory budgets: update"
_MOST_LINES = 200
_BREAK = re.compile(r"\r\n|[\r\n]")
_MARKUP = {"+": {"green": True}, "-": {"red": True}, "@": {"cyan": True}}


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an update: the file before and after, and what was changed, as `3 limits raised`.

    `error`: why nothing was changed, in one line. `remarks`: what else the user should know.
    """

    shown: str
    before: bytes = b""
    after: bytes = b""
    counts: list[str] = []
    remarks: list[str] = []
    preview: bool = False
    error: str = ""


def upkeep_lines(changed: Changed, *, width: int, verbosity: int) -> Iterator[Line]:
    """The lines of the section, none wider than `width`. With `verbosity` below -1 without the difference."""
    if changed.error:
        yield from _wrapped(changed.error, width, {"red": True})
        return
    difference = list(_difference(changed)) if verbosity >= -1 else []
    most = len(difference) if verbosity > 0 else _MOST_LINES
    for text in difference[:most]:
        yield Line(shorten_middle(plain(text), width), _MARKUP.get(text[:1], {}))
    if difference[most:]:
        yield Line(f"and {len(difference) - most} more lines (-v shows them)")
    if difference:
        yield Line("")
    for remark in changed.remarks:
        yield from _wrapped(remark, width, {"yellow": True})
    yield from _wrapped(_result(changed), width, {"bold": True})


def _difference(changed: Changed) -> Iterator[str]:
    before, after = (_lines(data) for data in (changed.before, changed.after))
    yield from difflib.unified_diff(before, after, changed.shown, f"{changed.shown} (updated)", lineterm="", n=2)


def _lines(data: bytes) -> list[str]:
    lines = _BREAK.split(data.decode("utf-8-sig", "replace"))
    return lines if lines[-1] else lines[:-1]


def _result(changed: Changed) -> str:
    if not changed.counts:
        return f"{changed.shown}: nothing to change"
    what = f"{changed.shown}: {', '.join(changed.counts)}"
    return f"{what} (a preview: nothing was written)" if changed.preview else what


def _wrapped(text: str, width: int, markup: dict[str, bool]) -> Iterator[Line]:
    yield from (Line(line, markup) for line in wrap(plain(text), max(width, 20)))
