"""Choosing tests and stopping early: the controller's business, which the tests' processes leave alone."""

from __future__ import annotations

import pytest

FOUR = """
    @budget()
    @pytest.mark.slow
    def test_alpha(): assert not os.environ.get("BROKEN")

    @budget()
    def test_beta(): note("beta")

    def test_gamma(): assert not os.environ.get("BROKEN")

    @budget()
    @pytest.mark.slow
    def test_delta(): note("delta")
"""
MARKERS = "[pytest]\nmarkers = slow\n"


@pytest.fixture
def four(project):
    project.write("test_it.py", FOUR)
    project.write("pytest.ini", MARKERS)
    return project


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (["-k", "alpha or delta"], ["test_alpha", "test_delta"]),
        (["-m", "slow"], ["test_alpha", "test_delta"]),
        (["--deselect", "test_it.py::test_alpha", "--deselect=test_it.py::test_gamma"], ["test_beta", "test_delta"]),
        (["test_it.py::test_delta", "test_it.py::test_alpha"], ["test_delta", "test_alpha"]),
    ],
)
def test_a_choice_of_tests_is_the_same_choice(four, arguments, chosen):
    ran = four.run(*arguments)
    assert ran.outcomes == dict.fromkeys(chosen, "passed")
    assert list(ran.outcomes) == chosen
    assert ran.returncode == 0
    assert len(ran.children) == 2


def test_stopping_at_the_first_failure_or_the_second(four, monkeypatch):
    monkeypatch.setenv("BROKEN", "1")
    assert four.run("-x").outcomes == {"test_alpha": "failed"}
    ran = four.run("--maxfail=2")
    assert ran.outcomes == {"test_alpha": "failed", "test_beta": "passed", "test_gamma": "failed"}
    ran.stdout.fnmatch_lines(["*stopping after 2 failures*"])


def test_last_failed_failed_first_and_stepwise_remember_isolated_tests(four, monkeypatch):
    monkeypatch.setenv("BROKEN", "1")
    assert four.run("--sw").outcomes == {"test_alpha": "failed"}
    four.run()
    assert four.run("--lf").outcomes == {"test_alpha": "failed", "test_gamma": "failed"}
    monkeypatch.delenv("BROKEN")
    assert list(four.run("--ff", "-k", "not delta").outcomes) == ["test_alpha", "test_gamma", "test_beta"]
    ran = four.run("--lf", "--sw", "-k", "alpha or beta")
    assert ran.outcomes == {"test_alpha": "passed", "test_beta": "passed"}


def test_collecting_only_starts_no_process(four):
    ran = four.run("--collect-only", "-q")
    assert ran.controllers
    assert not ran.children
    assert "test_it.py::test_alpha" in ran.text
    assert "memory budgets" not in ran.text
