"""pytest-xdist spreads the tests; each worker is the controller of those that it is given."""

from __future__ import annotations

import os

MODULE = """
    @pytest.fixture(scope="session")
    def shared(worker_id, testrun_uid):
        return f"{worker_id} {os.environ['PYTEST_XDIST_WORKER']}"

    @budget(rss="16 GiB")
    @pytest.mark.parametrize("number", range(3))
    def test_isolated(number, shared, worker_id):
        assert shared == f"{worker_id} {worker_id}"
        note(f"isolated {worker_id}")

    @budget(rss="1 MiB")
    def test_over(): pass

    def test_here(worker_id): note(f"here {worker_id}")
"""


def test_tests_are_spread_isolated_and_summed_up_as_without_xdist(project):
    project.write("test_it.py", MODULE)
    ran = project.run("-n2", "--tfmem-json=run.json", "--junitxml=report.xml")
    assert ran.outcomes == {
        **{f"test_isolated[{n}]": "passed" for n in range(3)},
        "test_over": "failed",
        "test_here": "passed",
    }
    assert len(ran.controllers) == 3
    assert len(ran.children) == 4
    assert sum(note.startswith("isolated gw") for note in ran.notes_of_children()) == 3
    assert {measured["verdict"] for measured in ran.measured.values()} == {"ok", "over"}
    ran.stdout.fnmatch_lines(["*= memory budgets =*", "over *test_over*", "measured 4 of 4 limits; 1 over"])
    assert (project.path / "run.json").exists()
    assert (project.path / "report.xml").read_text().count("tfmem.rss_bytes") == 4


def test_tests_of_one_scope_or_group_stay_with_one_worker(project):
    project.write(
        "test_it.py",
        """
        import os

        @budget()
        @pytest.mark.xdist_group("together")
        class TestOne:
            def test_one(self): note(f"one {os.getppid()}")
            def test_two(self): note(f"one {os.getppid()}")

        @budget()
        class TestTwo:
            def test_three(self): note(f"two {os.getppid()}")
            def test_four(self): note(f"two {os.getppid()}")
        """,
    )
    ran = project.run("-n2", "--dist=loadscope")
    assert set(ran.outcomes.values()) == {"passed"}
    assert len(set(ran.notes_of_children())) == 2
    ran = project.run("-n2", "--dist=loadgroup", "--maxprocesses=2", "-k", "TestOne")
    assert {name.partition("@")[0] for name in ran.outcomes} == {"test_one", "test_two"}
    if "@" in ran.nodeids[0]:  # xdist 3.8 loses the groups on pytest 9.2, with us and without
        assert len(set(ran.notes_of_children())) == 1


def test_workers_in_another_folder_with_files_of_their_own(project):
    project.write("tests/test_it.py", "@budget()\ndef test_it(): note(__file__); note(os.getcwd())")
    elsewhere = project.path / "elsewhere"
    elsewhere.mkdir()
    ran = project.run("-d", f"--tx=popen//chdir={elsewhere}", "--rsyncdir=tests", str(project.path / "tests"))
    assert ran.outcomes == {"test_it": "passed"}
    assert ran.notes_of_children() == [str(elsewhere / "tests" / "test_it.py"), str(elsewhere)]


def test_workers_given_one_by_one(project):
    project.write("test_it.py", "@budget()\ndef test_it(): pass\n\n@budget()\ndef test_two(): pass")
    ran = project.run("--tx=2*popen", "--dist=load")
    assert len(ran.controllers) == 3
    assert ran.outcomes == {"test_it": "passed", "test_two": "passed"}
    assert len(ran.children) == 2


def test_stopping_early_and_failing_setups_under_xdist(project):
    project.write(
        "test_it.py",
        """
        @pytest.fixture
        def broken(): raise OSError("broken")

        @budget()
        @pytest.mark.parametrize("number", range(9))
        def test_errs(broken, number): pass
        """,
    )
    ran = project.run("-n1", "--maxfail=2")
    assert list(ran.outcomes.values()).count("error") < 9
    assert ran.returncode == 2
    ran.stdout.fnmatch_lines(["*OSError: broken*", "*stopping after 2 failures*"])


def test_a_plugin_that_sends_output_from_its_worker_does_so_with_isolated_tests(project):
    project.write(
        "conftest.py",
        """
        def pytest_configure_node(node): node.workerinput["given"] = {"by": ["the controller"]}
        def pytest_testnodedown(node): note(node.workeroutput["from"])
        def pytest_sessionfinish(session):
            if hasattr(session.config, "workeroutput"):
                session.config.workeroutput["from"] = "a worker"

        @pytest.fixture
        def given(request): return request.config.workerinput["given"]
        """,
    )
    project.write("test_it.py", "@budget()\ndef test_it(given): assert given == {'by': ['the controller']}")
    ran = project.run("-n1")
    assert ran.outcomes == {"test_it": "passed"}
    assert ran.notes == ["a worker"]
    assert os.getpid() not in ran.controllers
