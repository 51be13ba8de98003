"""Where the code of a run came from: commit and branch, as git and the CI system tell."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_GIT_SECONDS = 5.0


class CISystem(msgspec.Struct, frozen=True):
    """How one CI system says that it is there, which branch it builds, and where its page of this run is.

    `link` is a format string over its variables; `branches` are variables, the first that is set counts.
    """

    name: str
    sign: str
    link: str
    branches: tuple[str, ...]


CI_SYSTEMS = (
    CISystem(
        "GitHub Actions",
        "GITHUB_ACTIONS",
        "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",
        ("GITHUB_HEAD_REF", "GITHUB_REF_NAME"),
    ),
    CISystem("GitLab CI", "GITLAB_CI", "{CI_JOB_URL}", ("CI_COMMIT_REF_NAME",)),
    CISystem("Buildkite", "BUILDKITE", "{BUILDKITE_BUILD_URL}", ("BUILDKITE_BRANCH",)),
    CISystem("CircleCI", "CIRCLECI", "{CIRCLE_BUILD_URL}", ("CIRCLE_BRANCH",)),
    CISystem(
        "Azure Pipelines",
        "TF_BUILD",
        "{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",
        ("BUILD_SOURCEBRANCHNAME",),
    ),
    CISystem("Jenkins", "JENKINS_URL", "{BUILD_URL}", ("CHANGE_BRANCH", "BRANCH_NAME")),
)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The code that ran. None is what could not be told; `dirty`: tracked files differ from the commit."""

    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    ci: str | None = None
    ci_link: str | None = None


def find_origin(directory: Path, environ: Mapping[str, str]) -> Origin:
    """Where the code in `directory` came from. Outside a git repository, or without git, only what CI tells."""
    git = _read_status(_git_status(directory))
    ci = next((system for system in CI_SYSTEMS if environ.get(system.sign)), None)
    if ci is None:
        return git
    # CI checks out a bare commit: git then knows no branch.
    branch = git.branch or next((environ[name] for name in ci.branches if environ.get(name)), None)
    return msgspec.structs.replace(git, branch=branch, ci=ci.name, ci_link=_link(ci, environ))


def _git_status(directory: Path) -> str:
    command = ["git", "--no-optional-locks", "-C", str(directory), "status"]
    options = ["--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        status = subprocess.run(  # noqa: S603  every argument is ours but the directory, which no shell sees
            [*command, *options], capture_output=True, timeout=_GIT_SECONDS, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return status.stdout.decode(errors="backslashreplace")


def _read_status(status: str) -> Origin:
    lines = status.splitlines()
    headers = dict(line.removeprefix("# ").split(" ", 1) for line in lines if line.startswith("# "))
    commit, branch = headers.get("branch.oid"), headers.get("branch.head")
    if not commit or commit == "(initial)":
        return Origin()
    dirty = any(not line.startswith("#") for line in lines)
    return Origin(commit=commit, branch=None if branch == "(detached)" else branch, dirty=dirty)


def _link(ci: CISystem, environ: Mapping[str, str]) -> str | None:
    try:
        return ci.link.format_map(environ)
    except KeyError:
        return None
