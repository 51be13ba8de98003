"""Where a work tree's modules are found: at the same places as those of the checkout, but in the work tree."""

from __future__ import annotations

import importlib.metadata
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pytest_tfmem.attempts.own_files import is_own

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def mapped(paths: Iterable[str], top: Path, tree: Path) -> list[str]:
    """The places of the checkout at `top` among these paths are those of the work tree; others stay as they are."""
    return [_in_tree(path, top, tree) if path and is_own(path, top) else path for path in paths]


def search_path(paths: Sequence[str], top: Path, tree: Path) -> list[str]:
    """`paths` for the work tree.

    At their end are its places of what is installed as editable from the checkout: such a distribution may have no
    place on the path, but a finder of its own, which is asked after the path.
    """
    found = mapped(paths, top, tree)
    editable = [_in_tree(str(place), top, tree) for place in _editable_places(top)]
    return [*found, *(place for place in dict.fromkeys(editable) if place not in found)]


def python_path(paths: Sequence[str], top: Path, tree: Path, *, given: str) -> str:
    """PYTHONPATH for the work tree: what the user has given, and the work tree's own places on `paths`."""
    user = [path for path in given.split(os.pathsep) if path]
    own = [path for path in paths if path and is_own(path, top)]
    return os.pathsep.join(dict.fromkeys(mapped([*user, *own], top, tree)))


def rewritten(arguments: Sequence[str], top: Path, tree: Path) -> list[str]:
    """Arguments that name places of the checkout by their whole path name those of the work tree."""
    return [_rewritten(argument, top, tree) for argument in arguments]


def _rewritten(argument: str, top: Path, tree: Path) -> str:
    option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
    inside = Path(value).is_absolute() and is_own(value.partition("::")[0], top)
    return f"{option}{equals}{_in_tree(value, top, tree)}" if inside else argument


def _in_tree(path: str, top: Path, tree: Path) -> str:
    return str(tree / Path(os.path.realpath(path)).relative_to(top))


def _editable_places(top: Path) -> Iterator[Path]:
    for distribution in importlib.metadata.distributions():
        folder = _editable_folder(distribution)
        if folder is not None and is_own(str(folder), top):
            yield folder / "src" if (folder / "src").is_dir() else folder


def _editable_folder(distribution: importlib.metadata.Distribution) -> Path | None:
    try:
        # PEP 610: how a distribution that was installed from a place of its own says so.
        told = json.loads(distribution.read_text("direct_url.json") or "{}")
        url = urlsplit(told["url"] if told["dir_info"]["editable"] else "")
    except (ValueError, KeyError, TypeError, OSError):
        return None
    return Path(url2pathname(url.path)) if url.scheme == "file" else None
