"""Locks that all sessions of a machine see, and what others may have put in their place."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import filelock
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate import hostlocks
from pytest_tfmem.isolate.hostlocks import HostLocks, Note, own_note, shown, usual_directory
from tests.isolate.ended import has_ended

posix = pytest.mark.skipif(sys.platform == "win32", reason="links, pipes, modes and users")
for_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can be several users in turn"
)

NOBODY = 65534
HELPER = Path(__file__).with_name("leaseholder.py")


@pytest.fixture
def usual(tmp_path, monkeypatch):
    """The folder that is taken where none is named, elsewhere than for all of this machine."""
    folder = tmp_path / "leases"
    monkeypatch.setattr(hostlocks, "usual_directory", lambda: folder)
    return folder


@pytest.fixture
def locks(tmp_path):
    return HostLocks(tmp_path)


def mode(path):
    return oct(path.stat().st_mode & 0o7777)


@posix
def test_the_folder_and_its_files_are_for_all_users_whatever_the_umask(usual):
    before = os.umask(0o077)
    try:
        locks = HostLocks(None)
        locks.prepare()
        locks.take("card", own_note("test", []))
    finally:
        os.umask(before)
    assert mode(usual) == "0o1777"
    assert {path.name: mode(path) for path in usual.iterdir()} == {"card.lock": "0o666", "card.json": "0o666"}
    assert [path.name for path in usual.parent.iterdir()] == ["leases"]


@posix
def test_a_folder_that_another_session_has_made_is_used(usual):
    HostLocks(None).prepare()
    held = HostLocks(None).take("card")
    later = HostLocks(None)
    later.prepare()
    assert held is not None
    assert later.take("card") is None


@posix
@pytest.mark.parametrize("way", ["link", "file", "closed folder", "folder without the sticky bit"])
def test_what_is_not_a_folder_for_all_users_is_not_used(usual, tmp_path, way):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o1777)
    if way == "link":
        usual.symlink_to(elsewhere)
    elif way == "file":
        usual.touch()
    else:
        usual.mkdir()
        usual.chmod(0o777 if "sticky" in way else 0o755)
    with pytest.raises(TfmemError) as refused:
        HostLocks(None).prepare()
    assert str(refused.value) == (
        f"{usual}, where all sessions of this machine lock its GPUs, is not a folder open to all users (mode 1777);"
        " remove it, or name another folder with the ini key tfmem_lease_dir"
    )


def test_a_folder_that_the_user_names_is_made_as_he_has_it(tmp_path):
    locks = HostLocks(tmp_path / "deep" / "er")
    locks.prepare()
    locks.prepare()
    assert locks.take("card") is not None


def test_a_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TfmemError, match=r"^the folder for locks on GPUs cannot be made: .*; name another folder"):
        HostLocks(tmp_path / "file" / "deep").prepare()


@posix
@pytest.mark.parametrize("variable", ["TMPDIR", "TEMP", "HOME"])
def test_the_folder_is_the_same_whatever_the_users_environment_says(variable, tmp_path):
    code = "from pytest_tfmem.isolate.hostlocks import usual_directory; print(usual_directory())"
    said = subprocess.check_output(
        [sys.executable, "-c", code], env={**os.environ, variable: str(tmp_path)}, text=True, timeout=60
    )
    assert said == "/tmp/pytest-tfmem-leases\n"


def test_the_folder_is_in_the_systems_own_for_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    expected = Path("/tmp") if os.name == "posix" else tmp_path
    assert usual_directory() == expected / "pytest-tfmem-leases"


@for_root
@pytest.mark.parametrize("first", [0, NOBODY])
def test_users_lock_each_other_out_and_name_themselves_whoever_was_first(first):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to others
        os.chmod(folder, 0o1777)
        for user in (first, NOBODY - first):
            holder = start_as(user, folder)
            try:
                assert holder.stdout.readline() == "holds GPU-aaa\n"
                assert HostLocks(Path(folder)).take("card-0-GPU-aaa") is None
                assert as_user(NOBODY, folder, "print(locks.take('card-0-GPU-aaa'))") == "None\n"
                named = as_user(NOBODY, folder, "print(locks.note('card-0-GPU-aaa').nodeid)")
                assert named == f"test of {user}\n"
            finally:
                holder.communicate(timeout=60)


def start_as(user, folder):
    wanted = {"cards": ["GPU-aaa"], "directory": folder, "count": 1, "nodeid": f"test of {user}", "user": user}
    return subprocess.Popen(
        [sys.executable, str(HELPER), "hold", json.dumps(wanted)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def as_user(user, folder, statement):
    """What another user sees: the interpreter is loaded before it becomes his, who may not be allowed to read it."""
    code = (
        "import os, pathlib, sys, filelock, psutil\n"
        "from pytest_tfmem.isolate.hostlocks import HostLocks\n"
        f"locks = HostLocks(pathlib.Path({folder!r}))\n"
        f"locks.take('other')\nos.setgid({user})\nos.setuid({user})\n{statement}"
    )
    return subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60)


@for_root
def test_a_file_that_another_user_has_closed_is_an_error_that_names_it():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o1777)
        Path(folder, "card.lock").touch(mode=0o600)
        told = as_user(
            NOBODY, folder, "try:\n    locks.take('card')\nexcept Exception as e:\n    print(type(e).__name__, e)"
        )
    assert told == (
        f"TfmemError GPUs cannot be leased: [Errno 13] Permission denied: '{folder}/card.lock';"
        " name another folder with the ini key tfmem_lease_dir\n"
    )


@posix
def test_a_link_in_the_place_of_a_lock_is_not_followed(locks, tmp_path):
    (tmp_path / "precious").write_text("data")
    (tmp_path / "card.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(TfmemError, match=r"^GPUs cannot be leased: .*symbolic links.*card.lock"):
        locks.take("card")
    assert (tmp_path / "precious").read_text() == "data"


@posix
def test_a_link_in_the_place_of_a_note_is_neither_written_to_nor_read(locks, tmp_path):
    note = own_note("test", [])
    (tmp_path / "precious").write_text("data")
    (tmp_path / "card.json").symlink_to(tmp_path / "precious")
    held = locks.take("card", note)
    assert held is not None
    held.release()
    assert (tmp_path / "precious").read_text() == "data"
    locks.take("other", note)
    (tmp_path / "card.json").unlink()
    (tmp_path / "card.json").symlink_to(tmp_path / "other.json")
    assert (locks.note("other"), locks.note("card")) == (note, None)


@posix
def test_a_pipe_in_the_place_of_a_note_keeps_nobody_waiting(locks, tmp_path):
    os.mkfifo(tmp_path / "card.json")
    held = locks.take("card", own_note("test", []))
    assert held is not None
    assert locks.note("card") is None
    held.release()


def test_a_longer_note_of_an_earlier_holder_is_not_read(locks):
    held = locks.take("card", own_note("tests/test_a.py::" + "long" * 100, ["GPU-aaa"]))
    held.release()
    assert locks.note("card") is None
    note = own_note("short", [])
    assert locks.take("card", note) is not None
    assert locks.note("card") == note


@pytest.mark.parametrize(
    "text", ["", "x", "[]", '{"pid": 1}', "null", '{"nodeid": "t", "pid": -1, "since": 0, "cards": []}', "[" * 9999]
)
def test_what_is_not_a_note_is_none(locks, tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    assert locks.note("card") is None


@given(st.binary())
def test_no_bytes_in_the_place_of_a_note_do_harm(data):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "card.json").write_bytes(data)
        assert HostLocks(Path(folder)).note("card") is None


def put(tmp_path, note):
    (tmp_path / "card.json").write_bytes(hostlocks.msgspec.json.encode(note))


def test_the_note_of_one_who_has_ended_is_not_shown(locks, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    put(tmp_path, Note(nodeid="test", pid=ended.pid, since=time.time(), cards=[]))
    assert locks.note("card") is None


@posix
def test_the_note_of_one_who_has_ended_and_whom_nobody_has_reaped_is_not_shown(locks, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    assert has_ended(ended.pid)
    put(tmp_path, Note(nodeid="test", pid=ended.pid, since=time.time(), cards=[]))
    assert locks.note("card") is None
    ended.wait()


def test_the_note_of_an_earlier_process_with_the_same_number_is_not_shown(locks, tmp_path):
    began = psutil.Process().create_time()
    put(tmp_path, Note(nodeid="test", pid=os.getpid(), since=began - 60, cards=[]))
    assert locks.note("card") is None
    put(tmp_path, Note(nodeid="test", pid=os.getpid(), since=began + 60, cards=[]))
    assert locks.note("card") is not None


@given(st.text(st.characters(), max_size=400), st.floats(allow_nan=False, allow_infinity=False))
def test_whatever_a_holder_calls_himself_is_one_line_that_a_terminal_can_show(nodeid, since):
    text = shown(Note(nodeid=nodeid, pid=1, since=since, cards=[]))
    assert text.isprintable()
    assert len(text) < 500


def test_a_hostile_name_is_made_harmless(locks):
    locks.take("card", own_note("\x1b[2J\ntest\udcff", []))
    text = shown(locks.note("card"))
    assert text.startswith("\\x1b[2J\\ntest")
    assert "\x1b" not in text


@posix
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_an_error_that_says_so(locks, tmp_path, monkeypatch, number):
    import fcntl

    def flock(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(TfmemError) as refused:
        locks.take("card")
    assert str(refused.value) == (
        f"GPUs cannot be leased: the file system of {tmp_path} does not lock files ({os.strerror(number)});"
        " name another folder with the ini key tfmem_lease_dir"
    )


def test_a_system_on_which_a_lock_would_outlive_its_holder_is_an_error_that_says_so(locks, monkeypatch):
    monkeypatch.setattr(filelock, "FileLock", filelock.SoftFileLock)
    with pytest.raises(TfmemError, match=r"^GPUs cannot be leased here: this system cannot lock files$"):
        locks.take("card")


def test_on_this_system_a_lock_is_one_of_the_kernels(locks):
    kernels = filelock.UnixFileLock if os.name == "posix" else filelock.WindowsFileLock
    assert type(locks.take("card")._lock) is kernels


def test_a_lock_that_is_removed_leaves_nothing(locks, tmp_path):
    locks.take("card", own_note("test", [])).remove()
    assert [*tmp_path.iterdir()] == []
    assert [*locks.names()] == []


def test_locks_are_found_by_their_names(locks):
    for name in ("MIG-GPU-5c89/1/0", "50%", "GPU-aaa"):
        locks.take(name)
    assert sorted(locks.names()) == ["50%", "GPU-aaa", "MIG-GPU-5c89/1/0"]


def test_a_folder_that_is_gone_is_an_error_that_says_so(tmp_path):
    with pytest.raises(TfmemError, match=r"^GPUs cannot be leased: .*gone"):
        list(HostLocks(tmp_path / "gone").names())
