"""One pytest session in a process of its own: what it recorded, why it recorded nothing, and that nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time

import psutil
import pytest

from pytest_tfmem.attempts.pytest_session import attempt
from tests.beside import ADDOPTS

_HANGING = """
import os, subprocess, pytest, time

@pytest.mark.memory_budget
def test_hangs(tmp_path):
    runaway = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    with open(os.environ["SEEN"] + ".part", "w") as file:
        file.write(f"{runaway.pid} {os.getpid()}")
    os.rename(os.environ["SEEN"] + ".part", os.environ["SEEN"])
    time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "TFMEM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTEST_ADDOPTS", ADDOPTS)
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pytest.ini").write_text("[pytest]\n")


@pytest.fixture
def project(tmp_path):
    return tmp_path / "project"


def _left(tmp_path):
    return sorted(path.name for path in (tmp_path / "temporary").iterdir())


def test_a_session_gives_back_what_it_measured_and_leaves_nothing(project, tmp_path):
    (project / "test_a.py").write_text(
        "import os, pytest\n@pytest.mark.memory_budget\ndef test_a(tmp_path): assert os.environ['GIVEN'] == 'yes'\n"
        "@pytest.mark.memory_budget\ndef test_b(): assert 'SEEN' not in os.environ and 0\n"
    )
    found = attempt(["test_a.py"], directory=project, environment={"GIVEN": "yes", "SEEN": None})
    assert found.run is not None
    assert {test.nodeid: test.outcome for test in found.run.tests} == {
        "test_a.py::test_a": "passed",
        "test_a.py::test_b": "failed",
    }
    assert (found.exit_status, found.said) == (1, "")
    assert _left(tmp_path) == []
    assert not (project / ".tfmem").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["test_none.py"], "file or directory not found: test_none.py"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_why_there_is_no_run_is_said_in_one_line(project, arguments, said):
    found = attempt(arguments, directory=project)
    assert (found.run, found.exit_status, found.said) == (None, 4, said)


def test_what_the_settings_of_a_project_ask_of_its_own_sessions_is_not_done_in_an_attempt(project):
    settings = ["[pytest]", "tfmem_update = raise", "tfmem_shard = 1/2", "tfmem_fail_on = regression", ""]
    (project / "pytest.ini").write_text("\n".join(settings))
    (project / "budgets.yaml").write_text("version: 1\nbudgets:\n- {test: test_a.py, rss: 1 MiB}\n")
    (project / "test_a.py").write_text("def test_a(): pass\n")
    found = attempt([], directory=project)
    assert found.run is not None
    assert found.run.run.shard is None
    assert "1 MiB" in (project / "budgets.yaml").read_text()
    assert [(test.outcome, test.verdict) for test in found.run.tests] == [("passed", "over")]


def test_a_session_that_takes_too_long_is_ended_with_all_that_it_started(project, tmp_path):
    (project / "test_a.py").write_text(_HANGING)
    found = attempt(["test_a.py"], directory=project, timeout_seconds=4)
    assert (found.run, found.said) == (None, "pytest did not end within 4 s")
    assert _running(tmp_path / "seen") == []
    assert _left(tmp_path) == []


def test_an_interrupt_ends_the_session_with_all_that_it_started(project, tmp_path):
    (project / "test_a.py").write_text(_HANGING)
    statement = (
        "import sys, tempfile; from pathlib import Path; from pytest_tfmem.attempts.pytest_session import attempt\n"
        f"tempfile.tempdir = {str(tmp_path / 'temporary')!r}\n"
        "attempt(['test_a.py'], directory=Path.cwd())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", statement], cwd=project, stderr=subprocess.PIPE)
    _until((tmp_path / "seen").exists)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors
    assert _running(tmp_path / "seen") == []
    assert _left(tmp_path) == []


def _running(seen):
    pids = [int(pid) for pid in seen.read_text().split()]
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def _until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_nobody_reads_is_not_explained(project):
    (project / "pytest.ini").write_text("[pytest]\ntfmem_explain = breach\n")
    (project / "test_a.py").write_text(
        "import pytest\n@pytest.mark.memory_budget(rss_growth=1)\ndef test_a(): bytearray(1 << 22)\n"
    )
    (test,) = attempt(["test_a.py"], directory=project).run.tests
    assert (test.explanations, test.verdict) == ([], "over")
