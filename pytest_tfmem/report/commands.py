"""Commands for people to copy: their words quoted for a shell, in lines that fit a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.cells import cell_len

from pytest_tfmem.report.layout import plain, shorten_end

if TYPE_CHECKING:
    from collections.abc import Sequence

_HARMLESS = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_INDENT = "  "
_GOES_ON = " \\"


def command_lines(words: Sequence[str], *, width: int) -> list[str]:
    """The command, indented; a line that goes on ends in a backslash. A word that is too long for a line is cut."""
    quoted = list(map(quote, words))
    lines = [_INDENT + quoted[0]]
    for at, word in enumerate(quoted[1:], 1):
        longer = f"{lines[-1]} {word}"
        if cell_len(longer) + (len(_GOES_ON) if at + 1 < len(quoted) else 0) <= width:
            lines[-1] = longer
        else:
            lines[-1] += _GOES_ON
            lines.append(_INDENT * 2 + word)
    return [shorten_end(line, width) for line in lines]


def nameable(nodeids: Sequence[str], *, width: int) -> list[str]:
    """The tests as words of a command: one whose id is too long for a line by its file; none if that is, too."""
    room = width - 2 * len(_INDENT) - len(_GOES_ON)
    short = [nodeid if cell_len(quote(nodeid)) <= room else nodeid.partition("::")[0] for nodeid in nodeids]
    return list(dict.fromkeys(short)) if all(cell_len(quote(word)) <= room for word in short) else []


def quote(word: str) -> str:
    """The word as a shell takes it, harmless to a terminal: what is not printable is written with its code point."""
    if _HARMLESS.fullmatch(word):
        return word
    if word.isprintable():
        return "'" + word.replace("'", "'\\''") + "'"
    escaped = "".join(map(_escaped, word))
    return plain(f"$'{escaped}'")  # of bash, zsh and POSIX since 2024


def _escaped(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"
