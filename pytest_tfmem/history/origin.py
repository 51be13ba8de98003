"""Where the code of a run came from: commit and branch, as git and the CI system tell."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_GIT_SECONDS = 5.0
_NUMBER = re.compile(r"[0-9]{1,4}")


class CISystem(msgspec.Struct, frozen=True):
    """How one CI system says that it is there, which branch it builds, and where its page of this run is.

    `link` is a format string over its variables; `branches` are variables, the first that is set counts. `part` are
    the variables that say which of several parallel jobs this is, and of how many; `first` is the number of the first.
    """

    name: str
    sign: str
    link: str
    branches: tuple[str, ...]
    part: tuple[str, str] | None = None
    first: int = 1


CI_SYSTEMS = (
    CISystem(
        "GitHub Actions",
        "GITHUB_ACTIONS",
        "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",
        ("GITHUB_HEAD_REF", "GITHUB_REF_NAME"),
    ),
    CISystem("GitLab CI", "GITLAB_CI", "{CI_JOB_URL}", ("CI_COMMIT_REF_NAME",), ("CI_NODE_INDEX", "CI_NODE_TOTAL")),
    CISystem(
        "Buildkite",
        "BUILDKITE",
        "{BUILDKITE_BUILD_URL}",
        ("BUILDKITE_BRANCH",),
        ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT"),
        first=0,
    ),
    CISystem(
        "CircleCI",
        "CIRCLECI",
        "{CIRCLE_BUILD_URL}",
        ("CIRCLE_BRANCH",),
        ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL"),
        first=0,
    ),
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


class Looking:
    """git, asked what is checked out in `directory`: it looks while others work, and is waited for at the end."""

    def __init__(self, directory: Path) -> None:
        command = ["git", "--no-optional-locks", "-C", str(directory), "status"]
        options = ["--porcelain=v2", "--branch", "--untracked-files=no"]
        self._git: subprocess.Popen[bytes] | None = None
        with suppress(OSError):
            self._git = subprocess.Popen(  # noqa: S603  every argument is ours but the directory, which no shell sees
                [*command, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )

    def origin(self, environ: Mapping[str, str]) -> Origin:
        """Where the code came from. Outside a git repository, or without git, only what CI tells."""
        git = _read_status(self._said())
        ci = _ci_system(environ)
        if ci is None:
            return git
        # CI checks out a bare commit: git then knows no branch.
        branch = git.branch or next((environ[name] for name in ci.branches if environ.get(name)), None)
        return msgspec.structs.replace(git, branch=branch, ci=ci.name, ci_link=_link(ci, environ))

    def close(self) -> None:
        if self._git is not None:
            self._git.kill()
            self._git.communicate()
            self._git = None

    def _said(self) -> str:
        if self._git is None:
            return ""
        try:
            said, _ = self._git.communicate(timeout=_GIT_SECONDS)
        except subprocess.TimeoutExpired:
            said = b""
        well = self._git.returncode == 0
        self.close()
        return said.decode(errors="backslashreplace") if well else ""


def ci_shard(environ: Mapping[str, str]) -> tuple[int, int] | None:
    """Which part of the suite a CI system's variables say this job is, as (number, of how many), counted from 1."""
    ci = _ci_system(environ)
    if ci is None or ci.part is None:
        return None
    index, count = (environ.get(name, "") for name in ci.part)
    if not (_NUMBER.fullmatch(index) and _NUMBER.fullmatch(count)):
        return None
    number = int(index) - ci.first + 1
    return (number, int(count)) if int(count) > 1 and 1 <= number <= int(count) else None


def _ci_system(environ: Mapping[str, str]) -> CISystem | None:
    return next((system for system in CI_SYSTEMS if environ.get(system.sign)), None)


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
