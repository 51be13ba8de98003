from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess

import pytest

from pytest_tfmem.history.past import past_of
from pytest_tfmem.history.recorded import RunInfo

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def info(commit, *, dirty=False):
    return RunInfo(id=f"{commit}{dirty}", started_at=dt.datetime(2026, 3, 1, tzinfo=dt.UTC), commit=commit, dirty=dirty)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def _git(directory, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _commit(directory, message="change"):
    _git(directory, "commit", "--allow-empty", "--message", message)
    return _git(directory, "rev-parse", "HEAD")


@needs_git
def test_the_past_is_what_the_commit_here_came_from_and_that_itself(folder):
    _git(folder, "init", "--initial-branch", "main")
    first = _commit(folder)
    _git(folder, "switch", "--create", "other")
    other = _commit(folder, "another")
    _git(folder, "switch", "main")
    last = _commit(folder)
    infos = [info(first), info(first, dirty=True), info(other), info(last), info(None)]
    assert past_of(folder, infos) == [info(first), info(last)]


def test_without_a_repository_every_run_is_of_the_past(folder):
    infos = [info("a"), info("b", dirty=True), info(None)]
    assert past_of(folder, infos) == infos
