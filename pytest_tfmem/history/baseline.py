"""Which earlier runs a run is held against: those of the code that its own came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.history.git import git

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_tfmem.history.rundocument import Run
    from pytest_tfmem.history.store import RunInfo


def earlier(infos: Iterable[RunInfo], current: Run, ancestors: frozenset[str] | None) -> list[str]:
    """The ids of the runs that `current` is held against, in the order given.

    Where commits are known: runs of clean work trees, at commits that `current` came from, but not at its own if that
    is what it measures. Without `ancestors` (a shallow clone) every other commit's. Without git, every other run.
    """
    return [info.id for info in infos if info.id != current.id and _counts(info, current, ancestors)]


def ancestors_of(directory: Path, commit: str) -> frozenset[str] | None:
    """The commits that this one came from, itself included; None where git does not know all of them."""
    shallow = git(directory, "rev-parse", "--is-shallow-repository")
    if shallow is None or shallow.strip() != "false":
        return None
    commits = git(directory, "rev-list", commit)
    return None if commits is None else frozenset(commits.split())


def _counts(info: RunInfo, current: Run, ancestors: frozenset[str] | None) -> bool:
    if current.commit is None:
        return True
    if info.commit is None or info.dirty:
        return False
    if info.commit == current.commit:
        return bool(current.dirty)
    return ancestors is None or info.commit in ancestors
