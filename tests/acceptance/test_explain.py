"""--tfmem-explain: a test that is over a host limit is run once more, and says what held its memory.

Nothing that goes wrong in that second run changes what came of the first.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

import psutil
import pytest

pytest.importorskip("memray")

# Each of these tests is over its limit in its first run; the file in the folder tells that one from the second.
TESTS = """
    import pathlib
    import time

    KEPT = []


    def load():
        KEPT.append(bytearray(24 << 20))


    def is_first(name):
        file = pathlib.Path(name)
        is_first = not file.exists()
        file.touch()
        return is_first


    @budget(rss_growth="8 MiB")
    def test_over(tmp_path):
        (tmp_path / "left").touch()
        assert len(list(tmp_path.iterdir())) == 1
        load()


    @budget(rss_growth="8 MiB")
    def test_within():
        note("within")


    @budget(rss_growth="8 MiB")
    def test_smaller_again():
        if is_first("smaller"):
            load()


    @budget(rss_growth="8 MiB")
    def test_dies_again():
        load()
        if not is_first("dies"):
            os._exit(3)


    @budget(rss_growth="8 MiB")
    def test_fails_again():
        load()
        assert is_first("fails")


    @budget(rss_growth="8 MiB", timeout=5)
    def test_hangs_again():
        load()
        if not is_first("hangs"):
            time.sleep(600)


    @budget(rss_growth="8 MiB", level="warn")
    def test_warned():
        load()


    @pytest.fixture
    def broken():
        yield
        raise ValueError("in teardown")


    @budget(rss_growth="8 MiB")
    def test_over_and_torn_down_badly(broken):
        load()
"""
EXPECTED = {
    "test_over": "failed",
    "test_within": "passed",
    "test_smaller_again": "failed",
    "test_dies_again": "failed",
    "test_fails_again": "failed",
    "test_hangs_again": "failed",
    "test_warned": "passed",
    "test_over_and_torn_down_badly": "failed error",
}


def explained(ran, name):
    (one,) = ran.measured[name]["explanations"]
    return one


def place_of(text, project):
    lines = (project.path / "test_a.py").read_text(encoding="utf-8").splitlines()
    return f"test_a.py:{1 + next(at for at, line in enumerate(lines) if text in line)}"


@pytest.fixture
def ran(project):
    project.write("test_a.py", TESTS)
    return project.run("--tfmem-explain", "--junitxml=junit.xml", "-v")


def test_a_breach_is_explained_and_no_fault_of_a_second_run_changes_a_result(ran, project):
    assert ran.outcomes == EXPECTED
    held = explained(ran, "test_over")
    (largest, *_) = held["holders"]
    assert (largest["what"], largest["where"], largest["bytes"] >> 20) == ("load", place_of("KEPT.append", project), 24)
    assert held["source"] == "memray"
    assert held["seconds"] > 0
    assert not ran.measured["test_within"]["explanations"]
    assert ran.notes_of_children() == ["within"]
    failed = {name: explained(ran, name).get("failed", "") for name in EXPECTED if name != "test_within"}
    assert failed.pop("test_smaller_again").startswith("the second run added ")
    assert failed.pop("test_dies_again").startswith("the second run ended early: the test's process ended")
    assert failed.pop("test_fails_again") == "the second run of the test did not pass"
    assert failed.pop("test_hangs_again").startswith("the second run ended early: timeout")
    assert failed.pop("test_over_and_torn_down_badly") == "the second run of the test did not pass"
    assert set(failed.values()) == {""}
    _is_shown_where_people_look(ran, project)


def _is_shown_where_people_look(ran, project):
    """In the failure's text, so in JUnit too; and the flame graph beside the run file."""
    place = place_of("KEPT.append", project)
    ran.stdout.fnmatch_lines(
        [
            "*- what held the memory -*",
            "alive at the peak of rss_growth: 2[45].* MiB by memray's count, *",
            f"*{place} load*",
        ]
    )
    cases = {case.get("name"): case for case in ET.parse(project.path / "junit.xml").iter("testcase")}
    assert f"{place} load" in cases["test_over"].find("failure").text
    assert cases["test_within"].find("failure") is None
    kept = project.path / ".tfmem/runs" / explained(ran, "test_over")["flame_graph"]
    assert f"load {place}: 24.0 MiB" in kept.read_text(encoding="utf-8")


@pytest.mark.of_any_start_method
def test_a_worker_of_xdist_explains_its_tests(project):
    project.write("test_a.py", TESTS)
    ran = project.run("test_a.py::test_over", "-n1", "--tfmem-explain", with_plugins=["xdist"])
    assert explained(ran, "test_over")["holders"][0]["what"] == "load"
    ran.stdout.fnmatch_lines(["*- what held the memory -*"])


@pytest.mark.of_any_start_method
def test_what_was_not_held_in_an_earlier_run_is_new(project):
    text = """
        import sys

        def load(size):
            return bytearray(size)

        @budget(rss_growth="40 MiB")
        def test_copy():
            kept = load(16 << 20)
            %s
    """
    project.write("test_a.py", text % "pass")
    before = project.run("--tfmem-explain=always")
    assert before.outcomes == {"test_copy": "passed"}
    assert explained(before, "test_copy")["holders"][0].get("new") is None
    project.write("test_a.py", text % "copied = bytes(kept) + bytes(kept)")
    now = project.run("--tfmem-explain")
    new = {holder["what"] for holder in explained(now, "test_copy")["holders"] if holder.get("new")}
    assert new == {"test_copy"}
    now.stdout.fnmatch_lines(["*of it is new since *", "*new *test_a.py:14 test_copy*"])


