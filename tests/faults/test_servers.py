"""Servers of forked tests: they end with their session, however that ends, and a test that harms one harms itself."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")

HELD_READY = {"tfmem-server", "tfmem-file", "tfmem-spare"}
HANGING = """
import os, pytest, signal

@pytest.mark.memory_budget
def test_hangs():
    open(os.environ["TFMEM_FAULTS_SEEN"] + "/hangs", "w").write(str(os.getppid()))
    while True:
        signal.pause()

@pytest.mark.memory_budget
def test_next():
    pass
"""
FAILING = """
import os, pytest
from pathlib import Path

@pytest.mark.memory_budget
@pytest.mark.parametrize("number", range(4))
def test_it(number):
    parent = os.getppid()
    while len(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()) < 2:
        pass  # the next test's process is not ready yet
    assert number < 1
"""
# Its grandparent is the server.
HARMING = """
import os, pytest, signal
from pathlib import Path

def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

def harm():
    pid = os.getpid()
    for _ in range(GENERATIONS):
        pid = parent_of(pid)
    os.kill(pid, signal.NUMBER)
    while True:
        signal.pause()

@pytest.mark.memory_budget
def test_before(): pass

@pytest.mark.memory_budget(timeout=1)
def test_harms(): harm()

@pytest.mark.memory_budget(timeout=60)
def test_after(): pass
"""
OTHER = """
import pytest

@pytest.mark.memory_budget
def test_other(): pass
"""
MANY_FILES = """
import os, resource

if "PYTEST_TFMEM_TOKEN" not in os.environ:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, most))
    held = [open(os.devnull) for _ in range(1024)]
"""


@pytest.fixture
def project(new_project: Any) -> Any:
    return new_project("forkserver")


def test_nothing_is_left_of_a_session_that_is_over(project):
    ended = project.write(test_a=OTHER, test_b=OTHER).run()
    assert ended.status == 0
    assert _left(project, ended) == ([], [])


def test_nothing_is_left_of_a_session_that_stopped_at_its_first_failure(project):
    ended = project.write(test_a=FAILING, test_b=OTHER).run("-x")
    assert ended.status == 1
    assert len(ended.reports) == 2
    assert _left(project, ended) == ([], [])


def test_nothing_is_left_of_a_session_that_was_interrupted(project, until):
    process = project.write(test_a=HANGING, test_b=OTHER).start()
    _all_are_ready(project, until)
    process.send_signal(signal.SIGINT)
    ended = project.ended(process)
    assert ended.status == pytest.ExitCode.INTERRUPTED
    assert _left(project, ended) == ([], [])


def test_nothing_outlives_a_session_that_is_killed(project, until):
    process = project.write(test_a=HANGING, test_b=OTHER).start()
    _all_are_ready(project, until)
    process.kill()
    process.wait()
    until(lambda: not project.processes(), seconds=5)


def test_nothing_outlives_an_xdist_session_that_is_killed(project, until):
    process = project.write(test_a=HANGING, test_b=OTHER).start("-pxdist", "-n1")
    _all_are_ready(project, until)
    process.kill()
    process.wait()
    until(lambda: not project.processes())


def test_nothing_outlives_an_xdist_worker_that_is_killed(project, until):
    process = project.write(test_a=HANGING, test_b=OTHER).start("-pxdist", "-n1")
    server = _parent_of(_all_are_ready(project, until))
    kept = _held_ready(project)
    assert server in kept
    os.kill(_parent_of(server), signal.SIGKILL)
    until(lambda: not set(kept) & set(project.processes()), seconds=5)
    ended = project.ended(process)
    assert "worker 'gw0' crashed while running 'test_a.py::test_hangs'" in ended.output
    assert ended.outcomes("test_a.py::test_next")["call"] == "passed"
    assert ended.outcomes("test_b.py::test_other")["call"] == "passed"
    assert _left(project, ended)[0] == []


@pytest.mark.parametrize("generations", [1, 2], ids=["file", "server"])
def test_a_test_that_kills_a_server_dies_of_it_alone(project, generations):
    text = HARMING.replace("GENERATIONS", str(generations)).replace("NUMBER", "SIGKILL")
    ended = project.write(test_a=text, test_b=OTHER).run()
    assert ended.text("test_a.py::test_harms", "call").startswith("Failed: the test's process died of SIGKILL in call")
    for test in ("test_a.py::test_before", "test_a.py::test_after", "test_b.py::test_other"):
        assert set(ended.outcomes(test).values()) == {"passed"}
    assert ended.status == 1
    assert _left(project, ended) == ([], [])


def test_a_test_that_stops_its_files_server_is_ended_by_its_timeout_and_the_next_ones_run(project):
    text = HARMING.replace("GENERATIONS", "1").replace("NUMBER", "SIGSTOP")
    ended = project.write(test_a=text, test_b=OTHER).run()
    said = "Failed: timeout: the test was still in call after 1 s, and was ended"
    assert ended.text("test_a.py::test_harms", "call") == said
    for test in ("test_a.py::test_before", "test_a.py::test_after", "test_b.py::test_other"):
        assert set(ended.outcomes(test).values()) == {"passed"}
    assert ended.status == 1
    assert _left(project, ended) == ([], [])


def test_a_session_that_holds_many_files_open_forks_its_tests(project):
    ended = project.write(conftest=MANY_FILES, test_a=OTHER).run()
    assert ended.status == 0
    assert set(ended.outcomes("test_a.py::test_other").values()) == {"passed"}


def _all_are_ready(project: Any, until: Any) -> int:
    """Wait until the test hangs, the next one's process is ready, and so is the next file; its file's server."""
    file = int(until(lambda: project.noted("hangs")))
    until(lambda: set(_held_ready(project).values()) == HELD_READY)
    return file


def _held_ready(project: Any) -> dict[int, str]:
    names = {pid: _name_of(pid) for pid in project.processes()}
    return {pid: name for pid, name in names.items() if name in HELD_READY}


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _left(project: Any, ended: Any) -> tuple[list[int], list[str]]:
    return project.processes(), [path for path in ended.temporary if "tfmem" in path]
