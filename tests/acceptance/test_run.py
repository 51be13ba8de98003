"""`tfmem run`: a program runs as python would run it, and is measured however it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import msgspec
import psutil
import pytest

from pytest_tfmem.figures import NotMeasured, Reading
from tests.acceptance.programs import Folder

MIB = 1 << 20
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="by what Linux tells of processes and signals")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


# --- as python runs it --------------------------------------------------------------------------------------------

TELLS = """
    import sys
    import beside
    def f(): pass
    print(__name__, __file__, __package__, __doc__, __spec__ and __spec__.name, type(__loader__).__name__)
    print(sys.argv, sys.path, f.__module__, sys.modules["__main__"].__dict__ is globals())
    print(sorted(globals()))
    print(input(), file=sys.stderr)
    sys.stderr.flush()
    sys.exit(3)
"""


def same_as_python(folder, *words, stdin=""):
    """What the program itself says and how it ends; its standard error without what is said of its memory."""
    ours, theirs = folder.run(*words, stdin=stdin), folder.python(*words, stdin=stdin)
    said, _, told = ours.stderr.partition("\nmemory of ")
    assert told
    assert (ours.returncode, ours.stdout, said) == (theirs.returncode, theirs.stdout, theirs.stderr)
    return theirs


def test_a_script_finds_what_it_finds_under_python(folder):
    folder.write("inside/beside.py", "")
    folder.write("inside/tells.py", TELLS)
    assert same_as_python(folder, "inside/tells.py", "--limit", "a b", stdin="said\n").returncode == 3


def test_so_do_a_module_a_package_and_a_folder(folder):
    folder.write("beside.py", "")
    folder.write("package/__init__.py", "")
    for name in ("package/part.py", "package/__main__.py"):
        folder.write(name, TELLS)
    folder.write("folder/beside.py", "")
    folder.write("folder/__main__.py", TELLS)
    for words in (("-m", "package.part", "-x"), ("-m", "package", "1"), ("folder", "2")):
        assert same_as_python(folder, *words, stdin="said\n").returncode == 3
    assert folder.measured().nodeid == "folder"


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    1 / 0\nf()",
        "x = = 3",
        "import sys\nsys.exit('no good')",
        "raise KeyboardInterrupt",
        "import sys\nsys.excepthook = lambda *_: print('mine')\nraise ValueError",
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise RuntimeError('again') from error",
        "import os\nos.kill(os.getpid(), 15)",
        "import threading\nthreading.Thread(target=lambda: 1 / 0, name='t').start()",
        "import nothing_of_the_kind",
    ],
)
def test_it_ends_as_it_would_and_shows_no_line_of_ours(folder, code):
    folder.write("a.py", code)
    ours, theirs = folder.run("a.py"), folder.python("a.py")
    said, _, told = ours.stderr.partition("\nmemory of ")
    assert told
    status = theirs.returncode if theirs.returncode >= 0 else 128 - theirs.returncode
    assert (ours.returncode, said) == (status, theirs.stderr)


def test_processes_that_it_starts_find_it_again(folder):
    folder.write(
        "a.py",
        """
        import multiprocessing

        class Kept:
            value = 7

        def work(kept):
            held = bytearray(b"x") * (64 << 20)
            return kept.value + (len(held) >> 20)

        if __name__ == "__main__":
            for method in ("spawn", "fork"):
                with multiprocessing.get_context(method).Pool(1) as pool:
                    print(pool.map(work, [Kept()]))
        """,
    )
    done = folder.run("a.py")
    assert (done.returncode, done.stdout) == (0, "[71]\n[71]\n")
    readings = folder.measured().readings
    assert readings["rss_growth"].bytes < 32 * MIB
    assert readings["rss_tree"].bytes > readings["rss"].bytes + 60 * MIB


# --- what is measured ---------------------------------------------------------------------------------------------


def test_the_peak_is_of_all_that_the_program_does(folder):
    folder.write(
        "a.py",
        """
        import atexit, threading

        def hold(size):
            bytearray(b"x") * (size << 20)

        hold(40)
        atexit.register(hold, 160)
        threading.Timer(0.01, hold, [80]).start()
        """,
    )
    assert folder.run("a.py").returncode == 0
    test = folder.measured()
    assert test.readings["rss_growth"].bytes == pytest.approx(160 * MIB, abs=4 * MIB)
    assert (test.outcome, test.start_method, test.where) == ("passed", "spawn", "a.py:1")
    assert list(test.phases) == ["call"]
    assert [point.name for point in test.timeline.checkpoints] == ["call", "end"]
    assert "test" not in json.dumps(msgspec.to_builtins(test.readings))


def test_what_it_holds_before_its_first_statement_is_no_growth(folder):
    folder.write("a.py", "")
    assert folder.run("a.py").returncode == 0
    readings = folder.measured().readings
    assert readings["rss_growth"].bytes < 2 * MIB
    assert readings["rss"].bytes < 40 * MIB  # pytest alone would be half of that


def test_a_limit_that_is_passed_has_a_status_of_its_own(folder):
    folder.write("a.py", "import sys\nheld = bytearray(b'x') * (64 << 20)\nsys.exit(len(sys.argv) - 1)")
    done = folder.run("--limit", "rss_growth=32 MiB", "--limit", "rss=4GiB", "a.py")
    assert done.returncode == 121
    assert "memory budget exceeded: rss_growth 64" in done.stderr
    test = folder.measured()
    assert (test.outcome, test.breached, test.verdict) == ("failed", True, "over")
    assert test.verdicts == {"rss_growth": "over", "rss": "ok"}
    assert folder.run("--limit", "rss_growth=32 MiB", "a.py", "more").returncode == 1  # its own comes first


def test_a_limit_that_cannot_be_judged_is_not_green(folder):
    folder.write("a.py", "")
    done = folder.run("--gpu", "off", "--limit", "gpu=1GiB", "a.py")
    assert done.returncode == 122
    assert "not measured: switched off by --gpu=off" in done.stderr


def test_the_runtime_is_in_force(folder):
    folder.write("a.py", "import os\nprint(os.environ['TF_NUM_INTRAOP_THREADS'], os.environ['A'])")
    done = folder.run("--runtime", "intra_op_threads=3", "--runtime", "env={A: b}", "a.py")
    assert done.stdout == "3 b\n"
    assert folder.measured().runtime == {"intra_op_threads": "3"}


def test_tensorflow_is_measured_as_in_a_test(folder):
    folder.write(
        "a.py",
        """
        import tensorflow as tf
        tf.config.set_visible_devices([], "GPU")
        held = tf.ones((64 << 18,))
        print(float(held[0]))
        """,
    )
    done = folder.run("--runtime", "cpu_allocator=bfc", "a.py", environment={"TF_CPP_MIN_LOG_LEVEL": "3"})
    assert (done.returncode, done.stdout) == (0, "1.0\n")
    readings = folder.measured().readings
    assert readings["cpu_tensors"].bytes == pytest.approx(64 * MIB, abs=MIB)
    assert readings["rss_growth"].bytes > 200 * MIB  # its import is the program's own


def test_other_commands_read_what_it_writes(folder):
    folder.write("a.py", "held = bytearray(b'x') * (8 << 20)")
    assert folder.run("--limit", "rss=1GiB", "a.py").returncode == 0
    page = folder.path / "report.html"
    for words in (("report", "run.json", "-o", str(page)), ("export", "run.json", "--format", "csv")):
        with folder.start([sys.executable, "-m", "pytest_tfmem", *words]) as process:
            out, err = process.communicate()
        assert process.returncode == 0, err
    assert "a.py" in out
    assert "a.py" in page.read_text(encoding="utf-8")


@pytest.mark.skipif(find_spec("memray") is None, reason="memray is not installed")
def test_what_held_its_memory_is_told_by_a_second_run_that_nobody_hears(folder):
    folder.write("a.py", "def load():\n    return bytearray(b'x') * (64 << 20)\n\nheld = load()\nprint('once')")
    done = folder.run("--explain", "--limit", "rss_growth=8MiB", "a.py")
    assert (done.returncode, done.stdout) == (121, "once\n")
    (explanation,) = folder.measured().explanations
    assert (explanation.figure, explanation.holders[0].where) == ("rss_growth", "a.py:2")
    assert (folder.path / explanation.flame_graph).is_file()
    assert "a.py:2 load" in done.stderr


@pytest.mark.skipif(find_spec("memray") is None, reason="memray is not installed")
def test_a_script_of_another_folder_is_explained_by_its_own_lines(folder, tmp_path_factory):
    script = tmp_path_factory.mktemp("elsewhere") / "a.py"
    script.write_text("held = bytearray(b'x') * (64 << 20)\n")
    done = folder.run("--explain", "--limit", "rss_growth=8MiB", str(script))
    assert done.stderr.count("a.py once more") == 1
    (explanation,) = folder.measured().explanations
    assert explanation.holders[0].where == "a.py:1"


def test_a_second_run_that_does_not_come_is_not_announced(folder):
    folder.write("a.py", "held = bytearray(b'x') * (64 << 20)\nraise SystemExit(3)")
    done = folder.run("--explain", "--limit", "rss_growth=8MiB", "a.py")
    assert done.returncode == 3
    assert "once more" not in done.stderr


@linux_only
@pytest.mark.skipif(find_spec("memray") is None, reason="memray is not installed")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 121), (signal.SIGTERM, 143)])
def test_who_does_not_wait_for_its_explanation_ends_it(folder, number, status):
    """While memray's file is read, which a module that Python imports first holds up."""
    os.mkfifo(folder.path / "reached")
    folder.write(
        "sitecustomize.py",
        """
        import signal, sys
        if any(word.endswith("capture.memray") for word in sys.orig_argv):
            with open("reached", "w") as reached:
                print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), file=reached)
            signal.alarm(30)  # it is not to outlive a test that fails
            signal.pause()
        """,
    )
    folder.write("a.py", "held = bytearray(b'x') * (64 << 20)")
    path = os.pathsep.join([str(folder.path), os.environ.get("PYTHONPATH", "")])
    command = folder.command("--explain", "--limit", "rss_growth=8MiB", "a.py")
    with folder.start(command, environment={"PYTHONPATH": path}) as process:
        blocked = (folder.path / "reached").read_text()
        process.send_signal(number)
        _, err = process.communicate()
    assert (blocked, process.returncode) == ("[]\n", status)
    assert ("memory of a.py" in err) == (number == signal.SIGINT)


