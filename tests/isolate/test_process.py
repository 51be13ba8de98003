"""Ending a process with all that it started, and nothing else."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys

import pytest

from pytest_tfmem.isolate import process as processes
from tests.isolate.ended import has_ended, is_running

posix = pytest.mark.skipif(sys.platform == "win32", reason="process groups and sessions")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

TOKEN = f"TFMEM_TEST_TOKEN=1-{secrets.token_hex(8)}"  # of this process: others run the same tests beside it
SLEEPER = "import sys; sys.stdin.read()"
STARTER = """
import os, subprocess, sys

def start(**keywords):
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, **keywords)

def say(*words):
    print(*words, flush=True)
"""


def said(child):
    """The numbers on the child's next line."""
    return [int(word) for word in child._popen.stdout.readline().split()]


def test_a_return_code_is_the_exit_status(start):
    child = start("import sys; sys.exit(3)")
    assert child.wait(20) == 3
    assert child.returncode == 3


@posix
def test_a_return_code_is_the_negated_signal(start):
    child = start("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert child.wait(20) == -signal.SIGKILL


def test_a_process_that_runs_has_no_return_code(start):
    child = start(SLEEPER)
    assert child.wait(0) is None
    assert child.returncode is None


@posix
def test_a_child_is_ended_by_a_signal_that_it_cannot_refuse(start):
    child = start("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(0, flush=True); signal.pause()")
    said(child)
    child.end()
    assert child.returncode == -signal.SIGKILL


def test_a_child_that_has_ended_keeps_its_return_code(start):
    child = start("import sys; sys.exit(3)")
    child.wait(20)
    child.end()
    child.end()
    assert child.returncode == 3


@posix
def test_those_in_its_group_end_with_it_though_it_has_ended_before_them(start):
    child = start(STARTER + "say(start(env={}).pid); os._exit(0)")
    (orphan,) = said(child)
    assert child.wait(20) == 0
    assert is_running(orphan)
    child.end()
    assert has_ended(orphan)


@posix
def test_its_descendants_end_with_it_in_whatever_group_they_are(start):
    child = start(
        STARTER + "say(start(start_new_session=True, env={}).pid, start(process_group=0, env={}).pid); sys.stdin.read()"
    )
    others = said(child)
    child.end()
    assert [has_ended(pid) for pid in others] == [True, True]


@linux
def test_a_daemon_that_got_away_from_both_is_known_by_its_token(start):
    child = start(STARTER + "say(start(start_new_session=True).pid); os._exit(0)", token=TOKEN)
    (daemon,) = said(child)
    child.wait(20)
    child.end()
    assert has_ended(daemon)


@linux
def test_nobody_else_is_ended(start):
    starts_others = STARTER + "say(start(start_new_session=True).pid, start(process_group=0).pid); os._exit(0)"
    child = start(STARTER + "say(start(start_new_session=True).pid); os._exit(0)", token=TOKEN)
    alike = start(starts_others, token=TOKEN[:-1])
    another = start(starts_others, token="TFMEM_TEST_TOKEN=other")
    said(child)
    others = [*said(alike), *said(another)]
    beside = subprocess.Popen([sys.executable, "-c", SLEEPER], stdin=subprocess.PIPE)
    try:
        child.wait(20)
        child.end()
        assert [is_running(pid) for pid in [*others, beside.pid]] == [True] * 5
    finally:
        beside.kill()
        beside.wait()
        beside.stdin.close()
        alike.end()
        another.end()
        for pid in others:
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)


@linux
def test_a_daemon_is_found_after_process_ids_have_wrapped(start, monkeypatch):
    # It then has an id below its child's: the child here stands in for one that was started before.
    daemon = start("import signal; signal.pause()", token=TOKEN)
    child = start("", token=TOKEN)
    child.wait(20)
    monkeypatch.setattr(processes, "_newest_pid", lambda: child.pid - 1)
    child.end()
    assert daemon.wait(20) == -signal.SIGKILL


@linux
def test_older_processes_are_not_even_looked_at(monkeypatch):
    monkeypatch.setattr(processes.os, "listdir", lambda path: ["1", "40", "41", "52", "self"])
    monkeypatch.setattr(processes, "_newest_pid", lambda: 52)
    assert processes._younger_than(41) == [52]


@linux
def test_after_process_ids_have_wrapped_all_are_looked_at(monkeypatch):
    monkeypatch.setattr(processes.os, "listdir", lambda path: ["1", "40", "41", "52", "self"])
    monkeypatch.setattr(processes, "_newest_pid", lambda: 40)
    assert processes._younger_than(41) == [1, 40, 41, 52]


@linux
def test_the_newest_process_id_is_the_kernels_own():
    child = subprocess.Popen([sys.executable, "-c", ""])
    newest = processes._newest_pid()
    assert newest >= child.pid or newest < os.getpid()  # others start processes too, and ids may have wrapped
    child.wait()


@linux
def test_a_runaway_that_ends_while_it_is_looked_for_is_no_error(start, monkeypatch):
    child = start("", token=TOKEN)
    gone = start("")
    gone.wait(20)
    monkeypatch.setattr(processes, "_younger_than", lambda pid: [gone.pid])
    monkeypatch.setattr(processes, "_environment_of", lambda pid: TOKEN.encode())
    child.end()


@linux
def test_last_words_are_the_tracebacks_of_a_child_that_hangs(start, tmp_path):
    words = tmp_path / "words"
    child = start(
        "import faulthandler, signal, sys, resource; file = open(sys.argv[1], 'w'); faulthandler.enable(file)\n"
        "def hang():\n    print(0, flush=True); signal.pause()\nhang()",
        str(words),
    )
    said(child)
    child.say_last_words()
    assert child.wait(20) == -signal.SIGABRT
    assert "in hang" in words.read_text()


@linux
def test_last_words_leave_no_core_dump(start):
    child = start(
        "import os, resource, signal\n"
        # Not by print: the signal may come while the other print still writes.
        "def tell(*_): os.write(1, b'%d %d\\n' % resource.getrlimit(resource.RLIMIT_CORE))\n"
        "signal.signal(signal.SIGABRT, tell); print(0, flush=True)\nwhile True: signal.pause()"
    )
    said(child)
    child.say_last_words()
    assert said(child) == [0, 0]
    assert child.returncode is None


@posix
def test_last_words_of_the_dead_are_nothing(start):
    child = start("")
    child.wait(20)
    child.say_last_words()
    assert child.returncode == 0


def test_without_a_deadline_there_is_always_time():
    assert processes.seconds_left(None) == float("inf")
    assert processes.seconds_left(0.0) < 0
