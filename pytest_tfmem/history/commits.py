"""Commits: which one a revision names, and which lie between two."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.history.git import git

if TYPE_CHECKING:
    from pathlib import Path

_ID = re.compile(r"[0-9a-f]{7,64}")
_SHORT = 9  # of an id that git does not know and so cannot shorten itself


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit: its whole id, as much of that as tells it apart in its repository, and the first line it says."""

    id: str
    short: str
    subject: str


class Between(msgspec.Struct, frozen=True, kw_only=True):
    """The commits that `after` has and `before` has not, the latest first: the first few of them, and how many in all.

    `backwards`: `after` is a commit that `before` came from, so that what changed is what these commits, `before` among
    them, no longer bring.
    """

    commits: list[Commit]
    count: int
    backwards: bool = False


def find_commit(directory: Path, revision: str) -> str | None:
    """The id of the commit that a revision names, such as `HEAD~1`; None if git knows none by that name."""
    if not revision or revision.startswith("-"):
        return None
    found = git(directory, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return found.strip() if found else None


def between(directory: Path, before: str, after: str, *, most: int = 5) -> Between | None:
    """The commits from one to the other, by their ids; None if git does not know both, as in a shallow clone.

    Of commits of which neither came from the other, those that `after` alone has.
    """
    if not _ID.fullmatch(before) or not _ID.fullmatch(after):
        return None
    found = _range(directory, before, after, most)
    if found and not found.count and before != after:
        back = _range(directory, after, before, most)
        return msgspec.structs.replace(back, backwards=True) if back else None
    return found


def shortened(commit: str) -> str:
    """The first digits of a commit's id, as one shows what git does not know."""
    return commit[:_SHORT]


def _range(directory: Path, before: str, after: str, most: int) -> Between | None:
    span = f"{before}..{after}"
    one_more = f"--max-count={most + 1}"
    listed = git(directory, "log", one_more, "--no-show-signature", "--format=%H%x00%h%x00%s", span, "--")
    if listed is None:
        return None
    commits = [_commit(line) for line in listed.split("\n") if line]
    # Asked only where it takes more: a long history has a step between many two runs, and few commits in between.
    count = git(directory, "rev-list", "--count", span, "--") if len(commits) > most else str(len(commits))
    return None if count is None else Between(commits=commits[:most], count=int(count))


def _commit(line: str) -> Commit:
    whole, short, subject = line.split("\0", 2)
    return Commit(id=whole, short=short, subject=subject)
