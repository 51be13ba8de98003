"""Runs from one store into another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.history.recorded import RunInfo
    from pytest_tfmem.history.store import Store


class Transferred(msgspec.Struct, frozen=True, kw_only=True):
    """How many runs were stored, and how many had nothing in them that was not there already."""

    stored: int
    known: int


def transfer(source: Store, target: Store, wanted: Sequence[RunInfo]) -> Transferred:
    """Store these runs of `source` in `target`. What is there whole is not even read."""
    whole = {info.id for info in target.infos() if info.complete}
    missing = [info.id for info in wanted if info.id not in whole]
    stored = target.push(source.runs(missing)) if missing else 0
    return Transferred(stored=stored, known=len(wanted) - stored)


def chosen(infos: Sequence[RunInfo], *, last: int | None, branch: str | None) -> list[RunInfo]:
    """The latest so many of these runs, the oldest first: of those on this branch, if one is given."""
    on_branch = [info for info in infos if branch is None or info.branch == branch]
    return on_branch if last is None else on_branch[max(len(on_branch) - last, 0) :]
