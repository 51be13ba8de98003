"""A forked test finds its process as it would find a new interpreter that has imported its file; nobody else hears."""

from __future__ import annotations

import json
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")

FORCED = "--tfmem-start-method=forkserver"
ENDS = """
    import atexit, weakref

    class Held: pass

    held = Held()
    atexit.register(note, "atexit of the file")
    weakref.finalize(held, note, "finalizer of the file")

    @budget()
    @pytest.mark.parametrize("number", [1, 2])
    def test_it(number):
        test_it.held = Held()
        atexit.register(note, f"atexit of test {number}")
        weakref.finalize(test_it.held, note, f"finalizer of test {number}")
        note(f"test {number}")
"""
SESSION = """
    import atexit

    def pytest_sessionfinish(session): note("finish")
    def pytest_unconfigure(config): note("unconfigure")
    atexit.register(note, "atexit")
"""
FILES = """
    import logging, logging.handlers
    from pathlib import Path

    HERE = Path(__file__).parent
    reader = (HERE / "data.txt").open()
    halfway = (HERE / "data.txt").open()
    halfway.readline()
    raw = (HERE / "data.txt").open("rb", buffering=0)
    writer = (HERE / "written.txt").open("a")
    handler = logging.handlers.MemoryHandler(100, target=logging.FileHandler(HERE / "logged.txt"))
    logging.getLogger().addHandler(handler)

    @budget()
    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_it(number):
        assert reader.read() == "first\\nsecond\\nthird\\n"
        assert halfway.readline() == "second\\n"
        assert raw.read(5) == b"first"
        writer.write(f"written {number}\\n")
        logging.warning("logged %d", number)
"""
STATE = """
    import signal, sys, warnings

    STATE = []

    @pytest.fixture(scope="module")
    def of_module():
        note("set up")
        yield []
        note("torn down")

    @budget()
    @pytest.mark.parametrize("number", range(3))
    def test_it(number, of_module, monkeypatch, tmp_path):
        assert os.environ["FROM_THE_CONFTEST"] == "yes"
        assert "FROM_A_TEST" not in os.environ
        assert os.getcwd() == os.environ["STARTED_IN"]
        assert "/nowhere" not in sys.path
        assert STATE == of_module == []
        assert "colorsys" not in sys.modules
        assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
        import colorsys
        os.environ["FROM_A_TEST"] = "yes"
        del os.environ["FROM_THE_CONFTEST"]
        os.chdir(tmp_path)
        sys.path.append("/nowhere")
        STATE.append(number)
        of_module.append(number)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        note("ran")
"""
CRASHES = """
    import ctypes

    def fall_in_one(): ctypes.string_at(0)
    def fall_in_two(): ctypes.string_at(0)

    @budget()
    def test_one(): fall_in_one()

    @budget()
    def test_two(): fall_in_two()

    @budget()
    def test_three(): pass
"""
ONLY_IN_A_PROCESS_OF_ITS_OWN = """
    ours = None
    if "PYTEST_TFMEM_TOKEN" in os.environ:
        import ours
        ours.at_import(True)

    @budget()
    def test_here(): ours.in_a_test(True)

    @budget()
    def test_there(): ours.in_a_test(False)
"""
OURS = """
def at_import(yes):
    if yes:
        return 1
    return 2

def in_a_test(yes):
    if yes:
        return 3
    return 4

def nowhere():
    return 5
"""


@pytest.mark.of_any_start_method
def test_what_a_file_leaves_for_the_end_is_done_once_and_what_a_test_does_at_its_own(project):
    project.write("test_it.py", ENDS)
    ran = project.run(FORCED)
    assert ran.outcomes == {"test_it[1]": "passed", "test_it[2]": "passed"}
    for number in (1, 2):
        (test,) = ran.pids(f"test {number}")
        assert ran.pids(f"atexit of test {number}") == [test]
        assert ran.pids(f"finalizer of test {number}") == [test]
    (server,) = ran.servers
    assert sorted(ran.pids("atexit of the file")) == sorted([server, *ran.controllers])
    assert sorted(ran.pids("finalizer of the file")) == sorted([server, *ran.controllers])


