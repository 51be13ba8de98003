"""`tfmem gate` on a figure that repeats to the byte: what a framework asked of a stand-in card."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.gpu.acceptance.test_regressions import TORCH, repeat_runs

MIB = 1 << 20
_TESTS = """
    import pytest
    import torch

    pytestmark = pytest.mark.memory_budget

    def test_a():
        torch.cuda.hold({size})

    def test_b():
        torch.cuda.hold(5 << 20)
    """
pytestmark = [pytest.mark.stub, pytest.mark.of_any_start_method]


def _git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def _commit(project, size):
    project.write("test_it.py", _TESTS.format(size=size))
    _git(project.path, "add", "test_it.py", "torch.py", "pytest.ini")
    _git(project.path, "commit", "--allow-empty", "--message=a change")


@pytest.fixture
def recorded(gpu_project, monkeypatch):
    """A repository on a machine with a card, with six runs of its branch main, in which test_a asked for 10 MiB."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    with (gpu_project.path / "pytest.ini").open("a") as ini:
        ini.write("pythonpath = .\n")
    gpu_project.write("torch.py", TORCH)
    _git(gpu_project.path, "init", "--initial-branch=main")
    _commit(gpu_project, 10 * MIB)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest"], cwd=gpu_project.path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout
    repeat_runs(gpu_project)
    _git(gpu_project.path, "switch", "--create", "change")
    return gpu_project


def _gate(project):
    command = [sys.executable, "-m", "pytest_tfmem", "gate", "--base=main", "--json=-"]
    done = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return json.loads(done.stdout)


def _of(result, nodeid):
    (found,) = (one for one in result["judged"] if (one["nodeid"], one["figure"]) == (nodeid, "gpu"))
    return found


def test_what_has_grown_by_a_part_of_a_percent_is_regressed_after_two_attempts_of_each(recorded):
    _commit(recorded, 10 * MIB + 96 * 1024)
    result = _gate(recorded)
    assert (result["status"], result["sessions"]) == (1, 5)
    grown = _of(result, "test_it.py::test_a")
    assert (grown["verdict"], grown["before_bytes"], grown["head_bytes"]) == (
        "regressed",
        10 * MIB,
        10 * MIB + 96 * 1024,
    )
    assert sorted(one["bytes"] - 10 * MIB for one in grown["attempts"]) == [0, 0, 96 * 1024, 96 * 1024]
    assert _of(result, "test_it.py::test_b")["verdict"] == "ok"


def test_what_asks_for_the_same_is_not_run_again(recorded):
    _commit(recorded, 10 * MIB)
    result = _gate(recorded)
    assert (result["status"], result["sessions"]) == (0, 1)
    assert _of(result, "test_it.py::test_a")["verdict"] == "ok"
