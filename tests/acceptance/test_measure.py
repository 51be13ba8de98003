"""`tfmem.measure` and `tfmem.compare`: functions that a test has called and measured in processes of their own."""

from __future__ import annotations

import pytest

FUNCTIONS = """
    import functools, signal, subprocess, sys, threading, time
    from pathlib import Path
    from types import MappingProxyType
    from pytest_tfmem import RemoteError

    class Odd(Exception):
        def __init__(self, code):
            super().__init__(f"code {code}")
            self.code = code

    class Uncopiable(Exception):
        def __reduce__(self): raise RuntimeError("not to be copied")

    class Untold(Exception):
        __notes__ = 5

    def grow(mib, where=None):
        note(f"grow {mib}")
        kept = bytearray(b"1") * (mib << 20)
        print("grew", mib)
        return {"size": len(kept), "odd": (1, {2}, b"3", 1 << 70)}

    def keep(mib): return bytearray(b"1") * (mib << 20)
    def write(path, text): path.open("a").write(text)
    def fail(value): raise ValueError("no", value)
    def odd(): raise Odd(7)
    def uncopiable(): raise Uncopiable("boom")
    def untold(): raise Untold("boom")
    def meet(here, there):
        here.open("w").close()  # waits until another opens it to read, as the other way round
        there.open().close()
    def die(number): os.kill(os.getpid(), number)
    def leave(): os._exit(3)
    def skip(): pytest.skip("not here")
    def fail_it(): pytest.fail("as it should not be")
    def expected(): pytest.xfail("known")
    def end(pid, number):
        note(f"{os.getpid()}")
        os.kill(pid, number)
        time.sleep(60)
    def hang(): note(f"{os.getpid()}"); time.sleep(60)
    def variable(name): return os.environ.get(name)
    def warns(): import warnings; warnings.warn("mind this")
"""