IS_INTERRUPTED_THE_SECOND_TIME = """
    import os, signal, sys

    def tell(*_):
        os.write(signs, b"%d\\n" % os.getpid())

    held = bytearray(b"x") * (64 << 20)
    if not os.path.exists("once"):
        open("once", "w").close()
    else:
        signs = os.open("signs", os.O_WRONLY)
        if sys.argv[1:]:
            signal.signal(signal.SIGINT, tell)
        signal.alarm(60)  # it is not to outlive a test that fails
        tell()
        while True:
            signal.pause()
"""


def check_that_it_is_reported_and_nothing_is_left(folder, pid, err, left):
    assert "memory of a.py" in err
    assert "alive at the peak of rss_growth: not explained: interrupted" in err
    test = folder.measured()
    assert test.readings["rss_growth"].bytes == pytest.approx(64 * MIB, abs=4 * MIB)
    assert [one.failed for one in test.explanations] == ["interrupted"]
    assert not is_alive(pid)
    assert left == []


@linux_only
@pytest.mark.skipif(find_spec("memray") is None, reason="memray is not installed")
def test_ctrl_c_in_the_second_run_ends_that_and_what_was_measured_is_reported(folder, tmp_path_factory):
    import pty

    scratch = tmp_path_factory.mktemp("scratch")
    folder.write("a.py", IS_INTERRUPTED_THE_SECOND_TIME)
    os.mkfifo(folder.path / "signs")
    us, terminal = pty.fork()
    if not us:
        os.chdir(folder.path)
        os.environ |= {"TMPDIR": str(scratch), "COLUMNS": "160"}
        command = folder.command("--explain", "--limit", "rss_growth=8MiB", "a.py")
        os.execv(sys.executable, command)
    with (folder.path / "signs").open() as signs:
        pid = int(signs.readline())
    os.write(terminal, b"\x03")
    said = read_until(terminal, b"not explained: interrupted").decode()
    assert os.waitstatus_to_exitcode(os.waitpid(us, 0)[1]) == 121
    os.close(terminal)
    check_that_it_is_reported_and_nothing_is_left(folder, pid, said, [*scratch.iterdir()])


