"""A budget in budgets.yaml isolates a test that knows nothing of it: any kind of test."""

from __future__ import annotations

import json

BUDGETS = """
    version: 1
    defaults: {allocator: growth}
    budgets:
      - test: "docs/readme.txt::readme.txt"
        rss: 16 GiB
      - test: "ours.py::**"
        rss: 1 MiB
      - test: "tests/test_*.py::test_named"
        rss: {limit: 1 MiB, level: warn}
      - test: "tests/test_it.py::TestCase::test_method"
        rss: 16 GiB
        timeout: 20
"""


def test_tests_are_isolated_that_the_file_names_doctests_and_unittests_too(project):
    project.write("budgets.yaml", BUDGETS)
    project.write("docs/readme.txt", ">>> import os\n>>> from witness import note\n>>> note('text')\n>>> 1 + 1\n2\n")
    project.write(
        "ours.py",
        '''
        def ours():
            """
            >>> note("doctest")
            """
        ''',
    )
    project.write(
        "tests/test_it.py",
        """
        import unittest

        def test_named(): note("named"); note(os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH"))
        def test_not_named(): note("not named")

        class TestCase(unittest.TestCase):
            def test_method(self): note("method")
        """,
    )
    ran = project.run("--doctest-modules", "--doctest-glob=*.txt", "docs", "ours.py", "tests", "--tfmem-json=run.json")
    assert ran.outcomes == {
        "readme.txt": "passed",
        "ours.ours": "failed",
        "test_named": "passed",
        "test_not_named": "passed",
        "test_method": "passed",
    }
    assert ran.notes_of_children() == ["text", "doctest", "named", "true", "method"]
    assert ran.notes_of_controllers() == ["not named"]
    limits = {test["nodeid"]: test["limits"] for test in json.loads((project.path / "run.json").read_text())["tests"]}
    limit = limits["tests/test_it.py::test_named"]["rss"]
    assert (limit["bytes"], limit["where"], limit["level"]) == (1 << 20, "budgets.yaml:10", "warn")
    ran.stdout.fnmatch_lines(["*ours.ours*", "measured 4 of 4 limits; 1 over, 1 over (warning only)"])


def test_the_closest_marker_wins_figure_by_figure_over_the_file(project):
    project.write("budgets.yaml", "version: 1\nbudgets:\n  - test: '**'\n    rss: 1 MiB\n    rss_tree: 1 MiB\n")
    project.write("test_it.py", "@budget(rss='16 GiB')\ndef test_it(): pass")
    ran = project.run()
    assert ran.measured["test_it"]["verdicts"] == {"rss": "ok", "rss_tree": "over"}
    ran.stdout.fnmatch_lines(["memory budget exceeded: rss_tree * > 1.0 MiB *"])
