"""What was before: the earlier runs that count for the base, the tests that it had, the files that were renamed."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.history.baseline import load_baseline
from pytest_tfmem.history.git import git
from pytest_tfmem.history.rundocument import Run
from pytest_tfmem.history.store import is_url
from pytest_tfmem.settings.options import DEFAULT_HISTORY, HISTORY_VARIABLE, OFF

if TYPE_CHECKING:
    from pytest_tfmem.attempts.checkout import Checkout
    from pytest_tfmem.attempts.facts import Facts
    from pytest_tfmem.attempts.revision import Revision
    from pytest_tfmem.gating.asked import Asked
    from pytest_tfmem.history.series import History


@dataclass(frozen=True, kw_only=True)
class Before:
    """`runs`: how many. `nodeids`: the tests that were measured in the latest of them. `moved`: files' new paths."""

    history: History
    runs: int
    nodeids: frozenset[str]
    moved: dict[str, str]
    warnings: list[str]


def find_before(asked: Asked, checkout: Checkout, head: Revision, base_commit: str) -> Before:
    """The runs of commits that the base came from, the base itself among them."""
    assert head.facts is not None  # noqa: S101  our own order of things
    below = Path(head.facts.rootdir).resolve().relative_to(head.tree.resolve())
    root = checkout.top / below
    at = location(asked, head.facts, head.tree, root)
    # As if the base were what runs now, with changes: runs of its own commit are then earlier ones.
    current = Run(id="", started_at=dt.datetime.now(tz=dt.UTC), commit=base_commit, dirty=True)
    if asked.history is not None and not is_url(at) and not Path(at).exists():
        raise TfmemError("there is no such history", where=one_line(asked.history), hint="name a folder or a database")
    # A file of SQLite: from the ini file and the variable relative to pytest's root directory, as sessions have it.
    found = load_baseline([at], current, root=root if asked.history is None else asked.directory, named=False)
    warnings = list(found.unread)
    if not found.runs and not warnings and not asked.decide_all:
        warnings.append(
            "there are no earlier runs of the base or of what it came from: limits alone are judged;"
            " --all decides every test against the base"
        )
    return Before(
        history=found.history,
        runs=found.runs,
        nodeids=_latest(found.history),
        moved=_moved(checkout, base_commit, head.commit, below),
        warnings=warnings,
    )


def location(asked: Asked, facts: Facts, tree: Path, root: Path) -> str:
    """Where earlier runs are: as asked, else as sessions have it by the variable, else by the ini file in `tree`.

    A path is one of the checkout, whose `root` is pytest's root directory.
    """
    of_variable = os.environ.get(HISTORY_VARIABLE)
    named = of_variable if asked.history is None and of_variable != OFF else asked.history
    if named:
        return named if is_url(named) else str(asked.directory / named)
    settled = "" if of_variable else facts.history
    if not settled or settled == OFF:
        return str(root / DEFAULT_HISTORY)
    folder = Path(facts.inifile).resolve().parent.relative_to(tree.resolve()) if facts.inifile else None
    return settled if is_url(settled) else str(root / settled if folder is None else root / folder / settled)


def _latest(history: History) -> frozenset[str]:
    """The tests that were measured at the commit of the latest run."""
    latest = max((points[-1] for points in history.points.values()), key=lambda one: one.started_at, default=None)
    if latest is None:
        return frozenset()
    return frozenset(
        key.nodeid
        for key, points in history.points.items()
        if any(_is_with(point.commit, point.run_id, latest.commit, latest.run_id) for point in points)
    )


def _is_with(commit: str | None, run_id: str, latest_commit: str | None, latest_run_id: str) -> bool:
    return run_id == latest_run_id if latest_commit is None else commit == latest_commit


def _moved(checkout: Checkout, before: str, now: str, below: Path) -> dict[str, str]:
    """The new path of each file that was renamed, by its old one, as node ids have them."""
    told = git(checkout.top, "diff", "-M", "--diff-filter=R", "--name-status", "-z", before, now, "--")
    words = (told or "").split("\0")
    pairs = list(zip(words[1::3], words[2::3], strict=False))
    prefix = "" if below == Path() else f"{below.as_posix()}/"
    return {
        old.removeprefix(prefix): new.removeprefix(prefix)
        for old, new in pairs
        if old.startswith(prefix) and new.startswith(prefix)
    }
