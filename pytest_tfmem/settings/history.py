"""The settings about earlier runs: where they are kept, which count, and what may be changed by them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.settings.options import DEFAULT_HISTORY, HISTORY_VARIABLE, OFF, UPDATES, given, given_by

if TYPE_CHECKING:
    import pytest

_SHARD = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


def read_history(config: pytest.Config) -> str | None:
    place = given_by(config, "tfmem_history")
    named = given(config, "tfmem_history")
    of_environment = os.environ.get(HISTORY_VARIABLE)
    if of_environment and config.getoption("tfmem_history", None) is None:
        place, named = HISTORY_VARIABLE, of_environment
    if named == OFF:
        return None
    if not named:
        return str(config.rootpath / DEFAULT_HISTORY)
    if place == HISTORY_VARIABLE and not _is_url(named):
        return _folder(str(Path(config.invocation_params.dir, named)), named, place)
    return _folder(_location(config, "tfmem_history", str(named)), named, place)


def _folder(location: str, written: str, place: str) -> str:
    if not _is_url(location) and Path(location).exists() and not Path(location).is_dir():
        raise TfmemError(f"{one_line(written)} is not a folder", where=place, hint="name a folder")
    return location


def _is_url(written: str) -> bool:
    """Whether a database is named. Raises TfmemError, without the password, for a URL that is none of ours."""
    if "://" not in written:
        return False
    from pytest_tfmem.history.sql.url import read_url  # noqa: PLC0415  few sessions name one

    read_url(written, root=Path())
    return True


def read_baseline(config: pytest.Config) -> tuple[str, ...]:
    named = given(config, "tfmem_baseline")
    parts = [part.strip() for part in str(named or "").split(",")]
    return tuple(OFF if part == OFF else _baseline(config, part) for part in parts if part)


def _baseline(config: pytest.Config, written: str) -> str:
    location = _location(config, "tfmem_baseline", written)
    # Not in a worker of pytest-xdist, which may run on another machine: its controller has looked.
    if not _is_url(location) and not hasattr(config, "workerinput") and not Path(location).exists():
        place, hint = given_by(config, "tfmem_baseline"), "name run files, folders or databases"
        raise TfmemError(f"{one_line(written)} does not exist", where=place, hint=hint)
    return location


def _location(config: pytest.Config, name: str, written: str) -> str:
    """A URL as it is; a path made absolute, from where it was written."""
    if _is_url(written):
        return written
    if config.getoption(name, None) is not None:
        return str(Path(config.invocation_params.dir, written))
    return str(Path(config.inipath.parent if config.inipath else config.rootpath, written))


def read_update(config: pytest.Config) -> frozenset[str]:
    named = str(given(config, "tfmem_update") or "")
    words = frozenset(word.strip() for word in named.split(",") if word.strip())
    place = given_by(config, "tfmem_update")
    if wrong := sorted(words.difference(UPDATES)):
        hint = f"choose some of {', '.join(UPDATES)}"
        raise TfmemError(f"{one_line(repr(wrong[0]), most=60)} is not a choice", where=place, hint=hint)
    if words == {"preview"}:
        raise TfmemError("there is nothing to preview", where=place, hint=f"name some of {', '.join(UPDATES[:-1])}")
    if words - {"preview"} and os.environ.get("CI"):
        hint = "run it where you can look at the difference, and commit that"
        raise TfmemError("budgets are not changed in CI (the variable CI is set)", where=place, hint=hint)
    return words


def read_shard(config: pytest.Config) -> tuple[int, int] | None:
    named = given(config, "tfmem_shard")
    if not named:
        return None
    match = _SHARD.fullmatch(str(named).strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        shown = one_line(repr(named), most=60)
        raise TfmemError(f"{shown} is not a shard", where=given_by(config, "tfmem_shard"), hint="write such as 2/4")
    return int(match[1]), int(match[2])
