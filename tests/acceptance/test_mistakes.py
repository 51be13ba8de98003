"""A mistake is told to the one who can mend it, where it is, and stops no more than it has to."""

from __future__ import annotations

import pytest

WRONG = """
    @budget(rss="512 megs")
    def test_size(): note("never")

    @budget("1 GiB")
    def test_positional(): note("never")

    @budget(vram="1 GiB")
    def test_figure(): note("never")

    @budget()
    @pytest.mark.tf_runtime(allocator="gready")
    def test_allocator(): note("never")

    @pytest.mark.tf_runtime(jits=True)
    def test_runtime(): note("never")

    @budget(rss="16 GiB")
    def test_right(): note("body")
"""
BAD_FILE = "version: 1\nbudgets:\n  - test: 'test_it.py::*'\n    vram: 1 GiB\n"


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_a_wrong_marker_errs_its_test_and_the_others_run(project, workers):
    project.write("test_it.py", WRONG)
    ran = project.run("-rE", "--strict-markers", *workers)
    wrong = ["test_size", "test_positional", "test_figure", "test_allocator", "test_runtime"]
    assert ran.outcomes == {**dict.fromkeys(wrong, "error"), "test_right": "passed"}
    assert ran.notes == ["body"]
    assert ran.returncode == 1
    ran.stdout.fnmatch_lines_random(
        [
            "test_it.py:6: memory_budget(rss=...): '512 megs' has an unknown unit 'megs'; *",
            "test_it.py:9: memory_budget takes no positional arguments; *",
            "test_it.py:12: unknown figure 'vram'; *",
            "test_it.py:16: tf_runtime(allocator='gready') is not possible; *",
            "test_it.py:19: tf_runtime has no argument 'jits'; did you mean 'jit'*",
        ]
    )
    assert "Traceback" not in ran.text


@pytest.mark.parametrize("workers", [[], ["-n2"]])
def test_a_wrong_budgets_file_ends_the_session_with_one_line(project, workers):
    project.write("budgets.yaml", BAD_FILE)
    project.write("test_it.py", "def test_it(): note('never')")
    ran = project.run(*workers)
    assert ran.returncode == 4
    assert ran.notes == []
    assert ran.errors.strip() == ran.errors.strip().splitlines()[0]
    ran.stderr.fnmatch_lines(["ERROR: budgets.yaml:4:5: unknown figure 'vram'; *"])
    assert "INTERNALERROR" not in ran.text + ran.errors


def test_a_test_whose_id_changes_between_processes_says_so(project):
    project.write(
        "test_it.py",
        """
        @budget()
        @pytest.mark.parametrize("pid", [os.getpid()])
        def test_changes(pid): note("never")
        """,
    )
    ran = project.run()
    assert set(ran.outcomes.values()) == {"error"}
    assert ran.notes == []
    ran.stdout.fnmatch_lines(["*test_changes* was not there when its file was collected again in a fresh process *"])


def test_a_file_that_cannot_be_imported_twice_says_so(project):
    project.write(
        "test_it.py",
        """
        assert "IMPORTED" not in os.environ, "imported before"
        os.environ["IMPORTED"] = "1"

        @budget()
        def test_it(): note("never")
        """,
    )
    ran = project.run()
    assert ran.outcomes == {"test_it": "error"}
    ran.stdout.fnmatch_lines(["*its file could not be collected again in a fresh process*", "*imported before*"])
