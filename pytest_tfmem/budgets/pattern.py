"""Which tests a pattern covers, and which of two patterns is the more specific."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from pytest_tfmem.errors import TfmemError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

_PIECE = re.compile(r"\*\*|\*|\?|::|.", re.DOTALL)
_TOKEN = re.compile(r"::|.", re.DOTALL)
_WILDCARD = re.compile(r"[*?]")
_SEPARATORS = frozenset({"/", "::"})
_LIKE_A_NODE_ID = "write it as a node id, relative to the root directory, such as 'tests/test_a.py::test_step'"


class HasPattern(Protocol):
    @property
    def pattern(self) -> Pattern: ...


_Ranked = TypeVar("_Ranked", bound=HasPattern)


class _Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern with wildcards, as a machine that reads a node id once from left to right.

    Bit i of its state is set when the first i tokens of the pattern that are no star may have been read.
    `moves` has, by token, the bits that the token moves on; `any_moves` those that any token but a separator moves
    on (`?`); `near_stays` the bits that stay at any token but a separator (`*`), `far_stays` those that stay at
    any token (`**`); `skips` the bits that also stand one further on (`**/` may be no folder at all).
    """

    moves: dict[str, int]
    any_moves: int
    near_stays: int
    far_stays: int
    skips: int
    final: int

    def reaches(self, ends: frozenset[int], nodeid: str) -> bool:
        """Whether the pattern matches the node id up to one of the `ends`."""
        state = 1 | (self.skips & 1) << 1
        for match in _TOKEN.finditer(nodeid):
            separator = match.group() in _SEPARATORS
            moves = self.moves.get(match.group(), 0) | (0 if separator else self.any_moves)
            stays = self.far_stays | (0 if separator else self.near_stays)
            moved = (state & moves) << 1
            state = moved | (moved & self.skips) << 1 | state & stays
            if not state:
                return False
            if state & self.final and match.end() in ends:
                return True
        return False


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """A test pattern. `prefix` is its text up to the first wildcard; without wildcards there is no machine."""

    text: str
    prefix: str
    literals: int
    machine: _Machine | None

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    @property
    def rank(self) -> tuple[int, bool]:
        """The greater, the more specific: more literal characters, then no wildcard.

        In this order, so that a whole folder is never more specific than some of the tests of a file in it.
        """
        return (self.literals, self.machine is None)

    def covers(self, nodeid: str) -> bool:
        """Whether the node is the one that the pattern names, or below it.

        Takes time in proportion to the length of `nodeid`, whatever the pattern.
        """
        if not nodeid.startswith(self.prefix):
            return False
        ends = _ends(nodeid)
        return self.machine.reaches(ends, nodeid) if self.machine else len(self.prefix) in ends


def most_specific_first(found: Iterable[_Ranked]) -> list[_Ranked]:
    """What has a pattern, in order of precedence: of equally specific ones the later comes first."""
    return sorted(found, key=lambda ranked: ranked.pattern.rank)[::-1]


@lru_cache(maxsize=4096)
def compile_pattern(text: str, *, where: str = "") -> Pattern:
    """The pattern that `text` is. It covers the node that it names and everything below that node.

    `*` and `?` stand for characters other than `/` and `::`, `**` for any characters, and `**/` at the start of a
    folder's name also for no folder. Every other character, `[` and `]` among them, stands for itself.
    Raises TfmemError for a text that can cover no node id.
    """
    whole = re.sub(r"\*{3,}", "**", text).removesuffix("/").removesuffix("::")
    whole = re.sub(r"(?:\*\*/){2,}", "**/", whole)
    if not whole or whole.startswith(("/", "./")):
        raise TfmemError(f"{one_line(repr(text), most=60)} names no test", where=where, hint=_LIKE_A_NODE_ID)
    first = _WILDCARD.search(whole)
    machine = _machine(whole) if first else None
    return Pattern(
        text=text,
        prefix=whole[: first.start()] if first else whole,
        # The slash of a `**/` may be no folder, and so makes the pattern no more specific.
        literals=len(_WILDCARD.sub("", whole)) - (machine.skips.bit_count() if machine else 0),
        machine=machine,
    )


def _machine(whole: str) -> _Machine:
    moves: dict[str, int] = {}
    wild = {"?": 0, "*": 0, "**": 0}
    skips, bit, before = 0, 1, "/"
    for match in _PIECE.finditer(whole):
        piece = match.group()
        kind = wild if piece in wild else moves
        kind[piece] = kind.get(piece, 0) | bit
        if piece == "**" and before == "/" and whole.startswith("/", match.end()):
            skips |= bit
        bit = bit if piece in {"*", "**"} else bit << 1
        before = piece
    return _Machine(
        moves=moves,
        any_moves=wild["?"],
        near_stays=wild["*"],
        far_stays=wild["**"],
        skips=skips,
        final=bit,
    )


@lru_cache(maxsize=1024)
def _ends(nodeid: str) -> frozenset[int]:
    """Where in a node id a node ends: the test itself, and each folder, file, class and function that it is in."""
    file_end = nodeid.find("::")
    if file_end < 0:
        return frozenset({len(nodeid), *_starts("/", nodeid, 0, len(nodeid))})
    # Behind the first bracket are the parameters, in which a slash or a colon separates nothing.
    bracket = nodeid.find("[", file_end)
    names_end = len(nodeid) if bracket < 0 else bracket
    folders = _starts("/", nodeid, 0, file_end)
    names = _starts("::", nodeid, file_end, names_end)
    return frozenset({len(nodeid), names_end, *folders, *names, *_group_start(nodeid, file_end, bracket)})


def _starts(separator: str, nodeid: str, start: int, end: int) -> list[int]:
    return [match.start() for match in re.compile(separator).finditer(nodeid, start, end)]


def _group_start(nodeid: str, file_end: int, bracket: int) -> list[int]:
    """Where the `@group` begins that pytest-xdist appends to the id of a test in an `xdist_group`."""
    at = nodeid.find("@", file_end) if bracket < 0 else nodeid.rfind("]@", bracket) + 1
    return [at] if at > 0 else []
