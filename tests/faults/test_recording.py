"""What becomes of a session's record when the session or the system fails, and that its tests do not mind."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tfmem.history.folder import FolderStore
from pytest_tfmem.history.runfile import is_being_written, read_runs
from pytest_tfmem.history.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the projects are watched by way of /proc")

PASSED = {"setup": "passed", "call": "passed", "teardown": "passed"}
TESTS = """
import pytest

@pytest.mark.memory_budget(rss="1 GiB")
@pytest.mark.parametrize("number", range(4))
def test_it(number):
    pass
"""
WAITS_IN_THE_THIRD = """
import os, pathlib, pytest

@pytest.mark.memory_budget(rss="1 GiB")
@pytest.mark.parametrize("number", range(4))
def test_it(number):
    if number == 2:
        os.mkfifo("gate")
        pathlib.Path(os.environ["TFMEM_FAULTS_SEEN"], "waits").write_text("x")
        open("gate").read()
"""
ALL = [f"test_it.py::test_it[{number}]" for number in range(4)]


@pytest.fixture
def project(new_project: Callable[[str], Any]) -> Any:
    return new_project("auto")


def files(project: Any, folder: str = ".tfmem/runs") -> list[Path]:
    return sorted((project.root / folder).glob("*.jsonl"))


def nodeids(path: Path) -> list[str]:
    (run,) = read_runs(path)
    return [test.nodeid for test in run.tests]


def footer(path: Path) -> Any:
    (run,) = read_runs(path)
    return run.footer


@contextmanager
def full_disk(folder: Path, *, free_kilobytes: int) -> Iterator[None]:
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={free_kilobytes}k", "tfmem-faults"]
    done = subprocess.run(["mount", *options, str(folder)], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_session_that_is_killed_leaves_a_file_with_all_tests_that_had_ended(project, until):
    project.write(test_it=WAITS_IN_THE_THIRD)
    process = project.start()
    until(lambda: project.noted("waits"))
    (path,) = files(project)
    until(lambda: len(nodeids(path)) == 2)
    assert is_being_written(path)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    until(lambda: not project.processes())
    assert nodeids(path) == ALL[:2]
    assert footer(path) is None
    assert not is_being_written(path)
    (info,) = FolderStore(project.root / ".tfmem" / "runs").infos()
    assert (info.complete, info.tests) == (False, 2)


def test_ctrl_c_in_a_test_ends_the_record_as_it_ends_the_session(project, until):
    project.write(test_it=WAITS_IN_THE_THIRD)
    process = project.start()
    until(lambda: project.noted("waits"))
    process.send_signal(signal.SIGINT)
    ended = project.ended(process)
    (path,) = files(project)
    assert (ended.status, footer(path).exit_status) == (2, 2)
    assert nodeids(path)[:2] == ALL[:2]


def test_two_sessions_at_once_have_a_file_each_and_the_one_removes_nothing_of_the_other(project, new_project, until):
    other = new_project("auto")
    history = f"--tfmem-history={project.root / 'runs'}"
    project.write(test_it=WAITS_IN_THE_THIRD)
    other.write(test_it=TESTS)
    process = project.start(history)
    until(lambda: project.noted("waits"))
    (first,) = files(project, "runs")
    for number in range(50):  # each of them newer than the file of the session that waits
        (project.root / "runs" / f"29990101T000000.{number:06}Z-0123abcd.jsonl").touch()
    assert other.run(history).status == 0
    assert first.exists(), "it is the oldest of more than are kept, but it is being written"
    (second,) = [path for path in files(project, "runs") if not path.name.startswith("2999") and path != first]
    assert nodeids(second) == ALL
    (project.root / "gate").write_text("go on")
    assert project.ended(process).status == 0
    assert nodeids(first) == ALL


@pytest.mark.parametrize(("free", "kept"), [(8, 2), (4, 0)])
def test_a_full_disk_ends_the_record_with_a_whole_line_and_nothing_else(project, free, kept):
    folder = project.root / "full"
    with full_disk(folder, free_kilobytes=free):
        ended = project.write(test_it=TESTS).run("--tfmem-history=full/runs", "--tfmem-baseline=off", COLUMNS="200")
        written = [nodeids(path) for path in folder.glob("runs/*.jsonl")]
        ends = [path.read_bytes()[-1:] for path in folder.glob("runs/*.jsonl")]
    assert [ended.outcomes(test) for test in ALL] == [PASSED] * 4
    assert ended.status == 0
    assert ended.output.count("No space left on device") == 1
    assert "Traceback" not in ended.output
    if kept:
        assert len(written[0]) in range(1, 5)
        assert ends == [b"\n"]
        assert f"the record of this run ends after {len(written[0])} tests: full/runs/2" in ended.output
    else:
        assert written == []
        assert "this run is not recorded (--tfmem-history names another folder, or 'off'): full/runs: " in ended.output


def test_a_file_in_place_of_the_folder_is_one_warning(project):
    (project.root / ".tfmem").write_text("mine")
    ended = project.write(test_it=TESTS).run("--tfmem-baseline=off", COLUMNS="200")
    assert [ended.outcomes(test) for test in ALL] == [PASSED] * 4
    assert ended.status == 0
    assert ended.output.count("this run is not recorded") == ended.output.count(".tfmem/runs: Not a directory") == 1
    assert "Traceback" not in ended.output
    assert (project.root / ".tfmem").read_text() == "mine"


def test_a_file_that_cannot_be_removed_is_one_warning(project):
    folder = project.root / "runs" / "20200101T000000.000000Z-0123abcd.jsonl"
    folder.mkdir(parents=True)  # a folder with the name of a run file
    for number in range(50):
        (project.root / "runs" / f"20200101T000001.{number:06}Z-0123abcd.jsonl").touch()
    ended = project.write(test_it=TESTS).run("--tfmem-history=runs", "--tfmem-baseline=off", COLUMNS="200")
    assert ended.status == 0
    assert ended.output.count("earlier run files are not removed: ") == 1
    assert "Traceback" not in ended.output
    assert footer(files(project, "runs")[-1]).tests == 4


def test_a_database_that_goes_away_in_the_middle_loses_nothing_that_was_stored(project, until):
    pytest.importorskip("sqlalchemy")
    history = "--tfmem-history=sqlite:///history/runs.db"
    assert project.write(test_it=TESTS).run(history).status == 0
    (project.root / "test_it.py").write_text(WAITS_IN_THE_THIRD)
    process = project.start(history, COLUMNS="200")
    until(lambda: project.noted("waits"))
    (project.root / "history").rename(project.root / "away")
    (project.root / "history").write_text("in its place")
    (project.root / "gate").write_text("go on")
    ended = project.ended(process)
    assert ended.status == 0
    assert ended.output.count("this run did not reach the history: ") == 1
    assert "Traceback" not in ended.output
    first, second = files(project)
    assert [nodeids(first), nodeids(second)] == [ALL, ALL]
    (project.root / "history").unlink()
    (project.root / "away").rename(project.root / "history")
    store = open_store("sqlite:///history/runs.db", root=project.root)
    assert [info.id for info in store.infos()] == [run.run.id for run in read_runs(first)]
    assert store.push(read_runs(second)) == 1