@linux_only
@pytest.mark.skipif(find_spec("memray") is None, reason="memray is not installed")
def test_a_second_run_that_takes_no_notice_of_ctrl_c_ends_with_the_next(folder, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("scratch")
    folder.write("a.py", IS_INTERRUPTED_THE_SECOND_TIME)
    os.mkfifo(folder.path / "signs")
    command = folder.command("--explain", "--limit", "rss_growth=8MiB", "a.py", "takes no notice")
    with folder.start(command, environment={"TMPDIR": str(scratch)}) as process:
        with (folder.path / "signs").open() as signs:
            pid = int(signs.readline())
            process.send_signal(signal.SIGINT)
            assert signs.readline() == f"{pid}\n"
            process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 121
    check_that_it_is_reported_and_nothing_is_left(folder, pid, err, [*scratch.iterdir()])


# --- however it ends ----------------------------------------------------------------------------------------------

HOLDS = "held = bytearray(b'x') * (96 << 20)\n"


def of_peak(reading):
    assert isinstance(reading, Reading)
    return reading.bytes == pytest.approx(96 * MIB, rel=0.4)


@linux_only
@pytest.mark.parametrize(
    ("code", "status", "died", "note"),
    [
        ("import os\nos._exit(0)", 0, "", "did not come to say what it held"),
        ("import os\nos._exit(9)", 9, "", "did not come to say what it held"),
        ("import os\nos.kill(os.getpid(), 9)", 137, "the program died of SIGKILL", ""),
        ("import ctypes\nctypes.string_at(0)", 139, "the program died of SIGSEGV", ""),
        ("import os\nos.closerange(3, 100)", 0, "", "did not come to say what it held"),
    ],
)
def test_cut_off_it_leaves_what_was_seen_and_counted(folder, code, status, died, note):
    folder.write("a.py", HOLDS + code)
    assert folder.run("a.py").returncode == status
    test = folder.measured()
    assert test.died.startswith(died)
    assert bool(test.died) == bool(died)
    assert note in "".join(test.notes)
    assert test.phases == {}
    assert of_peak(test.readings["rss_growth"])
    assert test.readings["rss"].exactness == "upper-bound"  # the system's own count, which no sample can miss


@linux_only
def test_of_one_that_became_another_it_says_so(folder):
    folder.write("b.py", "import time\n" + HOLDS + "time.sleep(0.4)\nprint('another')")
    folder.write("a.py", "import os, sys\nos.execv(sys.executable, [sys.executable, 'b.py'])")
    done = folder.run("a.py")
    assert (done.returncode, done.stdout) == (0, "another\n")
    test = folder.measured()
    assert "gave its place to another" in "".join(test.notes)
    assert isinstance(test.readings["rss_growth"], NotMeasured)
    assert of_peak(test.readings["rss"])


@linux_only
def test_what_it_leaves_running_is_told_and_left_alone(folder):
    folder.write("a.py", "import subprocess\nprint(subprocess.Popen(['sleep', '60'], stdout=2).pid)")
    done = folder.run("a.py", stderr=subprocess.DEVNULL)
    pid = int(done.stdout)
    try:
        (note,) = folder.measured().notes
        assert f"1 process that it started still runs (pid {pid})" in note
        os.kill(pid, 0)
    finally:
        os.kill(pid, signal.SIGKILL)


@linux_only
def test_a_fork_of_it_says_nothing_in_its_place(folder):
    folder.write("a.py", "import os, sys\nif not os.fork():\n    sys.exit(5)\nos.wait()\n" + HOLDS)
    assert folder.run("a.py").returncode == 0
    assert of_peak(folder.measured().readings["rss_growth"])


@linux_only
def test_its_time_is_limited_and_its_children_end_with_it(folder):
    folder.write(
        "a.py",
        """
        import subprocess
        child = subprocess.Popen(["sleep", "60"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        print(child.pid, flush=True)
        child.wait()
        """,
    )
    done = folder.run("--timeout", "0.5", "a.py")
    assert done.returncode == 124
    assert not is_alive(int(done.stdout))
    assert folder.measured().died == "timeout: the program still ran after 0.5 s, and was ended"


@linux_only
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_that_is_sent_to_us_is_the_programs(folder, number):
    folder.write(
        "a.py",
        """
        import signal, sys
        got = []
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, lambda number, _: got.append(number))
        print("ready", flush=True)
        signal.pause()
        print(got[0])
        sys.exit(5)
        """,
    )
    with folder.start(folder.command("a.py")) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, _ = process.communicate()
    assert (process.returncode, out) == (5, f"{number:d}\n")
    assert list(folder.measured().phases) == ["call"]


@linux_only
def test_the_programs_ctrl_c_comes_once_and_is_measured(folder):
    """In a terminal, whose Ctrl-C reaches both: a program that goes on is measured to its end."""
    import pty

    folder.write(
        "a.py",
        """
        import signal, sys
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # one that comes early waits
        print(sys.stdin.isatty(), open("/dev/tty").isatty(), flush=True)
        for count in (1, 2):
            signal.sigwait([signal.SIGINT])
            print("interrupted", count, flush=True)
        held = bytearray(b"x") * (96 << 20)
        """,
    )
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(folder.path)
        os.execv(sys.executable, folder.command("a.py"))
    said = read_until(terminal, b"True True")
    for count in (1, 2):
        os.write(terminal, b"\x03")
        said = read_until(terminal, b"interrupted %d" % count, said)
    read_until(terminal, b"over time", said)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert of_peak(folder.measured().readings["rss_growth"])


def read_until(terminal, expected, said=b""):
    """All that it has said, with what was read of it before."""
    while expected not in said:
        assert select.select([terminal], [], [], 60)[0], said
        try:
            said += os.read(terminal, 4096)
        except OSError:
            break
    assert expected in said
    return said


@linux_only
def test_it_does_not_outlive_us(folder):
    folder.write("a.py", "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)")
    with folder.start(folder.command("a.py")) as process:
        pid = int(process.stdout.readline())
        process.kill()
        process.communicate()  # whose ends the program holds, too
    deadline = time.monotonic() + 10
    while is_alive(pid):  # its pipes are closed a moment before it has ended
        assert time.monotonic() < deadline


def is_alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
