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


def test_stepwise_goes_on_where_it_stopped(four, monkeypatch):
    monkeypatch.setenv("BROKEN", "1")
    arguments = ["--sw", "-k", "not alpha"]
    assert four.run(*arguments).outcomes == {"test_beta": "passed", "test_gamma": "failed"}
    assert four.run(*arguments).outcomes == {"test_gamma": "failed"}


def test_the_cache_is_shared_and_a_test_keeps_no_book_of_the_session_in_it(four):
    four.write(
        "test_it.py",
        """
        from pathlib import Path

        @budget()
        def test_writes(cache):
            cache.set("ours/value", 1)

        def test_reads(cache):
            assert cache.get("ours/value", 0) == 1
            note(sorted(path.name for path in Path(".pytest_cache/v/cache").glob("*")))
        """,
    )
    ran = four.run()
    assert ran.outcomes == {"test_writes": "passed", "test_reads": "passed"}
    assert ran.notes == ["[]"]


def test_last_failed_and_failed_first_know_isolated_tests(four, monkeypatch):
    monkeypatch.setenv("BROKEN", "1")
    four.run()
    assert four.run("--lf").outcomes == {"test_alpha": "failed", "test_gamma": "failed"}
    monkeypatch.delenv("BROKEN")
    assert list(four.run("--ff", "-k", "not delta").outcomes) == ["test_alpha", "test_gamma", "test_beta"]


def test_collecting_only_starts_no_process(four):
    ran = four.run("--collect-only", "-q")
    assert ran.controllers
    assert not ran.children
    assert "test_it.py::test_alpha" in ran.text
    assert "memory budgets" not in ran.text
