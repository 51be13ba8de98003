from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from pytest_tfmem.budgets.model import Tolerance
from pytest_tfmem.gate.stepped import looked_at, stepped, with_commits
from pytest_tfmem.history.series import history_of
from pytest_tfmem.report.steps import step_lines
from tests.made import made_run, made_test

MIB = 1 << 20
UNKNOWN = "0123456789abcdef0123456789abcdef01234567"
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def history(*sizes, commits=None, figure="rss_anon", **rest):
    named = commits or [None] * len(sizes)
    runs = [
        made_run(number, made_test("test_a", **{figure: size * MIB}), commit=commit, **rest)
        for number, (size, commit) in enumerate(zip(sizes, named, strict=True))
    ]
    return history_of(runs)


FLAT, HIGHER = (100, 101, 100, 100, 101, 100), (120, 121, 120, 120, 120, 121)


def test_a_step_has_the_levels_before_and_after_and_the_two_runs_that_it_lies_between():
    (step,) = stepped(history(*FLAT, *HIGHER))
    assert (step.before_bytes, step.after_bytes, step.change_bytes) == (100 * MIB, 120 * MIB, 20 * MIB)
    assert (step.before_runs, step.after_runs) == (6, 6)
    assert (step.last.run_id, step.first.run_id) == (f"{5:032x}", f"{6:032x}")


def test_the_latest_step_comes_first():
    assert [step.change_bytes // MIB for step in stepped(history(*FLAT, *HIGHER, *FLAT))] == [-20, 20]


def test_a_flat_series_has_no_step():
    assert stepped(history(*FLAT, *FLAT)) == []


def test_a_change_of_no_more_bytes_than_the_tolerance_is_no_step():
    assert stepped(history(*FLAT, *HIGHER), tolerance=Tolerance(bytes=20 * MIB)) == []
    assert stepped(history(*FLAT, *HIGHER), tolerance=Tolerance(bytes=20 * MIB - 1)) != []


def test_figures_that_the_gate_does_not_go_by_are_looked_at_if_they_are_named():
    sizes = history(*FLAT, *HIGHER, figure="rss")
    assert len(stepped(sizes)) == 1
    assert looked_at(sizes).points == {}
    assert looked_at(sizes, figures=["rss_anon"]).points == {}
    assert looked_at(sizes, figures=["rss"]) == sizes


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    _git(tmp_path, "init", "--initial-branch", "main")
    return tmp_path


def _git(directory, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _commits(directory, count):
    found = []
    for number in range(count):
        _git(directory, "commit", "--allow-empty", "--message", f"change {number}")
        found.append(_git(directory, "rev-parse", "HEAD"))
    return found


def told(steps, width=80):
    return [line.text for line in step_lines(steps, series=3, runs=12, others=0, width=width)]


@needs_git
def test_the_commits_between_the_last_run_before_and_the_first_after_are_named(repository):
    commits = _commits(repository, 14)
    measured = [*commits[:6], *commits[8:]]  # two were never measured
    (step,) = with_commits(stepped(history(*FLAT, *HIGHER, commits=measured)), repository)
    assert [commit.subject for commit in step.between.commits] == ["change 8", "change 7", "change 6"]
    text = "\n".join(told([step]))
    assert "3 commits in between:\n" in text
    assert f"    {commits[8][:7]}" in text
    assert "change 6\n" in text
    assert "change 5" not in text


@needs_git
def test_of_many_commits_in_between_the_others_are_counted(repository):
    commits = _commits(repository, 12)
    (step,) = with_commits(stepped(history(*FLAT, *HIGHER, commits=[commits[0]] * 6 + [commits[11]] * 6)), repository)
    text = "\n".join(told([step]))
    assert "11 commits in between:\n" in text
    assert "change 7\n    and 6 more\n" in text


@needs_git
def test_where_git_does_not_know_the_commits_they_are_only_named(repository):
    _commits(repository, 1)
    (step,) = with_commits(stepped(history(*FLAT, *HIGHER, commits=[UNKNOWN] * 6 + ["f" * 40] * 6)), repository)
    assert step.between is None
    assert "  git does not know the commits between 012345678 and fffffffff here" in told([step])


@needs_git
def test_a_step_within_one_commit_is_not_blamed_on_the_code(repository):
    (commit,) = _commits(repository, 1)
    (step,) = with_commits(stepped(history(*FLAT, *HIGHER, commits=[commit] * 12)), repository)
    assert "  the same commit: not the code, but what it runs on" in told([step])
    (step,) = with_commits(stepped(history(*FLAT, *HIGHER, commits=[commit] * 12, dirty=True)), repository)
    assert "  the same commit, with changes" in told([step])


@needs_git
def test_a_step_back_to_an_earlier_commit_names_what_was_taken_back(repository):
    first, second = _commits(repository, 2)
    (step,) = with_commits(stepped(history(*HIGHER, *FLAT, commits=[second] * 6 + [first] * 6)), repository)
    assert "  1 commit taken back:" in told([step])


def test_without_commits_there_is_nothing_to_name():
    assert "  which commits lie in between is not known" in told(stepped(history(*FLAT, *HIGHER)))


def test_steps_between_the_same_runs_stand_together():
    runs = [
        made_run(number, *(made_test(f"test_{name}", rss_anon=size * MIB, rss=MIB) for name in "ab"))
        for number, size in enumerate([*FLAT, *HIGHER])
    ]
    lines = told(stepped(history_of(runs)))
    assert len([line for line in lines if line.startswith("between ")]) == 1
    assert lines[-1] == "looked at 3 series of 12 runs: 2 steps in 2 of them"


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_acted_on(width):
    nodeid = "tests/test_\x1b[31m" + "long" * 40 + "[ünï|`x`]"
    runs = [
        made_run(number, made_test(nodeid, rss_anon=size * MIB), commit="\x1b[2J" + "a" * 60, branch="x")
        for number, size in enumerate([*FLAT, *HIGHER])
    ]
    lines = told(stepped(history_of(runs)), width=width)
    assert max(map(len, lines)) <= width
    assert "\x1b" not in "".join(lines)


def test_how_much_was_looked_at_and_left_out_is_told():
    lines = step_lines([], series=2, runs=1, others=3, width=100)
    assert [line.text for line in lines] == [
        "looked at 2 series of 1 run; 3 runs of other branches or changed work trees left out: no step"
    ]
