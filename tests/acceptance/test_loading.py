"""Loading the plugin is cheap: what is heavy is loaded where it is needed."""

from __future__ import annotations

import pytest

HEAVY = ("tensorflow", "numpy", "yaml", "pynvml", "rich", "sqlalchemy", "msgspec", "psutil", "click")
LOADED = """
    import sys
    note(sorted(set(sys.modules) & {heavy}))
    note("pytest_tfmem.plugin" in sys.modules)
"""


@pytest.mark.of_any_start_method
def test_a_session_without_budgets_loads_nothing_heavy(project):
    project.write("conftest.py", f"def pytest_unconfigure():\n{LOADED.replace('{heavy}', repr(set(HEAVY)))}")
    project.write("test_it.py", "def test_it(): pass")
    without = ("-p", "no:xdist", "-p", "no:rerunfailures", "-p", "no:timeout")
    ran = project.run("-p", "tfmem", *without)
    assert ran.outcomes == {"test_it": "passed"}
    assert ran.notes == ["[]", "True"]


@pytest.mark.of_any_start_method
def test_asking_for_the_version_loads_nothing_heavy(project):
    ran = project.run("--version", "--version", "-p", "tfmem", interpreter=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in ran.errors.splitlines() if line.startswith("import time:")}
    assert "pytest_tfmem.settings" in imported
    assert imported & set(HEAVY) == set()


def test_a_test_finds_in_its_process_only_what_it_needs(project):
    project.write(
        "test_it.py",
        """
        import sys

        @budget(rss="16 GiB")
        def test_it():
            heavy = {"tensorflow", "numpy", "yaml", "pynvml", "rich", "sqlalchemy", "click", "psutil"}
            note(sorted(heavy & set(sys.modules)))
        """,
    )
    project.write("budgets.yaml", "version: 1\nbudgets:\n  - test: '**'\n    rss: 16 GiB\n")
    ran = project.run("-p", "no:xdist")
    assert ran.outcomes == {"test_it": "passed"}
    assert ran.notes_of_children() == ["[]"]
