"""What a test is called where another tool keeps its series: the node id, wherever that tool can hold it."""

from __future__ import annotations

import hashlib
import re

_DIGITS = 12
_MARKED = re.compile(rf"~[0-9a-f]{{{_DIGITS}}}\Z")


def named(text: str, *, without: str = "", most_bytes: int | None = None) -> str:
    """The text on one line, free of the characters of `without`, and in UTF-8 at most so many bytes.

    Text that has to be changed for that ends in `~` and the beginning of its SHA-256. So has text that ends like this
    by itself: two texts never have one name, and a test keeps its name from run to run.
    """
    shown = "".join(_escaped(char) if char in without or not char.isprintable() else char for char in text)
    fits = most_bytes is None or len(shown.encode()) <= most_bytes
    if shown == text and text and fits and not _MARKED.search(text):
        return text
    mark = "~" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return shown + mark if most_bytes is None else _cut(shown, most_bytes - len(mark)) + mark


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004  as Python writes them


def _cut(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode(errors="ignore")
