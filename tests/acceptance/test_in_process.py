"""Sessions in which nothing is isolated, and how they say so."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.of_any_start_method
MODULE = """
    @budget(rss="1 MiB")
    def test_it(): note("body")

    @budget()
    def test_fails(): assert 0
"""


@pytest.mark.parametrize("option", ["--no-tfmem", "--pdb", "--trace", "--setup-show"])
def test_tests_run_in_pytests_own_process_unmeasured_and_the_summary_says_so(project, option):
    project.write("test_it.py", MODULE)
    ran = project.run(option, "--tfmem-json=run.json", "test_it.py::test_it")
    assert ran.outcomes == {"test_it": "passed"}
    assert not ran.children
    assert ran.notes_of_controllers() == ([] if option == "--trace" else ["body"])  # its debugger finds no input
    reason = f"{option} runs tests in pytest's own process"
    ran.stdout.fnmatch_lines(
        [
            f"not measured: rss in test_it.py::test_it: {reason}",
            f"measured 0 of 1 limit; 1 not measured ({reason}); 1 test ran unmeasured",
        ]
    )
    (test,) = json.loads((project.path / "run.json").read_text())["tests"]
    assert (test["start_method"], test["verdict"]) == ("in-process", "not-measured")
    assert test["readings"] == {"rss": {"not_measured": reason}}


def test_a_plan_of_fixtures_starts_no_process(project):
    project.write("test_it.py", MODULE)
    for option in ("--setup-plan", "--setup-only"):
        ran = project.run(option)
        assert not ran.children
        assert ran.notes == []


def test_xdist_without_us(project):
    project.write("test_it.py", MODULE)
    ran = project.run("--no-tfmem", "-n1")
    assert ran.outcomes == {"test_it": "passed", "test_fails": "failed"}
    assert not ran.children
    ran.stdout.fnmatch_lines(["*2 tests ran unmeasured*"])


def test_a_session_without_budgets_is_left_alone(project):
    project.write("test_it.py", "def test_it(tmp_path): note('body')")
    ran = project.run()
    assert ran.outcomes == {"test_it": "passed"}
    assert not ran.children
    assert "memory" not in ran.text