@pytest.mark.of_any_start_method
def test_the_session_of_a_files_process_ends_once_for_all_tests_of_the_file(project):
    project.write("conftest.py", SESSION)
    for name in ("one", "two"):
        project.write(f"test_{name}.py", f"@budget()\n@pytest.mark.parametrize('n', [1, 2])\ndef test_{name}(n): pass")
    ran = project.run(FORCED)
    assert set(ran.outcomes.values()) == {"passed"}
    assert len(ran.children) == 4
    assert len(ran.servers) == 2
    for what in ("finish", "unconfigure", "atexit"):
        assert sorted(ran.pids(what)) == sorted([*ran.servers, *ran.controllers])


def test_files_that_were_open_are_each_tests_own(project):
    project.write("test_it.py", FILES)
    (project.path / "data.txt").write_text("first\nsecond\nthird\n")
    ran = project.run()
    assert list(ran.outcomes.values()) == ["passed"] * 3
    assert (project.path / "written.txt").read_text() == "written 1\nwritten 2\nwritten 3\n"
    assert (project.path / "logged.txt").read_text() == "logged 1\nlogged 2\nlogged 3\n"


@pytest.mark.of_any_start_method
def test_what_was_printed_at_import_is_printed_by_no_test(project, monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # or nothing would be held back
    project.write(
        "test_it.py",
        """
        import sys
        print("out at import", end=" ")
        print("err at import", end=" ", file=sys.stderr)
        sys.__stdout__.write("past at import ")

        @budget()
        @pytest.mark.parametrize("number", [1, 2, 3])
        def test_it(number):
            print("out of test", number)
            assert number == 2
        """,
    )
    captured = project.run(FORCED, "-rP")
    assert (captured.text + captured.errors).count("at import") == 1
    assert captured.text.count("past at import") == 1  # of pytest's own process
    for number in (1, 2, 3):
        assert captured.text.count(f"out of test {number}") == 1
    shown = project.run(FORCED, "-s")
    assert len(shown.servers) == 1
    for text in ("out at import", "err at import", "past at import"):
        assert (shown.text + shown.errors).count(text) == 2  # of pytest's own process and of the file's
    for number in (1, 2, 3):
        assert shown.text.count(f"out of test {number}\n") == 1


def test_the_traceback_of_a_crash_is_its_own_tests(project):
    project.write("test_it.py", CRASHES)
    ran = project.run()
    assert ran.outcomes == {"test_one": "failed", "test_two": "failed", "test_three": "passed"}
    one, two = (ran.text.partition(f"_ {name} _")[2] for name in ("test_one", "test_two"))
    one = one.partition("_ test_two _")[0]
    for text, crash, other in ((one, "one", "two"), (two, "two", "one")):
        assert text.count("Fatal Python error: Segmentation fault") == 1
        assert text.count(f"in fall_in_{crash}") == 1
        assert f"in fall_in_{other}" not in text
    assert "Fatal Python error" not in ran.errors


def test_lines_of_an_import_and_of_each_test_are_counted_where_the_test_ran(project):
    project.write(".coveragerc", "[run]\nbranch = true\nsource = .\npatch = subprocess\n")
    (project.path / "ours.py").write_text(OURS)
    project.write("test_it.py", ONLY_IN_A_PROCESS_OF_ITS_OWN)
    ran = project.run("--cov", "--cov-report=json", with_plugins=("pytest_cov",))
    assert set(ran.outcomes.values()) == {"passed"}
    counted = json.loads((project.path / "coverage.json").read_text())["files"]["ours.py"]
    assert counted["missing_lines"] == [5, 13]
    assert counted["missing_branches"] == [[3, 5]]
    assert [path.name for path in project.path.glob(".coverage*")] == [".coverage", ".coveragerc"]
    assert ran.errors == ""


def test_no_test_finds_what_the_one_before_it_has_changed(project, monkeypatch):
    monkeypatch.setenv("STARTED_IN", str(project.path))
    project.write("conftest.py", "if 'PYTEST_TFMEM_TOKEN' not in os.environ: os.environ['FROM_THE_CONFTEST'] = 'yes'")
    project.write("test_it.py", STATE)
    ran = project.run()
    assert list(ran.outcomes.values()) == ["passed"] * 3
    assert ran.notes == ["set up", "ran", "torn down"] * 3
    assert len(ran.children) == 3
    assert set(ran.pids("set up")) == set(ran.pids("torn down")) == ran.children
