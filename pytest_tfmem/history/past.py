"""The past of the code that is here: of all runs of a store, those that it came from."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pytest_tfmem.history.baseline import ancestors_of, earlier
from pytest_tfmem.history.commits import find_commit
from pytest_tfmem.history.rundocument import Run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_tfmem.history.recorded import RunInfo


def past_of(directory: Path, infos: Sequence[RunInfo]) -> list[RunInfo]:
    """Those runs of clean work trees that are of the commit checked out in `directory`, or of one that it came from.

    All runs, where git knows no commit here; every run of a commit, where git does not know all commits.
    """
    commit = find_commit(directory, "HEAD")
    ancestors = ancestors_of(directory, commit) if commit else None
    # As for a run that is about to be made of what is here, whatever has been changed since the commit.
    here = Run(id="", started_at=dt.datetime.now(tz=dt.UTC), commit=commit, dirty=True)
    ids = set(earlier(infos, here, ancestors))
    return [info for info in infos if info.id in ids]