def _is_over(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"Z"
    except FileNotFoundError:
        return True


def test_a_function_has_the_figures_of_a_test_and_what_came_of_it(project):
    project.write(
        "test_it.py",
        FUNCTIONS
        + """
    def test_figures(tfmem):
        grown = tfmem.measure(grow, 40, repeat=2)
        assert "39 MiB" < grown.rss_growth < "44 MiB"
        assert grown.rss_growth.least <= grown.rss_growth <= grown.rss_growth.most
        assert grown.rss > grown.rss_growth and grown["rss_anon"] > "40 MiB" and grown.rss_tree >= "40 MiB"
        assert not grown.gpu.is_measured
        assert grown.value == {"size": 40 << 20, "odd": (1, {2}, b"3", 1 << 70)}
        assert len(grown.measurements) == 2 and 0 < grown.seconds < 60
        assert grown.value_bytes < "10 KiB"
        kept = tfmem.measure(keep, mib=10, repeat=1)
        assert "10 MiB" <= kept.value_bytes < "10.1 MiB"
        with pytest.raises(pytest.fail.Exception, match="keep returned stays in its process: it takes 10"):
            kept.value

    def test_errors(tfmem):
        with pytest.raises(ValueError) as caught:
            tfmem.measure(fail, 7)
        assert caught.value.args == ("no", 7)
        assert "test_it.py" in caught.value.__notes__[-1] and "in fail" in caught.value.__notes__[-1]
        with pytest.raises(Odd, match="^code 7") as caught:
            tfmem.measure(odd)
        assert caught.value.code == 7
        with pytest.raises(RemoteError, match="Uncopiable: boom"):
            tfmem.measure(uncopiable)

    @budget(timeout=30)
    def test_thread(tfmem, tmp_path):
        here, there = tmp_path / "here", tmp_path / "there"
        os.mkfifo(here)
        os.mkfifo(there)
        def run():
            here.open().close()
            tfmem.checkpoint("beside")
            there.open("w").close()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert tfmem.measure(meet, here, there, repeat=1).value is None
        thread.join()

    @budget(timeout=30)
    def test_strange(tfmem):
        with pytest.raises(pytest.fail.Exception, match="no mapping.*; write runtime="):
            tfmem.compare(a=tfmem.call(odd), b=odd, runtime="growth")
        with pytest.raises(pytest.fail.Exception, match="no mapping"):
            tfmem.compare(a=tfmem.call(odd, runtime=3), b=odd)
        runtime = MappingProxyType({"gpus": 0})
        tfmem.compare(a=tfmem.call(keep, 1, runtime=runtime), b=functools.partial(keep, 1), repeat=1)

    def test_in_turn(tfmem, tmp_path):
        both = tfmem.compare(
            a=functools.partial(write, tmp_path / "in", "a"), b=tfmem.call(write, tmp_path / "in", text="b"),
            repeat=2,
        )
        assert (tmp_path / "in").read_text() == "abab"
        assert both.a is both["a"] and both.ratio("rss", "a", "b").least > 0.5

    def test_skip(tfmem): tfmem.measure(skip)
    def test_xfail(tfmem): tfmem.measure(expected)
    def test_fail(tfmem): tfmem.measure(fail_it)
    def test_warning(tfmem): tfmem.measure(warns, repeat=1)

    @pytest.fixture
    def grown(tfmem): return tfmem.measure(grow, 8, repeat=1)

    def test_fixture(grown): assert grown.rss_growth > "7 MiB"

    @budget(rss_growth="8 MiB", rss_tree="200 MiB")
    def test_own(tfmem): tfmem.measure(keep, 300, repeat=1)

    def text(size): return "x" * size

    @budget(rss_growth="12 MiB")
    def test_values(tfmem): assert len(tfmem.measure(text, 1_000_000, repeat=20).value) == 1_000_000

    def test_output(tfmem): tfmem.measure(grow, 1, repeat=1); assert not "shown"

    @pytest.mark.tf_runtime(env={"OF_TEST": "1"}, intra_op_threads=2)
    def test_runtime(tfmem):
        assert tfmem.measure(variable, "OF_TEST", repeat=1).value == "1"
        both = tfmem.compare(
            a=tfmem.call(variable, "TF_NUM_INTRAOP_THREADS", runtime={"intra_op_threads": 3}),
            b=tfmem.call(variable, "TF_NUM_INTRAOP_THREADS"), repeat=1,
        )
        assert (both.a.value, both.b.value) == ("3", "2")
    """,
    )
    ran = project.run("-v")
    assert ran.outcomes == {
        "test_figures": "passed",
        "test_errors": "passed",
        "test_thread": "passed",
        "test_strange": "passed",
        "test_in_turn": "passed",
        "test_skip": "skipped",
        "test_xfail": "xfailed",
        "test_fail": "failed",
        "test_warning": "passed",
        "test_fixture": "passed",
        "test_own": "passed",
        "test_values": "passed",
        "test_output": "failed",
        "test_runtime": "passed",
    }
    ran.stdout.fnmatch_lines(["*Captured stdout call*", "grew 1"])
    ran.stdout.fnmatch_lines(["*UserWarning: mind this"])
    grown, kept = ran.measured["test_figures"]["measured"]
    assert (grown["function"], grown["repeats"], len(grown["readings"])) == ("test_it.grow", 2, 2)
    assert grown["start_method"] == project.start_method
    assert kept["value_bytes"][0] > 10 << 20
    assert [side["side"] for side in ran.measured["test_in_turn"]["measured"]] == ["a", "b"]
    assert ran.measured["test_errors"]["measured"][0]["failed"] == "ValueError: ('no', 7)"
    assert len(ran.pids("grow 40")) == 2
    assert "beside" in [one["name"] for one in ran.measured["test_thread"]["timeline"]["checkpoints"]]


def test_a_process_that_does_not_end_well_fails_its_test_alone_in_one_sentence(project):
    project.write(
        "test_it.py",
        FUNCTIONS
        + """
    def test_untold(tfmem): tfmem.measure(untold)
    def test_segfault(tfmem): tfmem.measure(die, int(signal.SIGSEGV))
    def test_exit(tfmem): tfmem.measure(leave, repeat=2)
    def test_lambda(tfmem): tfmem.measure(lambda: 1)
    def test_argument(tfmem): tfmem.measure(keep, tfmem)
    def test_runtime(tfmem): tfmem.measure(keep, 1, runtime={"jit": 3})
    def test_parent(tfmem): tfmem.measure(end, os.getpid(), int(signal.SIGKILL))
    @budget(timeout=3)
    def test_timeout(tfmem): tfmem.measure(hang)
    @pytest.mark.timeout(3)
    def test_alarm(tfmem): tfmem.measure(hang)
    def test_garbage(tfmem, request):
        connected = request.config.pluginmanager.get_plugin("tfmem-child")._channel._socket
        signal.signal(signal.SIGUSR1, lambda *_: connected.sendall((4).to_bytes(8) + bytes([193] * 4)))
        tfmem.measure(end, os.getpid(), int(signal.SIGUSR1))
    def test_caught(tfmem):
        def stop(*_): raise InterruptedError
        signal.signal(signal.SIGUSR1, stop)
        with pytest.raises(InterruptedError):
            tfmem.measure(end, os.getpid(), int(signal.SIGUSR1))
        assert tfmem.measure(variable, "PATH", repeat=1).value
    """,
    )
    ran = project.run()
    outcomes = ran.outcomes
    assert outcomes.pop("test_caught") == "passed"
    assert set(outcomes.values()) == {"failed"}
    ran.stdout.fnmatch_lines(
        [
            "test_it.py:*: tfmem.measure(untold), 1 of 3: its process failed in call:",
            "test_it.py:*: tfmem.measure(die), 1 of 3: its process died of SIGSEGV in call: a segmentation fault*",
            "test_it.py:*: tfmem.measure(leave), 1 of 2: its process ended by itself in call, with exit status 3, *",
            "test_it.py:*: tfmem.measure: a lambda has no name: a fresh process * finds *; define it with def*",
            "test_it.py:*: tfmem.measure: argument 1 of keep is a *Tfmem, which does not go to another process;*",
            "test_it.py:*: tfmem.measure(keep), 1 of 3: runtime(jit=3) is not possible; jit is True or False",
            "the test's process died of SIGKILL in call*",
            "timeout: the test was still in call after 3 s, and was ended",
            "*Failed: Timeout*3.0s*",
            "the test's process sent something that is not a message of pytest-tfmem (*",
        ]
    )
    assert ran.measured["test_garbage"]["died"].startswith("the test's process sent something")
    assert all(_is_over(int(pid)) for pid in ran.notes if pid.isdecimal())
    assert sum(pid.isdecimal() for pid in ran.notes) == 5


@pytest.mark.of_any_start_method
def test_in_pytests_own_process_nothing_is_called_and_the_reason_is_said(project):
    project.write("test_it.py", FUNCTIONS + "\n    def test_it(tfmem): tfmem.measure(grow, 1)\n")
    ran = project.run("--no-tfmem", "-rs")
    assert ran.outcomes == {"test_it": "skipped"}
    ran.stdout.fnmatch_lines(["*tfmem.measure needs a fresh process: --no-tfmem runs tests in pytest's own process"])
    assert ran.notes == []


@pytest.mark.of_any_start_method
def test_workers_of_xdist_measure_for_their_tests(project):
    project.write("test_it.py", FUNCTIONS + "\n    def test_it(tfmem): assert tfmem.measure(grow, 1).value\n")
    ran = project.run("-n2")
    assert ran.outcomes == {"test_it": "passed"}
    assert len(ran.measured["test_it"]["measured"][0]["readings"]) == 3


def test_what_the_test_has_started_outlives_what_it_has_measured(project):
    project.write(
        "test_it.py",
        FUNCTIONS
        + """
    def is_there(pid):
        path = Path(f"/proc/{pid}/stat")
        return path.exists() and path.read_text().rpartition(")")[2].split()[0] != "Z"

    def leave_one_behind():
        subprocess.run(["sh", "-c", "setsid sleep 60 & echo $!"], stdout=open("left", "w"))

    def test_it(tfmem):
        leave_one_behind()
        own = int(Path("left").read_text())
        tfmem.measure(leave_one_behind, repeat=1)
        assert is_there(own)
        for number in range(5):  # more of other servers than are kept
            tfmem.measure(leave_one_behind, repeat=1, runtime={"env": {"NUMBER": str(number)}})
        assert is_there(own)
        note(f"{own}")
        assert not is_there(int(Path("left").read_text()))
    """,
    )
    ran = project.run()
    assert ran.outcomes == {"test_it": "passed"}
    assert _is_over(int(ran.notes[0]))
