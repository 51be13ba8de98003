"""Which test was probably meant by an id that none has."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MOST_COMPARED = 2000  # difflib takes some 50 µs for each
_MOST_CHARS = 300


def nearest(wanted: str, nodeids: Sequence[str]) -> str:
    """An id, or a file, that `wanted` is likely to stand for; "" if nothing is much like it.

    In a file that is there, the test with the most similar name. Otherwise the test of the same name, if just one
    has it; else the test with the most similar name in the most similar file, or that file.
    """
    file, separator, name = wanted.partition("::")
    in_file = [nodeid for nodeid in nodeids if _file(nodeid) == file]
    if separator and in_file:
        return _in_file(file, name, in_file)
    same_name = {_without_parameters(nodeid) for nodeid in nodeids if separator and _name(nodeid) == _name(wanted)}
    if len(same_name) == 1:
        return same_name.pop()
    other = _most_similar(file, map(_file, nodeids))
    if not separator or not other:
        return other
    return _in_file(other, name, [nodeid for nodeid in nodeids if _file(nodeid) == other]) or other


def _in_file(file: str, name: str, nodeids: Iterable[str]) -> str:
    names = (nodeid.partition("::")[2] for nodeid in nodeids)
    close = _most_similar(name, names if "[" in name else map(_without_parameters, names))
    return f"{file}::{close}" if close else ""


def _most_similar(wanted: str, known: Iterable[str]) -> str:
    short = [one[:_MOST_CHARS] for one in dict.fromkeys(known)][:_MOST_COMPARED]
    # Strictly: all tests begin with "test_", and most files with "tests/test_".
    return next(iter(difflib.get_close_matches(wanted[:_MOST_CHARS], short, n=1, cutoff=0.85)), "")


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _without_parameters(nodeid: str) -> str:
    return nodeid.partition("[")[0]


def _name(nodeid: str) -> str:
    return _without_parameters(nodeid).rpartition("::")[2]
