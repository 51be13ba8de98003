"""A folder of run files as a store: what a project has without doing anything for it."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.history.encoding import write_whole
from pytest_tfmem.history.glance import info_of, infos_of
from pytest_tfmem.history.recorded import RunInfo  # noqa: TC001  a named tuple's annotation
from pytest_tfmem.history.runfile import is_being_written, run_lines
from pytest_tfmem.history.runfiles import SUFFIX, free_path, is_own, make_folder
from pytest_tfmem.history.runlines import WHOLE, runs_of
from pytest_tfmem.history.series import History, history_of
from pytest_tfmem.history.slim import slim

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path
    from typing import Any

    from pytest_tfmem.history.recorded import RecordedRun
    from pytest_tfmem.history.runlines import Decoding

_FILES = (SUFFIX, ".json")


class _Found(NamedTuple):
    info: RunInfo
    path: Path


class FolderStore:
    """The run files in a folder, or one run file by itself. A folder that is not there is an empty store."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._faults: dict[str, None] = {}

    @property
    def shown(self) -> str:
        return str(self._path)

    @property
    def faults(self) -> list[str]:
        return list(self._faults)

    def push(self, runs: Iterable[RecordedRun]) -> int:
        if self._path.suffix in _FILES or self._path.is_file():
            raise TfmemError("is a file, and runs are pushed into a folder", where=one_line(self.shown))
        try:
            make_folder(self._path)
            known = {found.info.id: found for found in self._found()}
            pushed = 0
            for run in runs:
                found = _Found(info_of(run), self._path_for(run, known.get(run.run.id)))
                if _is_better(found, known.get(run.run.id)):
                    write_whole(found.path, run_lines(run))
                    known[run.run.id] = found
                    pushed += 1
        except OSError as fault:
            raise TfmemError(fault.strerror or "cannot be written", where=one_line(self.shown)) from fault
        return pushed

    def infos(self, *, last: int | None = None) -> list[RunInfo]:
        found = [found.info for found in self._found()]
        return found if last is None else found[max(len(found) - last, 0) :]

    def runs(self, ids: Collection[str]) -> Iterator[RecordedRun]:
        return self._read(ids, WHOLE)

    def history(self, ids: Collection[str], *, nodeids: Collection[str] | None = None) -> History:
        return history_of(self._read(ids, slim(nodeids)))

    def close(self) -> None:
        pass

    def _read(self, ids: Collection[str], decoding: Decoding[Any]) -> Iterator[RecordedRun]:
        wanted = [found for found in self._found() if found.info.id in ids]
        for path, several in groupby(wanted, key=lambda found: found.path):
            names = {found.info.id for found in several}
            runs: dict[str, RecordedRun] = {}
            with self._passing_over():
                runs = {run.run.id: run for run in runs_of(path, decoding, ids=names)}
            yield from sorted(runs.values(), key=lambda run: (run.run.started_at, run.run.id))

    def _found(self) -> list[_Found]:
        """Every run once, the oldest first: of what stands in several files, one that came to its end."""
        best: dict[str, _Found] = {}
        for path in self._files():
            infos: list[RunInfo] = []
            with self._passing_over():
                infos = infos_of(path, holds_one=is_own(path))
            for info in infos:
                found = _Found(info, path)
                if _is_better(found, best.get(info.id)):
                    best[info.id] = found
        return sorted(best.values(), key=lambda found: (found.info.started_at, found.info.id))

    def _path_for(self, run: RecordedRun, known: _Found | None) -> Path:
        """Where the run is to be written: over a file of ours that has less of it, and that nobody writes."""
        if known is not None and is_own(known.path) and not is_being_written(known.path):
            return known.path
        return free_path(self._path, run.run)

    def _files(self) -> list[Path]:
        if self._path.is_dir():
            return sorted(self._path.glob(f"*{SUFFIX}"))
        is_missing_folder = self._path.suffix not in _FILES and not self._path.exists()
        return [] if is_missing_folder else [self._path]

    @contextmanager
    def _passing_over(self) -> Iterator[None]:
        """What is wrong with one file among others is kept for who asks; with the one that was named, it is raised."""
        try:
            yield
        except TfmemError as fault:
            if not self._path.is_dir():
                raise
            self._faults[str(fault)] = None


def _is_better(found: _Found, known: _Found | None) -> bool:
    """Whether more is known of a run here than there: of one that came to its end everything is."""
    return known is None or (found.info.complete, found.info.tests) > (known.info.complete, known.info.tests)
