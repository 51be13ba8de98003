"""Which earlier runs a run is held against: those of the code that its own came from."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.history.git import git
from pytest_tfmem.history.series import History
from pytest_tfmem.history.store import is_url, open_store

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from pytest_tfmem.history.recorded import RunInfo
    from pytest_tfmem.history.rundocument import Run
    from pytest_tfmem.history.series import Point, SeriesKey
    from pytest_tfmem.history.store import Store

MOST_RUNS = 50  # more say little more of a series' noise, and an old one is of code that is long gone
_LOOKED_THROUGH = 1000  # of the latest runs of a store, which may be every branch's
_MOST_COMMITS = 20_000  # of those that a commit came from: the last fifty runs are not of older ones


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is held against: the series of `runs` earlier runs.

    `unread` says of each location that could not be read, or not all of it, why, in one line; `empty` names those that
    hold no run.
    """

    history: History = History()
    runs: int = 0
    unread: list[str] = []
    empty: list[str] = []


def load_baseline(
    locations: Sequence[str],
    current: Run,
    *,
    root: Path,
    named: bool,
    nodeids: Collection[str] | None = None,
    same_code: bool = False,
    most: int = MOST_RUNS,
    until: dt.datetime | None = None,
) -> Earlier:
    """The runs at these locations that count for `current`: of each location the last `most`.

    `named`: the user has said that these are to be held against. Then the runs of a file or a folder count whatever
    they are of, all but `current` itself; those of a database are everyone's, and count as those of a history do, by
    `earlier`. With `nodeids`, the series of these tests alone; with `same_code`, runs of the very code of `current`,
    too; with `until`, those alone that began before: a run that is told of long after has later ones beside it. Raises
    nothing for what cannot be read.
    """
    found = [
        _Location(location, current, root, named, same_code=same_code, most=most, until=until).load(nodeids)
        for location in locations
    ]
    return Earlier(
        history=_joined([one.history for one in found]),
        runs=sum(one.runs for one in found),
        unread=[text for one in found for text in one.unread],
        empty=[text for one in found for text in one.empty],
    )


class _Location:
    def __init__(
        self,
        location: str,
        current: Run,
        root: Path,
        named: bool,
        *,
        same_code: bool,
        most: int,
        until: dt.datetime | None,
    ) -> None:
        self._location = location
        self._current = current
        self._root = root
        self._named = named
        self._same_code = same_code
        self._most = most
        self._until = until

    def load(self, nodeids: Collection[str] | None) -> Earlier:
        if not (self._named or is_url(self._location) or (self._root / self._location).exists()):
            return Earlier()  # nothing was ever recorded
        try:
            with closing(open_store(self._location, root=self._root)) as store:
                return self._load(store, nodeids)
        except TfmemError as error:
            return Earlier(unread=[str(error)])

    def _load(self, store: Store, nodeids: Collection[str] | None) -> Earlier:
        infos = store.infos(last=_LOOKED_THROUGH)
        ids = self._counting([info for info in infos if self._until is None or info.started_at < self._until])
        ids = ids[-self._most :]
        if not ids:
            return Earlier(empty=[store.shown], unread=_together(store.faults))
        history = store.history(ids, nodeids=nodeids)
        return Earlier(history=history, runs=len(ids), unread=_together(store.faults))

    def _counting(self, infos: Sequence[RunInfo]) -> list[str]:
        if self._named and not is_url(self._location):
            return [info.id for info in infos if info.id != self._current.id]
        known = any(info.commit for info in infos)
        commit = self._current.commit
        ancestors = ancestors_of(self._root, commit) if commit and known else None
        return earlier(infos, self._current, ancestors, same_code=self._same_code)


def earlier(
    infos: Iterable[RunInfo], current: Run, ancestors: frozenset[str] | None, *, same_code: bool = False
) -> list[str]:
    """The ids of the runs that `current` is held against, in the order given.

    Where commits are known: runs of clean work trees, at commits that `current` came from, but not at its own if that
    is what it measures, unless `same_code` is wanted. Without `ancestors` (a shallow clone) every other commit's.
    Without git, every other run.
    """
    return [
        info.id
        for info in infos
        if info.id != current.id and (_counts(info, current, ancestors) or (same_code and _is_same(info, current)))
    ]


def ancestors_of(directory: Path, commit: str) -> frozenset[str] | None:
    """The commits that this one came from, itself included; None where git does not know all of them.

    Of a very long history the latest alone.
    """
    shallow = git(directory, "rev-parse", "--is-shallow-repository")
    if shallow is None or shallow.strip() != "false":
        return None
    commits = git(directory, "rev-list", f"--max-count={_MOST_COMMITS}", commit, "--")
    return None if commits is None else frozenset(commits.split())


def _counts(info: RunInfo, current: Run, ancestors: frozenset[str] | None) -> bool:
    if current.commit is None:
        return True
    if info.commit is None or info.dirty:
        return False
    if info.commit == current.commit:
        return bool(current.dirty)
    return ancestors is None or info.commit in ancestors


def _is_same(info: RunInfo, current: Run) -> bool:
    return info.commit == current.commit and not info.dirty and not current.dirty


def _together(faults: Sequence[str]) -> list[str]:
    more = f" (and {len(faults) - 1} more such)" if len(faults) > 1 else ""
    return [f"{faults[0]}{more}"] if faults else []


def _joined(histories: Sequence[History]) -> History:
    """One history of several, with each run once."""
    if len(histories) == 1:
        return histories[0]
    points: dict[SeriesKey, dict[str, Point]] = {}
    for history in histories:
        for key, ones in history.points.items():
            points.setdefault(key, {}).update({one.run_id: one for one in ones})
    return History(
        points={
            key: sorted(ones.values(), key=lambda one: (one.started_at, one.run_id)) for key, ones in points.items()
        },
        conditions={name: on for history in histories for name, on in history.conditions.items()},
    )
