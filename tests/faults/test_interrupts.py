"""Sessions that are stopped: by a test, by Ctrl-C, by a kill."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks for what is left by way of /proc")

PHASES = ("setup", "call", "teardown")

STOPPING = """
import os, pytest

@pytest.fixture
def around():
    stop("setup")
    yield
    stop("teardown")

def stop(phase):
    if phase == "{phase}":
        {statement}

@pytest.mark.memory_budget
def test_first(around):
    stop("call")

@pytest.mark.memory_budget
def test_second():
    open(os.environ["TFMEM_FAULTS_SEEN"] + "/second", "w").write("ran")
"""

HANGING = """
import os, pytest, signal, subprocess

@pytest.mark.memory_budget
@pytest.mark.parametrize("number", [1, 2])
def test_hangs(number):
    if {with_grandchild}:
        subprocess.Popen(["sleep", "1000"])
    open(os.environ["TFMEM_FAULTS_SEEN"] + f"/hangs-{{number}}", "w").write(str(os.getpid()))
    while True:
        signal.pause()
"""


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    ("statement", "status", "said"),
    [
        ("raise KeyboardInterrupt('from the test')", 2, "KeyboardInterrupt"),
        ("pytest.exit('enough', returncode=7)", 7, "_pytest.outcomes.Exit: enough"),
    ],
    ids=["interrupt", "exit"],
)
def test_a_test_that_stops_the_session_stops_it(project, phase, statement, status, said):
    ended = project.write(test_stop=STOPPING.format(phase=phase, statement=statement)).run()
    assert ended.status == status
    assert f"! {said}" in ended.output
    assert project.noted("second") == ""
    assert _left(project, ended) == ([], [])


def test_ctrl_c_ends_the_session_and_the_test(project, until):
    process = project.write(test_hang=HANGING.format(with_grandchild=True)).start()
    until(lambda: project.noted("hangs-1"))
    process.send_signal(signal.SIGINT)
    ended = project.ended(process)
    assert ended.status == pytest.ExitCode.INTERRUPTED
    assert "! KeyboardInterrupt !" in ended.output
    assert _left(project, ended) == ([], [])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_test_does_not_outlive_a_session_that_is_killed(project, until, number):
    process = project.write(test_hang=HANGING.format(with_grandchild=False)).start()
    until(lambda: project.noted("hangs-1"))
    process.send_signal(number)
    process.wait()
    until(lambda: not project.processes(), seconds=1)


def test_no_test_outlives_an_xdist_session_that_is_killed(project, until):
    process = project.write(test_hang=HANGING.format(with_grandchild=False)).start("-pxdist", "-n2")
    tests = [int(until(lambda name=name: project.noted(name))) for name in ("hangs-1", "hangs-2")]
    assert set(tests) <= set(project.processes())
    process.kill()
    process.wait()
    until(lambda: not set(tests) & set(project.processes()), seconds=1)
    until(lambda: not project.processes())


def _left(project: Any, ended: Any) -> tuple[list[int], list[str]]:
    return project.processes(), [path for path in ended.temporary if "tfmem" in path]
