"""Run files of the head that were made before, for example by a job's shards: whether they are all there, and of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.gating.asked import CouldNotDecideError
from pytest_tfmem.history.combine import combine, gather
from pytest_tfmem.history.commits import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_tfmem.history.combine import Part
    from pytest_tfmem.history.recorded import RecordedRun


def given_runs(files: Sequence[Path], commit: str) -> list[RecordedRun]:
    """The runs in these files and folders, each once.

    Raises TfmemError for what is no run of this commit, CouldNotDecideError where one is cut off or a shard is missing.
    """
    parts = gather(files)
    for part in parts:
        _refuse_other(part, commit)
    whole = combine(parts)
    if whole.missing:
        raise CouldNotDecideError(f"the head's run is not whole: {'; '.join(whole.missing)}")
    return whole.runs


def _refuse_other(part: Part, commit: str) -> None:
    run = part.run.run
    if run.commit is not None and run.commit != commit:
        what = f"this is a run of {shortened(run.commit)}, and HEAD is {shortened(commit)}"
        raise TfmemError(what, where=part.where, hint="check out what was run")
    if run.dirty:
        raise TfmemError("this is a run of changes that are not committed, and a commit is judged", where=part.where)
