"""The trunk: the revision that a branch is to be merged into, as the CI system or git tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.history.commits import find_commit
from pytest_tfmem.history.git import git

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# By which CI systems name the branch that a pull request is to be merged into.
_TARGETS = (
    "GITHUB_BASE_REF",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
    "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
    "SYSTEM_PULLREQUEST_TARGETBRANCHNAME",
    "CHANGE_TARGET",
)
_USUAL = ("main", "master")


def trunk_of(directory: Path, environ: Mapping[str, str]) -> str | None:
    """A revision that the code checked out is to be held against; None if nobody knows one.

    The branch that it is to be merged into, else the default branch of `origin`, the branch's upstream or a local
    branch of a usual name: the first of them from which this code differs. On the trunk itself, the commit before.
    """
    head = find_commit(directory, "HEAD")
    if head is None:
        return None
    for name in _candidates(directory, environ):
        commit = find_commit(directory, name)
        if commit is not None and _forked_from(directory, commit) not in {None, head}:
            return name
    return "HEAD~1" if find_commit(directory, "HEAD~1") else None


def _candidates(directory: Path, environ: Mapping[str, str]) -> Iterator[str]:
    for target in filter(None, map(environ.get, _TARGETS)):
        yield from (f"origin/{target}", target)
    for asked in ("origin/HEAD", "@{upstream}"):
        found = git(directory, "rev-parse", "--abbrev-ref", "--verify", "--quiet", asked)
        if found and found.strip() != asked:
            yield found.strip()
    yield from _USUAL


def _forked_from(directory: Path, commit: str) -> str | None:
    found = git(directory, "merge-base", commit, "HEAD")
    return found.strip() if found else None
