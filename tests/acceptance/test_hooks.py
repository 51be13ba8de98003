"""A user's conftest and plugins see an isolated test where it runs, and the session where it is held."""

from __future__ import annotations

HOOKS = """
    def pytest_runtest_setup(item): note(f"{__name__} setup {item.name}")
    def pytest_runtest_call(item): note(f"{__name__} call {item.name}")
    def pytest_runtest_teardown(item): note(f"{__name__} teardown {item.name}")
"""


def test_runtest_hooks_of_nested_conftests_are_called_in_the_tests_process_only(project):
    project.write("conftest.py", HOOKS)
    project.write("inner/conftest.py", HOOKS)
    project.write("inner/test_it.py", "@budget()\ndef test_isolated(): note('body')\n\ndef test_here(): note('body')")
    here = project.run("--no-tfmem")
    there = project.run()
    assert there.outcomes == here.outcomes
    assert there.notes == here.notes
    assert there.notes_of_children() == here.notes[:7]
    assert there.notes_of_controllers() == here.notes[7:]


def test_the_sessions_own_hooks_are_called_in_the_controller_with_every_report(project):
    project.write(
        "conftest.py",
        """
        def pytest_runtest_logstart(nodeid): note(f"start {nodeid}")
        def pytest_runtest_logreport(report): note(f"{report.when} {report.outcome}")
        def pytest_runtest_logfinish(nodeid): note(f"finish {nodeid}")
        def pytest_sessionfinish(session): note(f"finished {session.testscollected} {session.testsfailed}")
        """,
    )
    project.write("test_it.py", "@budget()\ndef test_fails(): assert 0")
    ran = project.run()
    assert ran.notes_of_controllers() == [
        "start test_it.py::test_fails",
        "setup passed",
        "call failed",
        "teardown passed",
        "finish test_it.py::test_fails",
        "finished 1 1",
    ]


def test_a_hook_that_wraps_makereport_or_changes_items_works_on_isolated_tests(project):
    project.write(
        "conftest.py",
        """
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.memory_budget())

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            if call.when == "call":
                item.failed_for = repr(call.excinfo.value) if call.excinfo else None
                report.user_properties.append(("seen", item.name))
            return report

        def pytest_runtest_teardown(item):
            note(item.failed_for)
        """,
    )
    project.write("test_it.py", "def test_marked_by_a_hook(): raise OSError('broken')")
    ran = project.run_both_ways()
    assert ran.notes_of_children() == ["OSError('broken')"]


def test_plugins_of_every_way_in_are_loaded_in_the_tests_process(project, monkeypatch):
    plugin = "def pytest_runtest_call(item): note(__name__)"
    for way in ("by_option", "by_variable", "by_conftest"):
        project.write(f"{way}.py", plugin)
    project.write("conftest.py", "pytest_plugins = ['by_conftest']")
    project.write(
        "test_it.py", "@budget()\ndef test_it(request): assert request.config.pluginmanager.hasplugin('by_option')"
    )
    monkeypatch.setenv("PYTEST_PLUGINS", "by_variable")
    ran = project.run("-p", "by_option", "-p", "no:cacheprovider")
    assert ran.outcomes == {"test_it": "passed"}
    assert sorted(ran.notes_of_children()) == ["by_conftest", "by_option", "by_variable"]
    assert ran.notes_of_controllers() == []


def test_session_ends_by_the_tests_wish(project):
    project.write(
        "test_it.py",
        """
        @budget()
        def test_stops(request): request.session.shouldstop = "enough"

        @budget()
        def test_never(): note("never")
        """,
    )
    ran = project.run()
    assert ran.outcomes == {"test_stops": "passed"}
    assert ran.returncode == 2
    ran.stdout.fnmatch_lines(["*enough*"])
    project.write("test_it.py", "@budget()\ndef test_exits(): pytest.exit('done here', returncode=7)")
    ran = project.run()
    assert ran.returncode == 7
    ran.stdout.fnmatch_lines(["*done here*"])
