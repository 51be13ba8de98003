"""What a name on the command line stands for: a file, folder or database of runs, one run, or a commit's runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.history.commits import find_commit
from pytest_tfmem.history.recorded import RecordedRun
from pytest_tfmem.history.store import is_url, open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tfmem.history.store import RunInfo, Store

_PART_OF_AN_ID = re.compile(r"[0-9a-f]{4,}")
_HOW = "name a run file, a folder of them, a database's URL, a run's id or a git revision"


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What one name stands for. `shown` is how messages name it: without credentials.

    `runs` is empty only of a commit of which the history has no run of a clean work tree.
    """

    shown: str
    kind: Literal["store", "run", "commit"]
    runs: list[RecordedRun] = []
    commit: str | None = None


def find_named(name: str, *, directory: Path, history: Callable[[], Store | None]) -> Named:
    """What `name` stands for. Paths are relative to `directory`, which also says in which repository a revision is.

    A path that exists goes before a run's id, that before a revision. `history` opens the project's own, if it has one.
    Raises TfmemError for what is none of these, or two of them, and for files and folders that hold no runs.
    """
    if is_url(name) or (directory / name).exists():
        return _of_store(name, directory)
    store = history()
    try:
        infos = store.infos() if store else []
        commit, runs = find_commit(directory, name), _of_id(name, infos)
        if len(runs) + bool(commit) > 1:
            what = "a revision and a run's id begin so" if commit else f"{len(runs)} runs' ids begin so"
            raise TfmemError(what, where=one_line(name), hint="write more of the one that you mean")
        if store and runs:
            return Named(shown=one_line(name), kind="run", runs=list(store.runs(runs)))
        if commit:
            of_commit = [info.id for info in infos if info.commit == commit and not info.dirty]
            found = list(store.runs(of_commit)) if store and of_commit else []
            return Named(shown=one_line(name), kind="commit", runs=found, commit=commit)
    finally:
        if store:
            store.close()
    raise TfmemError("no such file, run or revision", where=one_line(name), hint=_HOW)


def _of_store(name: str, directory: Path) -> Named:
    store = open_store(name, root=directory)
    try:
        ids = [info.id for info in store.infos()]
        runs = list(store.runs(ids)) if ids else []
        shown = store.shown if is_url(name) else one_line(name)
    finally:
        store.close()
    if not runs:
        raise TfmemError("there are no runs in it", where=shown)
    return Named(shown=shown, kind="store", runs=runs)


def _of_id(name: str, infos: list[RunInfo]) -> list[str]:
    if not _PART_OF_AN_ID.fullmatch(name):
        return [info.id for info in infos if info.id == name]
    return [info.id for info in infos if info.id.startswith(name)]
