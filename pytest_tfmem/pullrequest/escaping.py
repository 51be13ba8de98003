"""Text of others in Markdown, as GitHub and GitLab render it: shown as it is, and nothing in it is markup.

What is in a code span is no markup, no link, and mentions nobody: the only place in Markdown of which all of this is
true. (Character references do not help: `&#64;team` is a mention, and a URL inside `<code>` becomes a link.)
"""

from __future__ import annotations

import re
from itertools import groupby
from operator import itemgetter

from pytest_tfmem.errors import one_line
from pytest_tfmem.report.layout import plain

_LONGEST_ID = 250
_LONGEST_PROSE = 500
_WORD = re.compile(r"\(?(?:[A-Za-z]+(?:[-'][A-Za-z]+)*|[-+]?\d{1,6}(?:,\d{3})*(?:\.\d{1,6})?%?|[%=+])\)?[.,;:]{0,2}")
_FIRST = re.compile(r"\(?[A-Za-z].*|[\d,]+")  # at the beginning of a line, `1.` and `+` begin a list
_DATE = re.compile(r"\d{4}-\d\d-\d\d[.,;:]?")
_COMMIT = re.compile(r"[0-9a-f]{7}", re.IGNORECASE)
_PIPES = re.compile(r"(\|+)")
_BACKTICKS = re.compile(r"`+")


def nodeid(text: str) -> str:
    """A test's id in a code span. One of more than 250 characters is shortened in its middle."""
    shown = plain(text[: 2 * _LONGEST_ID] + text[2 * _LONGEST_ID :][-2 * _LONGEST_ID :])
    half = _LONGEST_ID // 2
    return code(shown if len(shown) <= _LONGEST_ID else f"{shown[:half]}…{shown[-half + 1 :]}")


def code(text: str, *, most: int = _LONGEST_ID) -> str:
    """The text in a code span that may stand anywhere, also in a cell of a table; nothing if it is empty.

    Of what no one sees, such as controls and marks that change the direction of writing, the escapes are shown.
    """
    shown = one_line(text, most=most)
    # A pipe ends a cell even in a code span, unless it has a backslash, which shows where there is no table; and what
    # one means that has a backslash before it already is where renderers differ. An element of its own is the same
    # everywhere, as there is nothing in it that any of them would make a link of.
    parts = _PIPES.split(shown)
    return "".join(_pipes(part) if part.startswith("|") else _span(part) for part in parts)


def prose(text: str, *, most: int = _LONGEST_PROSE) -> str:
    """A sentence in which text of others may stand: its plain words as they are, all other words in code spans."""
    words = one_line(text, most=most).strip(" ").split(" ")
    told = (
        (_is_plain(word) and (number > 0 or bool(_FIRST.fullmatch(word))), word) for number, word in enumerate(words)
    )
    runs = ((plainly, " ".join(word for _, word in run)) for plainly, run in groupby(told, key=itemgetter(0)))
    return " ".join(run if plainly else code(run, most=most) for plainly, run in runs)


def _is_plain(word: str) -> bool:
    """Whether no renderer makes anything of it: no markup, no link, no mention, and no commit."""
    return not word or bool((_WORD.fullmatch(word) or _DATE.fullmatch(word)) and not _COMMIT.search(word))


def _span(text: str) -> str:
    if not text:
        return ""
    fence = "`"
    while fence in _BACKTICKS.findall(text):
        fence += "`"
    # Renderers take one space off both ends if both have one and there is anything else.
    spaced = text.strip(" ") and (text[0] in " `" or text[-1] in " `")
    inner = f" {text} " if spaced else text
    return f"{fence}{inner}{fence}"


def _pipes(text: str) -> str:
    return f"<code>{'&#124;' * len(text)}</code>"
