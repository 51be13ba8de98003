from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from pytest_tfmem.history.commits import Between, between, find_commit, shortened

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

UNKNOWN = "0123456789abcdef0123456789abcdef01234567"


def _git(directory, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _commit(directory, subject):
    _git(directory, "commit", "--allow-empty", "--message", subject)
    return _git(directory, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    _git(tmp_path, "init", "--initial-branch", "main")
    return tmp_path


def _subjects(found):
    return [commit.subject for commit in found.commits]


def test_a_revision_names_a_commit(repository):
    first, second = _commit(repository, "first"), _commit(repository, "second")
    _git(repository, "tag", "--annotate", "v1", "--message", "one", first)
    for revision, expected in [("HEAD", second), ("HEAD~1", first), ("main", second), ("v1", first)]:
        assert find_commit(repository, revision) == expected
    assert find_commit(repository, second[:8]) == second


@pytest.mark.parametrize("name", ["", "no-such-branch", "--all", "-n1", "a\nb", "a\0b", "HEAD:", "HEAD..", UNKNOWN])
def test_what_names_no_commit_is_none(repository, name):
    _commit(repository, "first")
    assert find_commit(repository, name) is None


def test_outside_a_repository_no_revision_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert find_commit(tmp_path, "HEAD") is None


def test_commits_between_are_those_that_came_after_the_latest_first(repository):
    first, *_, last = [_commit(repository, subject) for subject in ("first", "second", "third")]
    found = between(repository, first, last)
    assert _subjects(found) == ["third", "second"]
    assert (found.count, found.backwards) == (2, False)
    assert found.commits[0].id == last
    assert last.startswith(found.commits[0].short)


def test_of_many_commits_the_latest_few_are_named_and_all_counted(repository):
    first, *_, last = [_commit(repository, str(number)) for number in range(8)]
    found = between(repository, first, last, most=3)
    assert (_subjects(found), found.count) == (["7", "6", "5"], 7)


def test_between_a_commit_and_itself_there_is_none(repository):
    first = _commit(repository, "first")
    assert between(repository, first, first) == Between(commits=[], count=0)


def test_back_to_an_earlier_commit_are_those_that_are_gone(repository):
    first, second = _commit(repository, "first"), _commit(repository, "second")
    found = between(repository, second, first)
    assert (_subjects(found), found.backwards) == (["second"], True)


def test_of_another_branch_are_those_that_it_alone_has(repository):
    base = _commit(repository, "base")
    ours = _commit(repository, "ours")
    _git(repository, "switch", "--quiet", "--create", "other", base)
    theirs = _commit(repository, "theirs")
    assert _subjects(between(repository, ours, theirs)) == ["theirs"]


@pytest.mark.parametrize("hostile", ["--output=/tmp/x", "HEAD", "", "main..", UNKNOWN, "ABC\n"])
def test_what_git_does_not_know_as_a_commit_has_nothing_between(repository, hostile):
    first = _commit(repository, "first")
    assert between(repository, hostile, first) is None
    assert between(repository, first, hostile) is None


def test_a_subject_may_hold_anything(repository):
    first, second = _commit(repository, "first"), _commit(repository, "\x1b[31m a | b\t`c`")
    (commit,) = between(repository, first, second).commits
    assert commit.subject == "\x1b[31m a | b\t`c`"


def test_a_commit_that_git_does_not_know_is_shown_by_its_first_digits():
    assert shortened(UNKNOWN) == "012345678"
