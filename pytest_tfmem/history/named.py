"""What a name on the command line stands for: a file, folder or database of runs, one run, or a commit's runs."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Literal

import msgspec

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.history.commits import find_commit
from pytest_tfmem.history.recorded import RecordedRun
from pytest_tfmem.history.store import is_url, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from pytest_tfmem.history.recorded import RunInfo
    from pytest_tfmem.history.store import Store

Kind = Literal["store", "run", "commit"]

_PART_OF_AN_ID = re.compile(r"[0-9a-f]{4,}")
_HOW = "name a run file, a folder of them, a database's URL, a run's id or a git revision"


class UnknownNameError(TfmemError):
    """A name that stands for nothing, or for several things."""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What one name stands for. `shown` is how messages name it: without credentials.

    `runs` is empty only of a commit of which the history has no run of a clean work tree. `faults`: what was passed
    over because it cannot be read, a line for each.
    """

    shown: str
    kind: Kind
    runs: list[RecordedRun] = []
    commit: str | None = None
    faults: list[str] = []


def find_named(name: str, *, directory: Path, history: Callable[[], Store | None]) -> Named:
    """What `name` stands for. Paths are relative to `directory`, which also says in which repository a revision is.

    A path that exists goes before a run's id, that before a revision. `history` opens the project's own, if it has one.
    Raises UnknownNameError for what is none of these, or two of them, TfmemError for files and stores that cannot be
    read, or that hold no runs.
    """
    if name and (is_url(name) or os.path.lexists(directory / name)):
        return _of_store(name, directory)
    store = history()
    try:
        infos = store.infos() if store else []
        commit, runs = find_commit(directory, name), _of_id(name, infos)
        if len(runs) + bool(commit) > 1:
            what = "a revision and a run's id begin so" if commit else f"{len(runs)} runs' ids begin so"
            raise UnknownNameError(what, where=one_line(name), hint="write more of the one that you mean")
        if store and runs:
            return _named(name, "run", store, runs)
        if commit:
            of_commit = [info.id for info in infos if info.commit == commit and not info.dirty]
            return _named(name, "commit", store, of_commit, commit)
    finally:
        if store:
            store.close()
    raise UnknownNameError("no such file, run or revision", where=one_line(name), hint=_HOW)


def _of_store(name: str, directory: Path) -> Named:
    store = open_store(name, root=directory)
    try:
        named = _named(store.shown if is_url(name) else name, "store", store, [info.id for info in store.infos()])
    finally:
        store.close()
    if not named.runs:
        hint = "; ".join(named.faults[:1])
        raise TfmemError("there are no runs in it", where=named.shown, hint=hint)
    return named


def _named(name: str, kind: Kind, store: Store | None, ids: Collection[str], commit: str | None = None) -> Named:
    runs = list(store.runs(ids)) if store and ids else []
    return Named(shown=one_line(name), kind=kind, runs=runs, commit=commit, faults=store.faults if store else [])


def _of_id(name: str, infos: list[RunInfo]) -> list[str]:
    if not _PART_OF_AN_ID.fullmatch(name):
        return [info.id for info in infos if info.id == name]
    return [info.id for info in infos if info.id.startswith(name)]
