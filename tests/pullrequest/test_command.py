"""`tfmem report` for a pull request, as it is called."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from msgspec.structs import replace

from pytest_tfmem.history.recorded import Footer
from pytest_tfmem.history.runfile import run_lines
from tests.made import made_run
from tests.pullrequest.conftest import MIB, gate_result, judged, limited

OVER = replace(limited("test_a.py::test_a", 812 * MIB, "over", allowed=768 * MIB), where="test_a.py:3")


@pytest.fixture
def report(tmp_path):
    """The command, in a project that is a folder of its repository, with a run of it and what a gate found."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    project = tmp_path / "models"
    project.mkdir()
    (project / "pytest.ini").write_text("[pytest]\n")
    run = replace(made_run(1, OVER), footer=Footer(duration_seconds=1, tests=1))
    (project / "run.jsonl").write_bytes(run_lines(run))
    (project / "gate.json").write_bytes(msgspec.json.encode(gate_result(judged())))

    def call(*arguments):
        command = [sys.executable, "-m", "pytest_tfmem", "report", *arguments]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return call


def test_a_summary_of_a_run_and_one_of_a_gate_alone(report, tmp_path):
    run = report("run.jsonl", "--format", "markdown")
    assert "### ❌ Memory budgets: failed\n\n1 test is over its memory limit.\n" in run
    assert report("run.jsonl", "--output", "summary.md") == ""
    assert (tmp_path / "models" / "summary.md").read_text(encoding="utf-8") == run
    gate = report("--gate", "gate.json", "--format", "markdown")
    assert "Not passed: 1 test regressed." in gate
    both = report("run.jsonl", "--gate", "gate.json", "--format", "markdown")
    assert "Not passed: 1 test regressed." in both
    assert "The test and its figures" in both


def test_annotations_are_counted_from_the_top_of_the_repository(report):
    test, limit = report("run.jsonl", "--format", "github").splitlines()
    assert test.startswith("::error file=models/test_a.py,line=3,title=Memory%3A over its limit::")
    assert limit.startswith("::error file=models/budgets.yaml,line=12,title=Memory%3A a test is over this limit::")
    assert report("--gate", "gate.json", "--format", "github").startswith("::error title=Memory%3A needs more")
