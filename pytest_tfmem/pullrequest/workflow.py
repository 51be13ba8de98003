"""GitHub's workflow commands: a line of a step's output that makes an annotation.

As actions/runner reads them (ActionCommand.cs): `::error file=a,line=1::message`, of which the message ends with the
line, a property with a comma, and all properties with `::`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_tfmem.errors import one_line

if TYPE_CHECKING:
    from pytest_tfmem.pullrequest.places import Place

Level = Literal["error", "warning", "notice"]

MOST_OF_LEVEL = 10  # GitHub makes annotations of so many of a step
_LONGEST_TITLE = 200
_LONGEST_LINE = 390  # of ten, and one that counts the rest, GitHub keeps all: it cuts a message at 4,096 characters
_MOST_LINES = 10
_DATA = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_PROPERTY = (*_DATA, (":", "%3A"), (",", "%2C"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What is to be shown, and where: `lines` are those of its message."""

    level: Level
    title: str
    lines: tuple[str, ...]
    place: Place | None = None

    def command(self) -> str:
        """It as a line of output. No text in it can end it or begin another."""
        where = {"file": self.place.file, "line": str(self.place.line)} if self.place else {}
        properties = where | {"title": one_line(self.title, most=_LONGEST_TITLE)}
        named = ",".join(f"{name}={_escaped(value, _PROPERTY)}" for name, value in properties.items())
        return f"::{self.level} {named}::{_escaped(self._message(), _DATA)}"

    def _message(self) -> str:
        more = len(self.lines) - _MOST_LINES
        lines = [*self.lines[:_MOST_LINES], *([f"and {more} more"] if more > 0 else [])]
        return "\n".join(one_line(line, most=_LONGEST_LINE) for line in lines)


def _escaped(text: str, characters: tuple[tuple[str, str], ...]) -> str:
    for character, escape in characters:
        text = text.replace(character, escape)
    return text
