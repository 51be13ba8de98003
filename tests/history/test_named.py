from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.history.folder import FolderStore
from pytest_tfmem.history.named import UnknownNameError, find_named
from pytest_tfmem.history.runfile import run_lines
from tests.made import made_run, made_test

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
IDS = ["abcd" * 8, "abce" * 8]
RUNS = [made_run(number, made_test("test_a", rss=number), id=name) for number, name in enumerate(IDS)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    FolderStore(tmp_path / "kept").push(RUNS)
    return tmp_path


def found(folder, name, *, history="kept"):
    return find_named(name, directory=folder, history=lambda: FolderStore(folder / history) if history else None)


def ids(named):
    return [run.run.id for run in named.runs]


def test_a_folder_stands_for_its_runs_and_a_file_for_those_in_it(folder):
    assert ids(found(folder, "kept", history=None)) == IDS
    first = min((folder / "kept").glob("*.jsonl"))
    assert ids(found(folder, str(first), history=None)) == IDS[:1]


def test_a_database_stands_for_its_runs(folder):
    pytest.importorskip("sqlalchemy")
    from pytest_tfmem.history.sql import open_database

    store = open_database("sqlite:///runs.db", root=folder)
    store.push(RUNS)
    store.close()
    assert ids(found(folder, "sqlite:///runs.db", history=None)) == IDS


def test_the_beginning_of_an_id_stands_for_that_run_of_the_history(folder):
    for name in ("abcd", IDS[0]):
        assert ids(found(folder, name)) == IDS[:1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("abc", r"abc: no such file, run or revision; name a run file, a folder of them"),  # too short to be one
        ("nothing", r"nothing: no such file, run or revision"),
        ("a\x1b[31m\n", r"a\\x1b\[31m\\n: no such file"),
        ("", r": no such file|no such file"),
        ("-n", r"-n: no such file"),
    ],
)
def test_what_stands_for_nothing_is_told_with_what_would(folder, name, said):
    with pytest.raises(UnknownNameError, match=f"^{said}"):
        found(folder, name)


def test_an_id_that_several_runs_begin_with_is_refused(folder):
    FolderStore(folder / "kept").push([made_run(5, id="abcde" + "0" * 27)])
    with pytest.raises(UnknownNameError, match=r"^abcd: 2 runs' ids begin so; write more of the one that you mean$"):
        found(folder, "abcd")


def test_without_a_history_only_paths_stand_for_runs(folder):
    with pytest.raises(UnknownNameError):
        found(folder, "abcd", history=None)


def test_a_folder_without_runs_is_told(folder):
    (folder / "empty").mkdir()
    with pytest.raises(TfmemError, match=r"^empty: there are no runs in it$"):
        found(folder, "empty")


def test_what_cannot_be_read_in_a_folder_is_passed_over_and_told(folder):
    (folder / "kept" / "broken.jsonl").write_text('{"schema": "tfmem.run/9"}\n')
    named = found(folder, "kept")
    assert ids(named) == IDS
    (fault,) = named.faults
    assert "broken.jsonl" in fault


def test_a_file_that_is_no_run_file_is_an_error_of_the_file(folder):
    (folder / "notes.txt").write_text("hello")
    with pytest.raises(TfmemError, match=r"notes.txt") as caught:
        found(folder, "notes.txt")
    assert not isinstance(caught.value, UnknownNameError)


@pytest.fixture
def repository(folder):
    _git(folder, "init", "--initial-branch", "main")
    return folder


def _git(directory, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _commit(directory):
    _git(directory, "commit", "--allow-empty", "--message", "change")
    return _git(directory, "rev-parse", "HEAD")


@needs_git
def test_a_revision_stands_for_the_runs_of_its_commit_but_for_those_of_changed_work_trees(repository):
    first, second = _commit(repository), _commit(repository)
    runs = [made_run(1, commit=first), made_run(2, commit=first, dirty=True), made_run(3, commit=second, dirty=False)]
    FolderStore(repository / "measured").push(runs)
    named = found(repository, "HEAD~1", history="measured")
    assert (ids(named), named.kind, named.commit) == ([runs[0].run.id], "commit", first)
    assert ids(found(repository, "main", history="measured")) == [runs[2].run.id]


@needs_git
def test_a_revision_that_was_never_run_has_no_runs(repository):
    commit = _commit(repository)
    for history in ("kept", None):
        named = found(repository, "main", history=history)
        assert (named.runs, named.commit) == ([], commit)


@needs_git
def test_what_is_there_as_a_folder_goes_before_a_revision_of_that_name(repository):
    _commit(repository)
    _git(repository, "branch", "kept")
    assert found(repository, "kept").kind == "store"
    assert found(repository, "heads/kept").kind == "commit"


@needs_git
def test_a_name_that_is_a_revision_and_begins_a_runs_id_is_refused(repository):
    _commit(repository)
    _git(repository, "branch", "abcd")
    with pytest.raises(UnknownNameError, match=r"^abcd: a revision and a run's id begin so"):
        found(repository, "abcd")


def test_a_run_file_may_have_any_name(folder):
    path = folder / "main"
    path.write_bytes(run_lines(RUNS[0]))
    assert ids(found(folder, "main")) == IDS[:1]
