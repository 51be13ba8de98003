"""pytest-rerunfailures runs a test again; each attempt has a process of its own."""

from __future__ import annotations

import pytest

FLAKY = """
    from pathlib import Path

    def attempt(name):
        count = Path(name)
        count.write_text(count.read_text() + "x" if count.exists() else "x")
        note(name)
        return len(count.read_text())

    @budget()
    def test_flaky(): assert attempt("flaky") == 3

    @budget()
    @pytest.mark.flaky(reruns=1)
    def test_marked(): assert attempt("marked") == 2
"""


def test_each_attempt_is_a_fresh_process(project):
    project.write("test_it.py", FLAKY)
    ran = project.run("--reruns=2", "--junitxml=report.xml")
    assert ran.outcomes == {"test_flaky": "rerun rerun passed", "test_marked": "rerun passed"}
    assert len(set(ran.pids("flaky"))) == 3
    assert len(set(ran.pids("marked"))) == 2
    assert set(ran.pids("flaky") + ran.pids("marked")) == ran.children
    ran.stdout.fnmatch_lines(["measured 2 tests, no limits set", "*2 passed, 3 rerun in*"])
    assert (project.path / "report.xml").read_text().count("tfmem.rss_bytes") == 5


def test_the_plugin_starts_nothing_in_the_tests_process_and_its_marker_is_known_there(project):
    project.write(
        "test_it.py",
        """
        import threading

        @budget()
        @pytest.mark.flaky(reruns=1)
        def test_it(): assert threading.active_count() == 1
        """,
    )
    ran = project.run("--strict-markers", "--reruns=1", "--reruns-delay=0.01")
    assert ran.outcomes == {"test_it": "passed"}


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_the_error_decides_whether_a_test_is_run_again(project, workers):
    project.write(
        "test_it.py",
        """
        @budget()
        def test_chosen(): raise OSError("try again")

        @budget()
        def test_not_chosen(): raise ValueError("never mind")

        @budget(rss="1 MiB")
        def test_over(): pass
        """,
    )
    ran = project.run("--reruns=1", "--only-rerun=OSError", "--only-rerun=MemoryBudget", *workers)
    assert ran.outcomes == {"test_chosen": "rerun failed", "test_not_chosen": "failed", "test_over": "rerun failed"}


def test_a_broken_fixture_and_a_dead_process_are_tried_again(project):
    project.write(
        "test_it.py",
        FLAKY
        + """
    @pytest.fixture
    def broken(): assert attempt("broken") == 2

    @budget()
    def test_setup(broken): pass

    @budget()
    def test_dies():
        if attempt("dead") == 1: os._exit(3)
    """,
    )
    ran = project.run("--reruns=1", "-k", "setup or dies")
    assert ran.outcomes == {"test_setup": "rerun passed", "test_dies": "rerun passed"}
    assert len(ran.children) == 4
