"""What can go wrong in a test, each a function that does the real thing. For the table in test_table.py."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from pytest_tfmem.isolate import wire

SEEN = Path(os.environ.get("TFMEM_FAULTS_SEEN", "."))


# Ends.


def segfault(request):
    ctypes.string_at(0)


def kill_itself(request):
    os.kill(os.getpid(), signal.SIGKILL)


def terminate_itself(request):
    os.kill(os.getpid(), signal.SIGTERM)


def abort(request):
    os.abort()


def exit_at_once(request):
    os._exit(0)


def sys_exit(request):
    sys.exit(0)


def out_of_memory(request):
    """In a memory cgroup where the machine allows, else as the kernel would: count, then kill."""
    group, counter = os.environ["TFMEM_FAULTS_CGROUP"], Path(os.environ["TFMEM_FAULTS_OOM"])
    if group:
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
        held = bytearray(512 << 20)
        held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    else:
        counter.write_text(f"oom_kill {int(counter.read_text().split()[1]) + 1}\n")
        os.kill(os.getpid(), signal.SIGKILL)


def crash_at_exit(request):
    atexit.register(ctypes.string_at, 0)


def thread_without_end(request):
    threading.Thread(target=_pause_for_ever).start()


# Hangs.


def hang(request):
    subprocess.Popen(["sleep", "1000"])
    (SEEN / request.node.name).write_text(str(time.monotonic()))
    _pause_for_ever()


def hang_deaf(request):
    for number in (signal.SIGABRT, signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    while True:
        ctypes.CDLL(None).pause()


def daemon_by_fork(request):
    if _in_daemon():
        _pause_for_ever()


def daemon_by_exec(request):
    if _in_daemon():
        os.set_inheritable(_socket(request).fileno(), True)
        os.execvp("sleep", ["sleep", "1000"])


def bare_children_of_one_that_hangs(request):
    """They have none of our marks: neither a variable nor, the second, the process group."""
    _start_bare(request, start_new_session=False)
    _start_bare(request, start_new_session=True)
    _pause_for_ever()


def bare_child_of_one_that_dies(request):
    _start_bare(request, start_new_session=False)
    kill_itself(request)


def _start_bare(request, *, start_new_session):
    child = subprocess.Popen(["/bin/sleep", "1000"], env={}, start_new_session=start_new_session)
    with (SEEN / request.node.name).open("a") as file:
        file.write(f"{child.pid}\n")


def fork_that_runs_on(request):
    """The commonest mistake with os.fork(): the child goes on as if it were the test."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)


def fork_that_raises(request):
    pid = os.fork()
    if not pid:
        raise AssertionError("in the fork")
    os.waitpid(pid, 0)


# Output.


def gibibyte_of_output(request):
    mebibyte = b"x" * (1 << 20)
    for _ in range(1024):
        os.write(1, mebibyte)


def close_standard_streams(request):
    os.close(0)
    os.close(1)


def close_stdout_object(request):
    sys.stdout.close()


def close_all_descriptors(request):
    os.closerange(3, 4096)


# Reports.


class _Hostile:
    def item(self):
        raise ValueError("no item")

    def __repr__(self):
        raise RuntimeError("no repr")

    __str__ = __repr__


class HostileError(Exception):
    __repr__ = _Hostile.__repr__
    __str__ = _Hostile.__str__


PROPERTIES = {
    "object": object(),
    "set": {1},
    "large": 10**40,
    "hostile": _Hostile(),
    "surrogate": "a\udc80b",
    "bytes": b"\xff",
    "nan": float("nan"),
}


def unserialisable_properties(request):
    for name, value in PROPERTIES.items():
        request.node.user_properties.append((name, value))


def hostile_exception(request):
    raise HostileError


def hostile_assertion(request):
    assert _Hostile() == 1


def long_assertion(request):
    raise AssertionError("x" * (10 << 20))


# The channel.


def half_a_message_then_death(request):
    _socket(request).sendall((100).to_bytes(8) + b"half")
    os.kill(os.getpid(), signal.SIGKILL)


def half_a_message_then_exit_of_a_forker(request):
    """A fork of it holds the socket open: there is no end of file."""
    daemon_by_fork(request)
    _socket(request).sendall((100).to_bytes(8) + b"half")
    os._exit(3)


def half_a_message_then_hang(request):
    _socket(request).sendall((100).to_bytes(8) + b"half")
    _pause_for_ever()


def other_schema(request):
    wire.SCHEMA = 99


def garbage(request):
    _socket(request).sendall((4).to_bytes(8) + b"\xc1\xc1\xc1\xc1")
    _pause_for_ever()


def text_of_another(request):
    _socket(request).sendall(b"hello, this is a library that writes where it should not\n")
    _pause_for_ever()


def message_out_of_turn(request):
    _channel(request).send(wire.Judged(""))
    _pause_for_ever()


def report_that_is_none(request):
    _channel(request).send(wire.Reported({"$report_type": "TestReport", "when": "call"}))
    _pause_for_ever()


def close_the_channel(request):
    _socket(request).close()


def close_the_channel_and_hang(request):
    _socket(request).close()
    _pause_for_ever()


def flood(request):
    """Messages without end, so that there is always one to read."""
    data = {"$report_type": "nobody's", "when": "call"}
    while True:
        _channel(request).send(wire.PhaseBegun("call", len(data)))


def _channel(request):
    return request.config.pluginmanager.get_plugin("tfmem-child")._channel


def _socket(request):
    return _channel(request)._socket


def _in_daemon() -> bool:
    """Fork twice, with a session of its own between; True in the daemon only."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    return True


def _pause_for_ever():
    while True:
        signal.pause() if threading.current_thread() is threading.main_thread() else threading.Event().wait()
