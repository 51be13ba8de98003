"""Where a test or a limit stands, as GitHub counts it: from the top of the repository."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from pytest_tfmem.history.git import git

if TYPE_CHECKING:
    from pathlib import Path

_PLACE = re.compile(r"(?P<file>[^:]+):(?P<line>[1-9][0-9]{0,8})")


class Place(NamedTuple):
    """A line of a file, whose path is counted from the top of the repository."""

    file: str
    line: int


def place_of(where: str, *, prefix: str) -> Place | None:
    """The place that `tests/test_a.py:12` names, counted from the folder `prefix` of the repository.

    None where that is no place in the repository, or not one that a workflow command can name.
    """
    found = _PLACE.fullmatch(where)
    if not found or found["file"].startswith("/"):
        return None
    path = posixpath.normpath(posixpath.join(prefix, found["file"]))
    # The runner takes spaces off the ends, and may take signs of equality off the beginning.
    named = path.isprintable() and path == path.strip() and not path.startswith(("../", "="))
    return Place(path, int(found["line"])) if named else None


def prefix_of(root: Path) -> str:
    """Where in its repository a folder is: `packages/models/`, empty at the top and outside of any."""
    found = git(root, "rev-parse", "--show-prefix")
    return (found or "").removesuffix("\n")
