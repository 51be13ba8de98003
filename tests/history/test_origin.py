from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest

from pytest_tfmem.history import origin
from pytest_tfmem.history.origin import Looking, Origin, ci_shard

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "team/models",
    "GITHUB_RUN_ID": "42",
    "GITHUB_HEAD_REF": "",
    "GITHUB_REF_NAME": "main",
}


def _git(directory, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    _git(tmp_path, "init", "--initial-branch", "feature/ümlaut")
    return tmp_path


@pytest.fixture
def commit(repository):
    (repository / "model.py").write_text("1")
    _git(repository, "add", ".")
    _git(repository, "commit", "--message", "first")
    return _git(repository, "rev-parse", "HEAD")


@needs_git
def test_git_tells_commit_and_branch(repository, commit):
    assert Looking(repository).origin({}) == Origin(commit=commit, branch="feature/ümlaut", dirty=False)


@needs_git
def test_a_change_to_a_tracked_file_is_dirty_and_a_new_file_is_not(repository, commit):
    (repository / "new.py").write_text("2")
    assert Looking(repository).origin({}).dirty is False
    (repository / "model.py").write_text("2")
    assert Looking(repository).origin({}) == Origin(commit=commit, branch="feature/ümlaut", dirty=True)


@needs_git
def test_a_detached_head_has_no_branch_unless_ci_knows_it(repository, commit):
    _git(repository, "checkout", "--detach")
    assert Looking(repository).origin({}) == Origin(commit=commit, dirty=False)
    assert Looking(repository).origin(GITHUB).branch == "main"
    assert Looking(repository).origin(GITHUB | {"GITHUB_HEAD_REF": "topic"}).branch == "topic"


@needs_git
@pytest.mark.usefixtures("commit")
def test_gits_own_branch_outweighs_that_of_ci(repository):
    assert Looking(repository).origin(GITHUB).branch == "feature/ümlaut"


@needs_git
def test_a_repository_without_a_commit_has_no_origin(repository):
    assert Looking(repository).origin({}) == Origin()


def test_outside_a_repository_there_is_no_origin(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert Looking(tmp_path).origin({}) == Origin()


def test_without_git_there_is_no_origin(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Looking(tmp_path).origin({}) == Origin()


@pytest.mark.skipif(os.name == "nt", reason="needs a script as git")
def test_a_git_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    script = tmp_path / "git"
    script.write_text(f"#!/bin/sh\nexec {shutil.which('sleep')} 60\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(origin, "_GIT_SECONDS", 0.1)
    before = time.monotonic()
    assert Looking(tmp_path).origin({}) == Origin()
    assert time.monotonic() - before < 30


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        (GITHUB, ("GitHub Actions", "main", "https://github.com/team/models/actions/runs/42")),
        (
            {"GITLAB_CI": "true", "CI_JOB_URL": "https://gitlab.com/j/1", "CI_COMMIT_REF_NAME": "b"},
            ("GitLab CI", "b", "https://gitlab.com/j/1"),
        ),
        (
            {
                "TF_BUILD": "True",
                "SYSTEM_COLLECTIONURI": "https://dev.azure.com/team/",
                "SYSTEM_TEAMPROJECT": "models",
                "BUILD_BUILDID": "7",
            },
            ("Azure Pipelines", None, "https://dev.azure.com/team/models/_build/results?buildId=7"),
        ),
        ({"JENKINS_URL": "https://ci", "BRANCH_NAME": "PR-1", "CHANGE_BRANCH": "b"}, ("Jenkins", "b", None)),
    ],
)
def test_ci_tells_its_name_its_branch_and_its_page(tmp_path, monkeypatch, environ, told):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    name, branch, link = told
    assert Looking(tmp_path).origin(environ) == Origin(ci=name, branch=branch, ci_link=link)


@needs_git
def test_git_looks_while_others_work(repository, commit):
    looking = Looking(repository)
    (repository / "model.py").write_text("1")  # whatever is done meanwhile
    assert looking.origin({}) == Origin(commit=commit, branch="feature/ümlaut", dirty=False)


def test_a_git_that_nobody_waits_for_is_ended(tmp_path, monkeypatch):
    script = tmp_path / "git"
    script.write_text(f"#!/bin/sh\nexec {shutil.which('sleep')} 60\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    looking = Looking(tmp_path)
    git = looking._git
    looking.close()
    assert git.returncode == -9


@pytest.mark.parametrize(
    ("environ", "shard"),
    [
        ({"GITLAB_CI": "true", "CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "4"}, (2, 4)),
        ({"GITLAB_CI": "true", "CI_NODE_TOTAL": "1"}, None),
        ({"GITLAB_CI": "true", "CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "1"}, None),
        ({"GITLAB_CI": "true", "CI_NODE_INDEX": "5", "CI_NODE_TOTAL": "4"}, None),
        ({"GITLAB_CI": "true", "CI_NODE_INDEX": "two", "CI_NODE_TOTAL": "4"}, None),
        ({"CIRCLECI": "true", "CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "3"}, (1, 3)),
        ({"BUILDKITE": "true", "BUILDKITE_PARALLEL_JOB": "2", "BUILDKITE_PARALLEL_JOB_COUNT": "3"}, (3, 3)),
        ({"CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "3"}, None),
        (GITHUB, None),
    ],
)
def test_ci_tells_which_part_of_the_suite_a_job_runs(environ, shard):
    assert ci_shard(environ) == shard
