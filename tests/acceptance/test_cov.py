"""pytest-cov: coverage's own patch for subprocesses counts the lines that run in a test's process."""

from __future__ import annotations

import json

import pytest

SETTINGS = "[run]\nbranch = true\nsource = ours\n{patch}"


@pytest.fixture
def covered(project):
    project.write("ours.py", "def here():\n    return 1\n\ndef there():\n    return 2")
    project.write(
        "test_it.py",
        "import ours\n\ndef test_here(): ours.here()\n\n@budget()\ndef test_there(): assert ours.there() == 2",
    )
    return project


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_lines_of_the_tests_process_are_counted_with_the_patch(covered, workers):
    covered.write(".coveragerc", SETTINGS.format(patch="patch = subprocess\n"))
    ran = covered.run("--cov", "--cov-report=json", *workers, with_plugins=("pytest_cov",))
    assert set(ran.outcomes.values()) == {"passed"}
    assert _missing(covered) == []
    assert ran.errors == ""


def test_without_the_patch_they_are_not_and_nothing_breaks(covered):
    covered.write(".coveragerc", SETTINGS.format(patch=""))
    ran = covered.run("--cov", "--cov-report=json", "--cov-fail-under=10", with_plugins=("pytest_cov",))
    assert set(ran.outcomes.values()) == {"passed"}
    assert ran.returncode == 0
    assert len(_missing(covered)) == 1
    assert list(covered.path.glob(".coverage*")) == [covered.path / ".coverage", covered.path / ".coveragerc"]
    assert ran.errors == ""


def _missing(project):
    return json.loads((project.path / "coverage.json").read_text())["files"]["ours.py"]["missing_lines"]