@pytest.mark.of_any_start_method
@pytest.mark.parametrize(
    ("conftest", "why"),
    [
        ("import sys; sys.modules['memray'] = None", "memray is not installed (pip install 'pytest-tfmem[explain]')"),
        (
            """
            @pytest.hookimpl(wrapper=True)
            def pytest_runtest_setup(item):
                import memray
                with memray.Tracker(os.devnull):
                    return (yield)
            """,
            "the second run ended early: memray did not start: ",
        ),
    ],
    ids=["missing", "taken"],
)
def test_without_memray_the_reason_stands_in_place_of_the_explanation(project, conftest, why):
    project.write("conftest.py", conftest)
    project.write("test_a.py", TESTS)
    ran = project.run("test_a.py::test_over", "--tfmem-explain")
    assert ran.outcomes == {"test_over": "failed"}
    assert explained(ran, "test_over")["failed"].startswith(why)
    ran.stdout.fnmatch_lines(["alive at the peak of rss_growth: not explained: *"])


@pytest.mark.of_any_start_method
def test_a_file_that_stands_after_the_option_is_not_taken_for_its_value_in_silence(project):
    project.write("test_a.py", TESTS)
    ran = project.run("--tfmem-explain", "test_a.py")
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--tfmem-explain=breach" in ran.errors


def test_ctrl_c_in_the_second_run_leaves_the_result_of_the_first_and_ends_the_session(project):
    project.write("conftest.py", "os.environ.setdefault('TO_BE_INTERRUPTED', str(os.getpid()))")
    project.write(
        "test_a.py",
        """
        import pathlib, signal

        @pytest.fixture
        def around():
            yield
            note("torn down")

        @budget(rss_growth="8 MiB")
        def test_over(around):
            held = bytearray(24 << 20)
            if pathlib.Path("once").exists():
                pathlib.Path("second").write_text(str(os.getpid()))
                os.kill(int(os.environ["TO_BE_INTERRUPTED"]), signal.SIGINT)
                signal.alarm(60)  # it is not to outlive a test that fails
                signal.pause()
            pathlib.Path("once").touch()

        @budget
        def test_after():
            note("after")
        """,
    )
    ran = project.run("--tfmem-explain")
    assert (ran.returncode, ran.outcomes) == (pytest.ExitCode.INTERRUPTED, {"test_over": "failed"})
    assert ran.notes == ["torn down"]
    assert explained(ran, "test_over")["failed"] == "interrupted"
    ran.stdout.fnmatch_lines(
        [
            "memory budget exceeded: rss_growth 2*",
            "alive at the peak of rss_growth: not explained: interrupted",
            "measured 1 of 1 limit; 1 over",
            "*! Interrupted: what held the memory of test_a.py::test_over is not explained !*",
        ]
    )
    assert not psutil.pid_exists(int((project.path / "second").read_text()))
    assert not [*project.path.rglob("*-explain")]


AGAIN = """
    from pathlib import Path

    KEPT = []


    @budget(rss_growth="8 MiB")
    def test_over():
        note("over")
        KEPT.append(bytearray(24 << 20))


    @budget(rss_growth="8 MiB")
    def test_within_at_last():
        note("within at last")
        tried = Path("tried")
        tried.write_text(tried.read_text() + "x" if tried.exists() else "x")
        if len(tried.read_text()) < 3:
            KEPT.append(bytearray(24 << 20))
"""


@pytest.mark.of_any_start_method
@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_of_several_attempts_the_last_is_explained_if_it_is_over(project, workers):
    project.write("test_a.py", AGAIN)
    ran = project.run("--reruns=2", "--tfmem-explain", "--junitxml=junit.xml", *workers, with_plugins=["xdist"])
    assert ran.outcomes == {"test_over": "rerun rerun failed", "test_within_at_last": "rerun rerun passed"}
    assert len(set(ran.pids("over"))) == 3 + 1
    assert len(set(ran.pids("within at last"))) == 3
    place = place_of("KEPT.append", project)
    assert explained(ran, "test_over")["holders"][0]["where"] == place
    assert not ran.measured["test_within_at_last"]["explanations"]
    (told,) = [case for case in ET.parse(project.path / "junit.xml").iter("failure") if "what held" in case.text]
    assert f"{place} test_over" in told.text
    assert ran.text.count("- what held the memory -") == 1


@pytest.mark.of_any_start_method
def test_of_several_attempts_whose_teardown_is_over_the_last_is_explained(project):
    project.write(
        "test_a.py",
        """
        KEPT = []

        @pytest.fixture
        def late():
            yield
            note("late")
            KEPT.append(bytearray(24 << 20))

        @budget(rss_growth="8 MiB")
        def test_late(late): pass
        """,
    )
    ran = project.run("--reruns=1", "--tfmem-explain")
    assert ran.returncode == 1
    assert len(set(ran.pids("late"))) == 2 + 1
    assert explained(ran, "test_late")["holders"][0]["where"] == place_of("KEPT.append", project)
    assert ran.text.count("- what held the memory -") == 1
