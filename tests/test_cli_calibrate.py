"""`tfmem calibrate`, as a user runs it: real runs of a real project."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pytest_tfmem.budgets.file import load_budgets, read_budgets
from pytest_tfmem.history.store import open_store

TESTS = """
import os, pathlib
import pytest

pytestmark = pytest.mark.memory_budget

def test_steady():
    bytearray(16 << 20)

@pytest.mark.memory_budget(rss_anon="1 MiB")
def test_over(): pass

def test_flaky():
    count = pathlib.Path(__file__).with_name("count")
    count.write_text(count.read_text() + "x" if count.exists() else "x")
    assert len(count.read_text()) != 2
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(TESTS)
    return tmp_path


def calibrate(folder, *arguments, columns=80):
    return subprocess.run(
        [sys.executable, "-m", "pytest_tfmem", "calibrate", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": str(columns)},
        capture_output=True,
        check=False,
        text=True,
    )


def stored(folder):
    return open_store(".tfmem/runs", root=folder).infos()


def test_noise_is_learned_from_repeated_runs_which_are_kept(project) -> None:
    ended = calibrate(project / "tests", "-n", "5", "--json", "learned.json", "--write")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "tests/test_it.py::test_flaky gave no reading in 1 of 5 runs" in lines
    assert "5 series" not in ended.stdout
    snippet = ended.stdout[ended.stdout.index("version: 1") : ended.stdout.index("\ntests/test_it.py:10")]
    proposed = {entry.pattern.text: entry for entry in read_budgets(snippet.encode(), shown="b").entries}
    assert set(proposed) == {"tests/test_it.py::test_steady", "tests/test_it.py::test_over"}
    assert proposed["tests/test_it.py::test_steady"].limits["rss_anon"].otherwise.bytes > 16 << 20

    learned = json.loads((project / "tests" / "learned.json").read_text())
    assert learned["schema"] == "tfmem.calibration/1"
    steady = [
        one
        for one in learned["series"]
        if (one["key"]["nodeid"], one["key"]["figure"]) == ("tests/test_it.py::test_steady", "rss_anon")
    ]
    assert [len(one["values"]) for one in steady] == [5]
    assert steady[0]["noise"]["least"] <= steady[0]["noise"]["median"] <= steady[0]["noise"]["most"]

    infos = stored(project)
    assert [(info.id, info.complete) for info in infos] == [(run, True) for run in learned["runs"]]

    written = load_budgets(project / "budgets.yaml", shown="budgets.yaml")
    assert [entry.pattern.text for entry in written.entries] == ["tests/test_it.py::test_steady"]
    assert lines[-2].startswith("tests/test_it.py:10: set rss_anon to ")
    assert lines[-1] == "budgets.yaml: 1 limit written"


def test_few_runs_propose_nothing_and_say_so(project) -> None:
    ended = calibrate(project, "-n", "2", "tests/test_it.py::test_steady", "--json", "-")
    assert ended.returncode == 0
    assert {len(one["values"]) for one in json.loads(ended.stdout)["series"]} == {2}
    assert all(one["limit_bytes"] is None for one in json.loads(ended.stdout)["series"])
    ended = calibrate(project, "-n", "1", "tests/test_it.py::test_steady", columns=160)
    assert "4 series have fewer than 5 readings, by which no limit is proposed" in ended.stdout
    assert "for budgets.yaml" not in ended.stdout
    assert any(line.startswith("  tests/test_it.py::test_steady  rss ") for line in ended.stdout.splitlines())


def test_runs_are_kept_where_the_project_keeps_its_history(project) -> None:
    (project / "pytest.ini").write_text("[pytest]\ntfmem_history = kept\n")
    calibrate(project, "-n", "1", "-k", "steady")
    assert len(open_store("kept", root=project).infos()) == 1
    assert not (project / ".tfmem").exists()
    (project / "pytest.ini").write_text("[pytest]\ntfmem_history = off\n")
    assert calibrate(project, "-n", "1", "-k", "steady").returncode == 0
    assert not (project / ".tfmem").exists()


def test_where_nothing_is_measured_nothing_is_decided(project) -> None:
    (project / "tests" / "test_it.py").write_text("def test_plain(): pass\n")
    ended = calibrate(project, "-n", "5")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr == "nothing was measured: no test that ran has a budget or a marker\n"


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["-n", "0"], {}, "0 is not in the range 1<=x<=1000"),
        (["nothing.py"], {}, "file or directory not found: nothing.py"),
        (["--write"], {"CI": "1"}, "--write: budgets are not changed in CI (the variable CI is set)"),
    ],
)
def test_what_cannot_be_done_is_one_line(project, monkeypatch, arguments, environment, said) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ended = calibrate(project, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert said in ended.stderr
    assert not (project / ".tfmem").exists()


def test_a_budgets_file_that_is_wrong_ends_it_before_the_first_run(project) -> None:
    (project / "budgets.yaml").write_text("version: 2\n")
    ended = calibrate(project, "-n", "5")
    assert ended.returncode == 4
    assert ended.stderr == "ERROR: budgets.yaml:1:10: 2 is no version that is known here; write version: 1\n"
