"""`tfmem history show --steps`, in a real repository with a history that was made for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from pytest_tfmem.history.folder import FolderStore
from tests.made import made_run, made_test

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
MIB = 1 << 20


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Ten commits, each run once; from the seventh on test_step needs 20 MiB more. A branch of which nothing came."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "TFMEM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    _git(tmp_path, "init", "--initial-branch", "main")
    runs = [_measured(tmp_path, number, 100 if number < 6 else 120) for number in range(10)]
    _git(tmp_path, "switch", "--create", "tried")
    runs += [_measured(tmp_path, number, 300) for number in range(10, 15)]
    _git(tmp_path, "switch", "main")
    FolderStore(tmp_path / ".tfmem" / "runs").push(runs)
    return tmp_path


def _measured(folder, number, size):
    _git(folder, "commit", "--allow-empty", "--message", f"change {number}")
    commit = _git(folder, "rev-parse", "HEAD")
    tests = [made_test("test_a.py::test_step", rss_anon=size * MIB), made_test("test_a.py::test_same", rss_anon=MIB)]
    return made_run(number, *tests, commit=commit, dirty=False)


def _git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _steps(folder, *arguments):
    command = [sys.executable, "-P", "-m", "pytest_tfmem", "history", "show", "--steps", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_step_is_told_with_the_commit_that_made_it(project):
    done = _steps(project)
    assert (done.returncode, done.stderr) == (0, "")
    commits = [_git(project, "rev-parse", f"main~{back}") for back in (4, 3)]
    assert done.stdout.splitlines() == [
        f"between 2026-03-06 00:00 (commit {commits[0][:9]}) and 2026-03-07 00:00 (commit",
        f"  {commits[1][:9]})",
        "    figure       before      after   change             runs",
        "  test_a.py::test_step",
        "    rss_anon  100.0 MiB  120.0 MiB  +20.0 %  +20.0 MiB  6 -> 4",
        "  1 commit in between:",
        f"    {_git(project, 'rev-parse', '--short', commits[1])} change 6",
        "",
        "looked at 2 series of 10 runs; 5 runs of other branches or changed work trees",
        "  left out: 1 step in 1 of them",
    ]


def test_steps_of_some_tests_alone(project):
    assert "looked at 1 series of 10 runs" in _steps(project, "test_a.py::test_same").stdout
    assert "looked at 0 series of 10 runs" in _steps(project, "--figure", "rss").stdout


def test_the_last_runs_are_those_of_what_is_here_however_many_came_later_elsewhere(project):
    done = _steps(project, "--last", "7")
    assert "    rss_anon  100.0 MiB  120.0 MiB  +20.0 %  +20.0 MiB  3 -> 4" in done.stdout.splitlines()
    assert "looked at 2 series of 7 runs; 5 runs of other branches" in done.stdout


def test_as_json_it_is_the_same_in_bytes(project):
    found = json.loads(_steps(project, "--json", "-").stdout)
    (step,) = found["steps"]
    assert (found["schema"], found["runs"], found["series"]) == ("tfmem.steps/1", 10, 2)
    assert (step["key"]["nodeid"], step["before_bytes"], step["after_bytes"]) == (
        "test_a.py::test_step",
        100 * MIB,
        120 * MIB,
    )
    assert [commit["subject"] for commit in step["between"]["commits"]] == ["change 6"]
    assert list(found["conditions"]) == [step["key"]["conditions"]]


def test_a_step_below_the_tolerance_of_the_budgets_file_is_none(project):
    (project / "budgets.yaml").write_text('version: 1\ndefaults: {tolerance: "20 MiB"}\n')
    assert _steps(project).stdout.endswith("left out: no step\n")


def test_outside_a_repository_all_runs_are_looked_at(project, monkeypatch):
    shutil.rmtree(project / ".git")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent))
    done = _steps(project)
    assert "git does not know the commits between" in done.stdout
    assert done.stdout.splitlines()[-1] == "looked at 2 series of 15 runs: 2 steps in 1 of them"
