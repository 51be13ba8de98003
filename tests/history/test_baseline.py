"""Which earlier runs count, in real git repositories."""

from __future__ import annotations

import datetime as dt
import os
import subprocess

import pytest

from pytest_tfmem.figures import Measurement, Reading
from pytest_tfmem.history.baseline import MOST_RUNS, ancestors_of, earlier, load_baseline
from pytest_tfmem.history.environment import Environment
from pytest_tfmem.history.recorded import RunInfo
from pytest_tfmem.history.rundocument import Run, RunDocument, write_run_document

_DAY = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
_ENVIRONMENT = Environment(
    python="3.12.0", python_implementation="CPython", system="Linux", os="", kernel="6.1", machine="x86_64", packages={}
)


class Repository:
    def __init__(self, path):
        self.path = path
        self._commits = 0
        path.mkdir()
        self.git("init", "-q", "-b", "main")
        self.first = self.commit()

    def git(self, *arguments):
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@b", "-C", str(self.path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self):
        self._commits += 1  # of two commits made in one second, only what they say tells one from the other
        self.git("commit", "-q", "--allow-empty", "-m", f"commit {self._commits}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    return Repository(tmp_path / "repository")


def _info(name, commit=None, *, dirty=False):
    return RunInfo(id=name, started_at=_DAY, commit=commit, dirty=dirty if commit else None)


def _run(name="now", commit=None, *, dirty=False, day=100):
    return Run(id=name, started_at=_DAY + dt.timedelta(days=day), commit=commit, dirty=dirty if commit else None)


def test_runs_of_other_branches_do_not_count(repository):
    repository.git("switch", "-q", "-c", "other")
    other = repository.commit()
    repository.git("switch", "-q", "main")
    second, now = repository.commit(), repository.commit()
    infos = [_info("first", repository.first), _info("other", other), _info("second", second)]
    assert earlier(infos, _run(commit=now), ancestors_of(repository.path, now)) == ["first", "second"]


def test_what_was_merged_counts(repository):
    repository.git("switch", "-q", "-c", "other")
    other = repository.commit()
    repository.git("switch", "-q", "main")
    repository.commit()
    repository.git("merge", "-q", "--no-ff", "-m", "merged", "other")
    now = repository.git("rev-parse", "HEAD")
    assert earlier([_info("other", other)], _run(commit=now), ancestors_of(repository.path, now)) == ["other"]


def test_a_commit_is_not_held_against_itself(repository):
    now = repository.commit()
    infos = [_info("first", repository.first), _info("before", now), _info("now", now)]
    assert earlier(infos, _run(commit=now), ancestors_of(repository.path, now)) == ["first"]


def test_changes_that_are_not_committed_are_held_against_the_commit_that_they_are_made_to(repository):
    now = repository.commit()
    infos = [_info("first", repository.first), _info("before", now), _info("now", now, dirty=True)]
    current = _run(commit=now, dirty=True)
    assert earlier(infos, current, ancestors_of(repository.path, now)) == ["first", "before"]


def test_runs_of_changes_that_were_not_committed_do_not_count(repository):
    now = repository.commit()
    infos = [_info("dirty", repository.first, dirty=True), _info("no commit"), _info("clean", repository.first)]
    assert earlier(infos, _run(commit=now), ancestors_of(repository.path, now)) == ["clean"]


def test_in_a_shallow_clone_every_other_commit_counts(repository, tmp_path):
    now = repository.commit()
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth=1", f"file://{repository.path}", str(clone))
    assert ancestors_of(clone, now) is None
    infos = [_info("unknown", "0" * 40), _info("dirty", "1" * 40, dirty=True), _info("itself", now)]
    assert earlier(infos, _run(commit=now), None) == ["unknown"]


def test_without_git_every_other_run_counts(tmp_path):
    assert ancestors_of(tmp_path, "0" * 40) is None
    infos = [_info("one"), _info("two", "0" * 40, dirty=True), _info("now")]
    assert earlier(infos, _run(), None) == ["one", "two"]


def test_where_git_is_not_installed_nothing_is_known(repository, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ancestors_of(repository.path, repository.first) is None


# --- what is loaded -----------------------------------------------------------------------------------------------


def _record(path, run, value=1 << 20):
    path.parent.mkdir(exist_ok=True)
    test = Measurement(
        nodeid="test_a.py::test_a",
        outcome="passed",
        start_method="spawn",
        verdict="unlimited",
        readings={"rss_anon": Reading(bytes=value, exactness="exact", source="")},
        limits={},
        verdicts={},
        phases={},
    )
    write_run_document(path, RunDocument(run=run, environment=_ENVIRONMENT, tests=[test]))
    return str(path)


def _run_ids(found):
    return [[point.run_id for point in points] for points in found.history.points.values()]


def test_the_history_is_that_of_the_commits_that_this_one_came_from(repository, tmp_path):
    now = repository.commit()
    runs = tmp_path / "runs"
    _record(runs / "1.jsonl", _run("first", repository.first, day=1))
    _record(runs / "2.jsonl", _run("other", "0" * 40, day=2))
    found = load_baseline([str(runs)], _run(commit=now), root=repository.path, named=False)
    assert _run_ids(found) == [["first"]]
    assert (found.runs, found.unread, found.empty) == (1, [], [])


def test_only_the_last_runs_count(tmp_path):
    for number in range(MOST_RUNS + 3):
        _record(tmp_path / "runs" / f"{number:03}.jsonl", _run(f"{number}", day=number))
    found = load_baseline([str(tmp_path / "runs")], _run(), root=tmp_path, named=False)
    assert _run_ids(found) == [[str(number) for number in range(3, MOST_RUNS + 3)]]


def test_a_history_that_is_not_there_yet_is_empty(tmp_path):
    found = load_baseline([str(tmp_path / "runs")], _run(), root=tmp_path, named=False)
    assert (found.history.points, found.runs, found.unread) == ({}, 0, [])


def test_of_what_the_user_has_named_everything_counts_but_the_run_itself(repository, tmp_path):
    one = _record(tmp_path / "one.jsonl", _run("one", "0" * 40, dirty=True, day=1))
    same = _record(tmp_path / "runs" / "same.jsonl", _run("same", repository.first, day=2))
    _record(tmp_path / "runs" / "now.jsonl", _run("now", repository.first))
    locations = [one, same, str(tmp_path / "runs")]
    found = load_baseline(locations, _run(commit=repository.first), root=repository.path, named=True)
    assert _run_ids(found) == [["one", "same"]]


def test_a_file_may_be_a_run_document(tmp_path):
    document = _record(tmp_path / "run.json", _run("one"))
    assert _run_ids(load_baseline([document], _run(), root=tmp_path, named=True)) == [["one"]]


def test_what_cannot_be_read_is_told_in_one_line_and_the_rest_counts(tmp_path):
    good = _record(tmp_path / "one.jsonl", _run("one"))
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"tests": 1}\n', encoding="utf-8")
    found = load_baseline([good, str(bad), str(tmp_path / "gone.jsonl")], _run(), root=tmp_path, named=True)
    assert _run_ids(found) == [["one"]]
    assert [str(tmp_path / name) in text for name, text in zip(["bad", "gone"], found.unread, strict=True)] == [
        True
    ] * 2
    assert not any("\n" in text for text in found.unread)


def test_a_named_folder_without_runs_is_told_of(tmp_path):
    assert load_baseline([str(tmp_path)], _run(), root=tmp_path, named=True).empty == [str(tmp_path)]
