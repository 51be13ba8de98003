"""Which revision a suspect is to be decided against, in real git repositories."""

from __future__ import annotations

import os
import subprocess

import pytest

from pytest_tfmem.history.trunk import trunk_of


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Runs git in a repository on `main` that has two commits; `git.path` is where it is."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    git = _Git(tmp_path / "repository")
    git.path.mkdir()
    git("init", "-q", "-b", "main")
    git.commit()
    git.commit()
    return git


class _Git:
    def __init__(self, path):
        self.path = path
        self._commits = 0

    def __call__(self, *arguments):
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@b", "-C", str(self.path), *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def commit(self):
        self._commits += 1
        self("commit", "-q", "--allow-empty", "-m", f"commit {self._commits}")


def _cloned(git, branch="change"):
    clone = _Git(git.path.with_name("clone"))
    git("clone", "-q", str(git.path), str(clone.path))
    clone("switch", "-q", "-c", branch)
    clone.commit()
    return clone


def test_a_branch_is_held_against_the_default_branch_of_origin(git):
    assert trunk_of(_cloned(git).path, {}) == "origin/main"


def test_where_there_is_no_other_repository_against_the_branch_of_a_usual_name(git):
    git("switch", "-q", "-c", "change")
    git.commit()
    assert trunk_of(git.path, {}) == "main"


def test_in_ci_against_the_branch_that_a_pull_request_is_to_be_merged_into(git):
    git("branch", "release")
    clone = _cloned(git)
    assert trunk_of(clone.path, {"GITHUB_BASE_REF": "release"}) == "origin/release"
    assert trunk_of(clone.path, {"GITHUB_BASE_REF": "gone"}) == "origin/main"


def test_on_the_trunk_itself_against_the_commit_before(git):
    assert trunk_of(git.path, {}) == "HEAD~1"


def test_a_branch_with_no_commit_of_its_own_is_held_against_the_commit_before(git):
    git("switch", "-q", "-c", "change")
    assert trunk_of(git.path, {}) == "HEAD~1"


def test_a_name_that_is_an_option_is_none(git):
    git("switch", "-q", "-c", "change")
    git.commit()
    assert trunk_of(git.path, {"GITHUB_BASE_REF": "--output=x"}) == "main"


def test_of_a_first_commit_and_outside_git_nobody_knows_any(git, tmp_path):
    alone = _Git(tmp_path / "alone")
    alone.path.mkdir()
    alone("init", "-q", "-b", "main")
    assert trunk_of(alone.path, {}) is None
    alone.commit()
    assert trunk_of(alone.path, {}) is None
    assert trunk_of(tmp_path, {}) is None
