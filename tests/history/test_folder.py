"""A folder of run files: how it is made, what it keeps, and what is read of it."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys

import msgspec
import pytest

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.figures import Reading
from pytest_tfmem.history.folder import FolderStore
from pytest_tfmem.history.glance import info_of
from pytest_tfmem.history.recorded import Header
from pytest_tfmem.history.runfile import RunFileWriter, read_runs, run_lines
from pytest_tfmem.history.runfiles import begin_run_file, make_folder, prune
from pytest_tfmem.history.series import history_of
from tests.history.stored import START, ids, measured, recorded, whole

NAME = "20260301T133000.000250Z-{}.jsonl"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / ".tfmem" / "runs"


def begin(folder, run):
    return begin_run_file(folder, Header(run=run.run, environment=run.environment))


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".gitignore")


def put(folder, name, *runs):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"".join(map(run_lines, runs)))
    return folder / name


def with_id(run, run_id, **changes):
    return msgspec.structs.replace(run, run=msgspec.structs.replace(run.run, id=run_id, **changes))


def test_a_folder_that_we_make_is_ignored_by_git(folder):
    make_folder(folder)
    subprocess.run(["git", "init", "--quiet"], cwd=folder.parents[1], check=True)
    put(folder, "a.jsonl", recorded(1))
    status = ["git", "status", "--porcelain", "--untracked-files=all"]
    assert subprocess.run(status, cwd=folder.parents[1], check=True, capture_output=True).stdout == b""


def test_a_folder_that_is_there_is_left_as_it_is(folder):
    folder.mkdir(parents=True)
    make_folder(folder)
    assert list(folder.iterdir()) == []
    (folder / ".gitignore").write_text("mine")
    make_folder(folder)
    assert (folder / ".gitignore").read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_an_error_of_the_system(folder):
    folder.parent.mkdir()
    folder.write_text("mine")
    with pytest.raises(FileExistsError):
        make_folder(folder)


def test_files_are_named_by_time_and_id(folder):
    run = with_id(recorded(1), "0123456789abcdef")
    begin(folder, run).close()
    assert names(folder) == [NAME.format("01234567")]
    east = START.astimezone(dt.timezone(dt.timedelta(hours=9))) + dt.timedelta(days=1)
    begin(folder, with_id(run, "f" * 32, started_at=east)).close()
    assert names(folder)[1] == "20260302T123000.000250Z-ffffffff.jsonl"


def test_names_do_not_collide_whatever_the_ids_are(folder):
    same = [with_id(recorded(1), "0123456789abcdef" + end) for end in "abc"]
    odd = [with_id(recorded(1), odd) for odd in ("../../up", "", "\ud800", "0123")]
    (folder.parent).mkdir()
    for run in [*same, *odd]:
        begin(folder, run).close()
    assert len(names(folder)) == 7
    assert NAME.format("01234567") in names(folder)
    assert os.listdir(folder.parent) == ["runs"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_link_that_leads_nowhere_has_its_name(folder):
    folder.mkdir(parents=True)
    (folder / NAME.format("01234567")).symlink_to("nonesuch")
    begin(folder, with_id(recorded(1), "0123456789abcdef")).close()
    assert len(names(folder)) == 2
    assert not (folder / "nonesuch").exists()


def own(number):
    return f"20260101T000000.{number:06}Z-0123abcd.jsonl"


def test_the_last_run_files_are_kept(folder):
    for number in range(53):
        put(folder, own(number), recorded(number))
    prune(folder)
    assert names(folder) == [own(number) for number in range(3, 53)]
    prune(folder, keep=2)
    assert names(folder) == [own(51), own(52)]


def test_no_file_of_another_name_is_removed(folder):
    mine = ["main.jsonl", "20260101T000000.000000Z-0123abcd.jsonl.bak", "20260101T000000Z-0123abcd.jsonl", "a.txt"]
    for name in mine:
        put(folder, name, recorded(1))
    put(folder, own(1), recorded(1))
    prune(folder, keep=0)
    assert names(folder) == sorted(mine)


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock")
def test_no_file_that_is_being_written_is_removed(folder):
    header = Header(run=recorded(1).run, environment=recorded(1).environment)
    put(folder, own(1), recorded(1))
    put(folder, own(3), recorded(3))
    with RunFileWriter(folder / own(2), header):
        prune(folder, keep=1)
        assert names(folder) == [own(2), own(3)]
    prune(folder, keep=1)
    assert names(folder) == [own(3)]


def test_what_was_pushed_comes_back_whole(folder):
    several = [recorded(2, measured("test_b.py::test_b")), recorded(1, complete=False)]
    store = FolderStore(folder)
    assert store.push(several) == 2
    assert FolderStore(folder).push([several[0], several[0]]) == 0
    assert whole(store) == several[::-1]
    assert store.infos() == [info_of(run) for run in several[::-1]]
    assert store.infos(last=1) == [info_of(several[0])]
    assert store.infos(last=0) == []
    assert list(store.runs(["run2", "nonesuch"])) == [several[0]]
    assert store.history(ids(store)) == history_of(several)
    assert len(names(folder)) == 2
    assert (folder / ".gitignore").read_text() == "*\n"


def test_of_a_run_that_was_cut_off_what_more_is_known_replaces_it(folder):
    store = FolderStore(folder)
    short, full = recorded(1, complete=False), recorded(1, measured(notes=["whole"]))
    longer = recorded(1, measured("test_b.py::test_b"), measured(), complete=False)
    assert [store.push([run]) for run in (short, longer, short, full, longer)] == [1, 1, 0, 1, 0]
    assert whole(store) == [full]
    assert len(names(folder)) == 1


def test_files_of_any_name_are_read_and_each_run_once(folder):
    put(folder, "combined.jsonl", recorded(3), recorded(1))
    put(folder, own(1), recorded(1, complete=False))
    put(folder, own(2), recorded(2))
    (folder / "notes.txt").write_text("mine")
    store = FolderStore(folder)
    assert whole(store) == [recorded(1), recorded(2), recorded(3)]
    assert store.faults == []


def test_one_file_by_itself_is_a_store(folder):
    path = put(folder, "combined.jsonl", recorded(3), recorded(1))
    store = FolderStore(path)
    assert whole(store) == [recorded(1), recorded(3)]
    with pytest.raises(TfmemError, match="is a file, and runs are pushed into a folder"):
        store.push([recorded(2)])


def test_of_a_long_history_a_window_is_read(folder):
    def run(number):
        sizes = {name: Reading(bytes=number, exactness="exact", source="s") for name in ("rss", "rss_anon")}
        return recorded(number, measured(readings=sizes), measured("test_b.py::test_b", readings=sizes))

    store = FolderStore(folder)
    store.push(map(run, range(9)))
    window = store.history(["run3", "run7"], nodeids=["test_b.py::test_b"])
    assert {(key.nodeid, key.figure) for key in window.points} == {
        ("test_b.py::test_b", "rss"),
        ("test_b.py::test_b", "rss_anon"),
    }
    assert [[point.bytes for point in points] for points in window.points.values()] == [[3, 7], [3, 7]]


def test_a_folder_that_is_not_there_is_empty_and_a_file_is_missed(folder):
    store = FolderStore(folder)
    assert (whole(store), store.faults) == ([], [])
    assert not folder.exists()
    with pytest.raises(TfmemError, match=r"main\.jsonl: No such file or directory"):
        FolderStore(folder / "main.jsonl").infos()


def test_one_broken_file_among_others_is_passed_over_and_told(folder):
    put(folder, own(1), recorded(1))
    (folder / own(2)).write_bytes(b'{"schema":"tfmem.run/2"}\n')
    (folder / own(3)).write_text("hello\n")
    store = FolderStore(folder)
    assert whole(store) == [recorded(1)]
    newer, other = store.faults
    assert newer.startswith(f"{folder / own(2)}:1: was written by a newer pytest-tfmem (its schema is 'tfmem.run/2'); ")
    assert other == f"{folder / own(3)}:1: is not valid JSON: JSON is malformed: invalid character (byte 0)"
    with pytest.raises(TfmemError, match="is not valid JSON"):
        FolderStore(folder / own(3)).infos()


def test_a_glance_at_a_file_of_ours_reads_its_ends_alone(folder):
    path = put(folder, own(1), recorded(1, measured(), measured("test_b.py::test_b")))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"broken\n" + lines[3])
    (info,) = FolderStore(folder).infos()
    assert (info.complete, info.tests) == (True, 2)
    path.write_bytes(b"".join(lines[:2]))
    (info,) = FolderStore(folder).infos()
    assert (info.complete, info.tests) == (False, 1)


def test_a_folder_that_cannot_be_written_to_is_told_in_a_line(folder):
    folder.parent.write_text("mine")
    with pytest.raises(TfmemError) as refused:
        FolderStore(folder).push([recorded(1)])
    assert str(refused.value) == f"{folder}: Not a directory"


def test_several_who_push_at_once_lose_nothing(folder):
    code = f"""
import sys
from pathlib import Path
from pytest_tfmem.history.folder import FolderStore
from tests.history.stored import recorded
print(FolderStore(Path({str(folder)!r})).push([recorded(n) for n in range(int(sys.argv[1]), int(sys.argv[1]) + 20)]))
"""
    started = [subprocess.Popen([sys.executable, "-c", code, str(start)]) for start in (0, 10, 10, 20)]
    assert [one.wait(60) for one in started] == [0, 0, 0, 0]
    assert whole(FolderStore(folder)) == [recorded(number) for number in range(40)]
    assert [path for path in names(folder) if path.endswith(".tmp")] == []
    assert sum(len(read_runs(folder / name)) for name in names(folder)) >= 40
