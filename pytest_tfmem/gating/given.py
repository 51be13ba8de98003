"""Run files of the head that were made before, for example by a job's shards: whether they are all there, and of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.gating.asked import CouldNotDecideError
from pytest_tfmem.history.commits import shortened
from pytest_tfmem.history.runfile import read_runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_tfmem.history.recorded import RecordedRun


def given_runs(files: Sequence[Path], commit: str) -> list[RecordedRun]:
    """The runs in these files, each once.

    Raises TfmemError for what is no run of this commit, CouldNotDecideError where one is cut off or a shard is missing.
    """
    runs = {run.run.id: run for file in files for run in _of_commit(file, commit)}
    if not runs:
        raise CouldNotDecideError("the run files hold no run")
    missing = _missing(list(runs.values()))
    if missing:
        raise CouldNotDecideError(f"of the head's run {missing}")
    return list(runs.values())


def _of_commit(file: Path, commit: str) -> Iterator[RecordedRun]:
    where = one_line(str(file))
    for run in read_runs(file):
        if run.run.commit not in {None, commit}:
            what = f"this is a run of {shortened(str(run.run.commit))}, and HEAD is {shortened(commit)}"
            raise TfmemError(what, where=where, hint="check out what was run")
        if run.run.dirty:
            raise TfmemError("this run is of uncommitted changes, and a commit is judged", where=where)
        yield run


def _missing(runs: Sequence[RecordedRun]) -> str:
    """What is not there, in words; empty if all is."""
    counts = {run.run.shard.count for run in runs if run.run.shard}
    if not counts:
        return ""
    there = {(run.run.shard.index, run.run.shard.count) for run in runs if run.run.shard}
    absent = [f"{index}/{count}" for count in sorted(counts) for index in range(1, count + 1)]
    absent = [name for name in absent if tuple(map(int, name.split("/"))) not in there]
    return f"the shard {', '.join(absent)} is missing" if absent else ""
