"""The folders of isolated tests: made, kept and removed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest

from pytest_tfmem.isolate.scratch import KEPT_SESSIONS, Scratch

posix = pytest.mark.skipif(sys.platform == "win32", reason="about POSIX's users and links")


@pytest.fixture
def ended_pid():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def beside(tmp_path):
    """Where sessions with tmp_path / "base" as their --basetemp keep their folders, with nothing in it."""
    (tmp_path / "base-tfmem").mkdir()
    return tmp_path / "base-tfmem"


def scratch_at(tmp_path):
    return Scratch(str(tmp_path / "base"))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_each_test_has_a_folder_of_its_own_in_the_sessions(tmp_path):
    scratch = scratch_at(tmp_path)
    first, second = scratch.next_folder(), scratch.next_folder()
    assert (first.name, second.name) == ("1", "2")
    assert first.parent == second.parent
    assert first.parent.parent == tmp_path / "base-tfmem"
    assert (first.exists(), first.parent.is_dir()) == (False, True)


def test_nothing_is_made_before_it_is_needed(tmp_path):
    scratch = scratch_at(tmp_path)
    assert names(tmp_path) == []
    scratch.close()
    scratch.next_folder()
    assert names(tmp_path) == ["base-tfmem"]


@posix
def test_nobody_else_may_look_into_the_sessions_folder(tmp_path):
    assert scratch_at(tmp_path).next_folder().parent.stat().st_mode & 0o077 == 0


def test_what_a_test_leaves_is_removed_and_nothing_beside_it(tmp_path):
    scratch = scratch_at(tmp_path)
    passed, failed = scratch.next_folder(), scratch.next_folder()
    for folder in (passed, failed):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").write_text("kept?")
    scratch.discard(passed)
    assert names(failed.parent) == ["2"]
    assert (failed / "deep" / "file").read_text() == "kept?"


def test_to_discard_a_folder_that_was_never_made_is_nothing(tmp_path):
    scratch = scratch_at(tmp_path)
    scratch.discard(scratch.next_folder())


@posix
def test_what_a_link_in_a_tests_folder_points_to_is_not_removed(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "weights").write_text("precious")
    scratch = scratch_at(tmp_path)
    folder = scratch.next_folder()
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "data")
    scratch.discard(folder)
    assert not folder.exists()
    assert (tmp_path / "data" / "weights").read_text() == "precious"


def test_a_session_in_which_nothing_was_left_leaves_nothing(tmp_path):
    scratch = scratch_at(tmp_path)
    scratch.next_folder()
    scratch.close()
    assert names(tmp_path) == []


def test_a_session_in_which_something_was_left_leaves_it(tmp_path):
    scratch = scratch_at(tmp_path)
    folder = scratch.next_folder()
    folder.mkdir()
    scratch.close()
    assert folder.is_dir()


def test_a_folder_that_was_removed_during_the_session_is_made_again(tmp_path):
    scratch = scratch_at(tmp_path)
    scratch.next_folder().parent.rmdir()
    folder = scratch.next_folder()
    assert (folder.name, folder.parent.is_dir()) == ("2", True)


def test_the_last_sessions_are_kept_and_earlier_ones_removed(tmp_path, beside, ended_pid):
    for number in (8, 9, 10, 11):
        (beside / f"tfmem-{number}-{ended_pid}-abc" / "1").mkdir(parents=True)
    new = scratch_at(tmp_path).next_folder().parent
    assert KEPT_SESSIONS == 3
    assert names(beside) == sorted([f"tfmem-10-{ended_pid}-abc", f"tfmem-11-{ended_pid}-abc", new.name])
    assert new.name.startswith(f"tfmem-12-{os.getpid()}-")


def test_a_session_that_still_runs_is_kept_however_old_it_is(tmp_path, beside, ended_pid):
    running = f"tfmem-1-{os.getpid()}-abc"
    for name in (running, *(f"tfmem-{number}-{ended_pid}-abc" for number in (2, 3, 4))):
        (beside / name).mkdir()
    scratch_at(tmp_path).next_folder()
    assert names(beside)[0] == running
    assert [name.split("-")[1] for name in names(beside)] == ["1", "3", "4", "5"]


@posix
def test_what_others_put_beside_the_sessions_is_not_touched(tmp_path, beside, ended_pid):
    kept = [
        "notes",
        "tfmem-1-x-abc",
        "tfmem-1-2",
        "pytest-0",
        f"tfmem-1-{ended_pid}-a file",
        f"tfmem-50-{ended_pid}-link",
    ]
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    for name in kept[:-1]:
        (beside / name).mkdir()
    (beside / f"tfmem-3-{ended_pid}-file").write_text("a file, not a folder")
    (beside / kept[-1]).symlink_to(elsewhere)
    for number in (4, 5, 6, 7):
        (beside / f"tfmem-{number}-{ended_pid}-abc").mkdir()
    scratch_at(tmp_path).next_folder()
    assert set(kept) <= set(names(beside))
    assert [name for name in names(beside) if name.startswith(f"tfmem-8-{os.getpid()}-")] != []
    assert f"tfmem-3-{ended_pid}-file" in names(beside)
    assert names(elsewhere) == ["deep"]


@posix
def test_the_usual_place_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = Scratch(None).next_folder()
    assert folder.parent.parent == tmp_path / f"pytest-tfmem-of-{os.getuid()}"
    assert folder.parent.parent.stat().st_mode & 0o077 == 0


@posix
def test_the_usual_place_is_not_taken_from_someone_who_made_it_a_link(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    usual = tmp_path / f"pytest-tfmem-of-{os.getuid()}"
    usual.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError) as refused:
        Scratch(None).next_folder()
    assert str(refused.value) == f"{usual} is not a folder of this user's own; remove it or use --basetemp"
    assert names(tmp_path / "elsewhere") == []


@posix
def test_the_usual_place_is_not_shared_with_another_user(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    another = os.getuid() + 1
    (tmp_path / f"pytest-tfmem-of-{another}").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: another)
    with pytest.raises(PermissionError):
        Scratch(None).next_folder()
    assert names(tmp_path / f"pytest-tfmem-of-{another}") == []


@posix
def test_a_basetemp_that_the_user_names_may_be_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "base").symlink_to(tmp_path / "elsewhere")
    scratch_at(tmp_path).next_folder()
    assert names(tmp_path / "elsewhere") == []  # pytest empties it


def test_a_basetemp_may_be_written_with_a_slash_at_its_end(tmp_path):
    folder = Scratch(f"{tmp_path / 'base'}{os.sep}").next_folder()
    assert folder.parent.parent == tmp_path / "base-tfmem"


def test_a_basetemp_is_where_it_was_when_the_session_began(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scratch = Scratch("base")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert scratch.next_folder().parent.parent == tmp_path / "base-tfmem"
