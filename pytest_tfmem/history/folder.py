"""A folder of run files as a store: what a project has without doing anything for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.history.runfile import read_runs
from pytest_tfmem.history.series import History, history_of
from pytest_tfmem.history.store import RunInfo

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from pytest_tfmem.history.recorded import RecordedRun

SUFFIX = ".jsonl"


class FolderStore:
    """The run files in a folder, or one run file by itself."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def shown(self) -> str:
        return str(self._path)

    def push(self, runs: Iterable[RecordedRun]) -> int:
        raise NotImplementedError

    def infos(self, *, last: int | None = None) -> list[RunInfo]:
        found = sorted((_info(run) for run in self._all()), key=lambda one: (one.started_at, one.id))
        return found if last is None else found[-last:]

    def runs(self, ids: Collection[str]) -> Iterator[RecordedRun]:
        wanted = [run for run in self._all() if run.run.id in ids]
        yield from sorted(wanted, key=lambda one: (one.run.started_at, one.run.id))

    def history(self, ids: Collection[str], *, nodeids: Collection[str] | None = None) -> History:
        found = history_of(self.runs(ids))
        if nodeids is None:
            return found
        kept = {key: points for key, points in found.points.items() if key.nodeid in nodeids}
        return History(points=kept, conditions=found.conditions)

    def close(self) -> None:
        pass

    def _all(self) -> Iterator[RecordedRun]:
        files = sorted(self._path.glob(f"*{SUFFIX}")) if self._path.is_dir() else [self._path]
        known: set[str] = set()
        for file in files:
            for run in read_runs(file):
                if run.run.id not in known:
                    known.add(run.run.id)
                    yield run


def _info(run: RecordedRun) -> RunInfo:
    return RunInfo(
        id=run.run.id,
        started_at=run.run.started_at,
        commit=run.run.commit,
        branch=run.run.branch,
        dirty=run.run.dirty,
        complete=run.footer is not None,
        tests=len(run.tests),
    )
