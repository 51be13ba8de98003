"""A system that refuses: a full disk, a read-only folder, no descriptors."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks for what is left by way of /proc")

PASSED = {"setup": "passed", "call": "passed", "teardown": "passed"}

TEST = """
import pytest

@pytest.mark.memory_budget(rss="1 GiB")
def test_it(tmp_path):
    (tmp_path / "x").write_text("x")
"""


@contextmanager
def _mounted(folder: Path, *options: str) -> Iterator[None]:
    """Something mounted on the folder; skips the test where that is not allowed."""
    done = subprocess.run(["mount", *options, str(folder)], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_of_and_the_session_does_not_end_well(project):
    full = project.root / "full"
    full.mkdir()
    with _mounted(full, "-t", "tmpfs", "-o", "size=4k", "tfmem-faults"):
        (full / "other").write_bytes(b"x" * 4096)
        ended = project.write(test_it=TEST).run("--tfmem-json=full/run.json")
        assert sorted(path.name for path in full.iterdir()) == ["other"]
    assert ended.outcomes("test_it.py::test_it") == PASSED
    assert "--tfmem-json: [Errno 28] No space left on device" in ended.output
    assert ended.status == pytest.ExitCode.INTERNAL_ERROR
    assert "Traceback" not in ended.output


def test_a_device_is_written_to_and_not_replaced_by_a_file(project):
    (project.root / "run.json").symlink_to("/dev/full")  # a link: nobody's /dev is lost with this test
    ended = project.write(test_it=TEST).run("--tfmem-json=run.json")
    assert "--tfmem-json: [Errno 28] No space left on device" in ended.output
    assert ended.status == pytest.ExitCode.INTERNAL_ERROR
    assert (project.root / "run.json").is_symlink()


def test_a_read_only_project_is_tested_like_any_other(project):
    project.write(test_it=TEST)
    with _mounted(project.root, "--bind", "-o", "ro", str(project.root)):
        _assert_read_only(project.root)
        ended = project.run()
    assert ended.outcomes("test_it.py::test_it") == PASSED
    assert ended.status == 0
    assert [path for path in ended.temporary if "tfmem" in path] == []


def test_a_temporary_folder_that_cannot_be_written_to_fails_the_test_in_a_sentence(project):
    project.write(test_it=TEST)
    with _mounted(project.temporary, "-t", "tmpfs", "-o", "ro", "tfmem-faults"):
        ended = project.run(f"--basetemp={project.temporary / 'base'}")
    assert ended.outcomes("test_it.py::test_it") == {"setup": "failed", "teardown": "passed"}
    assert ended.text("test_it.py::test_it", "setup").startswith(
        "Failed: the test's process could not be started: [Errno 30] Read-only file system: "
    )
    _assert_nothing_is_left(ended)


def test_a_lack_of_descriptors_fails_the_test_in_a_sentence(project):
    few = """
import os, pytest, resource

def pytest_runtest_logstart():
    free = os.dup(1)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + {more}, 4096))

def pytest_runtest_logfinish():
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
"""
    tests = TEST.replace("def test_it(", "@pytest.mark.parametrize('number', [1, 2])\ndef test_it(number, ")
    ended = project.write(conftest=few.format(more=2), test_it=tests).run()
    for test in ("test_it.py::test_it[1]", "test_it.py::test_it[2]"):
        assert ended.outcomes(test) == {"setup": "failed", "teardown": "passed"}
        assert ended.text(test, "setup").startswith("Failed: the test's process could not be started: [Errno 24] ")
    _assert_nothing_is_left(ended)


def _assert_read_only(folder: Path) -> None:
    with pytest.raises(OSError, match="Read-only"):
        (folder / "x").write_text("x")


def _assert_nothing_is_left(ended: Any) -> None:
    for seen in ended.seen.values():
        assert seen.processes == []
        assert seen.descriptors_left == []
