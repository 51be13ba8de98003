"""A new interpreter, and how it finds its way back to the controller."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

import psutil
import pytest

from pytest_tfmem.isolate import spawn as spawning
from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.runtime import Runtime
from pytest_tfmem.isolate.spawn import open_pair, spawn
from pytest_tfmem.isolate.started import TOKEN_VARIABLE
from tests.isolate.ended import has_ended

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
posix = pytest.mark.skipif(sys.platform == "win32", reason="process groups")

CONNECTS = """
import sys
from pytest_tfmem.isolate.child import connect
connected = connect(sys.argv[1])
connected.sendall(b"hello")
sys.stdin.read()
"""
DID_NOT_CONNECT = "the test's process did not connect to pytest"


@pytest.fixture
def spawned(tmp_path):
    """Spawns a child as the controller does, and ends it with the test."""
    started = []

    def start(**keywords):
        usual = {
            "environment": os.environ,
            "directory": tmp_path,
            "search_path": sys.path,
            "shows_output": False,
        }
        started.append(spawn(**usual | keywords))
        return started[-1]

    yield start
    for child in started:
        child.close()


def environment_of(child):
    """The child's environment, which the kernel shows a moment after the child has begun."""
    process = psutil.Process(child.process.pid)
    deadline = time.monotonic() + 20
    while not (environment := process.environ()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return environment


def start_message(path, name):
    return wire.Start(
        test_id=f"{path.name}::{name}",
        ordinal=0,
        path=os.fsencode(path),
        arguments=[b"-p", b"no:cacheprovider", b"-p", b"no:randomly", b"--rootdir", os.fsencode(path.parent)],
        argv=[b"pytest"],
        basetemp=os.fsencode(path.parent / "base"),
        workerinput=None,
        runtime=Runtime(),
    )


def said_by(child):
    """What a child says to its end, each phase being judged as within its limits."""
    said = []
    while (message := child.channel.receive()) != wire.Done():
        said.append(message)
        if isinstance(message, wire.PhaseOver):
            child.channel.send(wire.Judged(""))
    return said


@pytest.mark.parametrize("tcp", [False, True], ids=["inherited socket", "local port"])
def test_a_child_runs_the_test_that_it_is_told_to(spawned, tmp_path, monkeypatch, tcp):
    monkeypatch.setattr(spawning, "open_pair", lambda **_: open_pair(tcp=tcp))
    (tmp_path / "test_a.py").write_text("def test_it():\n    pass\n\ndef test_other():\n    raise SystemExit\n")
    child = spawned()
    child.channel.send(start_message(tmp_path / "test_a.py", "test_it"))
    said = said_by(child)
    phases = [message.phase for message in said if isinstance(message, wire.PhaseOver)]
    outcomes = [message.report["outcome"] for message in said if isinstance(message, wire.Reported)]
    assert (phases, outcomes) == (["setup", "call", "teardown"], ["passed"] * 3)
    assert child.process.wait(20) == 0


@linux
def test_a_child_has_the_environment_that_it_is_given_and_its_mark(spawned):
    child = spawned(environment={"ONLY": "this"})
    environment = environment_of(child)
    mark = environment.pop(TOKEN_VARIABLE)
    assert environment == {"ONLY": "this"}
    assert mark.startswith(f"{os.getpid()}-")


@linux
def test_no_two_children_have_the_same_mark(spawned):
    marks = {environment_of(spawned())[TOKEN_VARIABLE] for _ in range(2)}
    assert len(marks) == 2


@posix
def test_a_child_leads_a_group_and_a_session_of_its_own(spawned):
    pid = spawned().process.pid
    assert (os.getpgid(pid), os.getsid(pid)) == (pid, pid)


def test_a_child_runs_in_the_sessions_folder_and_takes_no_module_from_it_for_its_start(spawned, tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    (tmp_path / "test_a.py").write_text("import os\n\ndef test_it():\n    assert os.path.exists('json.py')\n")
    child = spawned()
    child.channel.send(start_message(tmp_path / "test_a.py", "test_it"))
    outcomes = [message.report["outcome"] for message in said_by(child) if isinstance(message, wire.Reported)]
    assert outcomes == ["passed"] * 3


def test_what_a_child_writes_outside_of_pytest_is_kept(spawned):
    child = spawned()
    child.channel._socket.shutdown(socket.SHUT_RDWR)  # it waits for its orders, and is told that there are none
    assert child.process.wait(20) == 1
    assert child.output_tail().rstrip().endswith("EOFError")


def test_only_the_end_of_a_long_output_is_kept(spawned):
    child = spawned()
    child._output.write(b"x" * (1 << 17) + b"\xff end")
    assert len(child.output_tail()) < (1 << 16) + 10
    assert child.output_tail().endswith("x\\xff end")


def test_output_that_is_shown_live_is_not_kept(spawned):
    assert spawned(shows_output=True).output_tail() == ""


def test_to_close_is_to_end_it_and_to_hang_up(spawned):
    child = spawned()
    child.close()
    assert child.process.returncode is not None
    assert child.channel.fileno() == -1
    child.close()


@linux
def test_a_child_does_not_outlive_its_controller(start, tmp_path):
    (tmp_path / "test_a.py").write_text("def test_it():\n    pass\n")
    controller = start(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from pytest_tfmem.isolate import wire\n"
        "from pytest_tfmem.isolate.spawn import spawn\n"
        "child = spawn(environment=os.environ, directory=Path.cwd(), search_path=sys.path, shows_output=False)\n"
        "child.channel.send(wire.decode(bytes.fromhex(sys.argv[1])))\n"
        "while not isinstance(child.channel.receive(), wire.PhaseOver): pass  # it now waits for an answer\n"
        "os.set_inheritable(child.channel.fileno(), True)\n"
        "other = os.posix_spawn('/bin/sleep', ['sleep', '60'], {})  # holds the socket open\n"
        "print(child.process.pid, other, flush=True)\n"
        "sys.stdin.read()\n",
        wire.encode(start_message(tmp_path / "test_a.py", "test_it")).hex(),
    )
    child, other = map(int, controller._popen.stdout.readline().split())
    os.kill(controller.pid, signal.SIGKILL)
    try:
        assert has_ended(child)
    finally:
        os.kill(other, signal.SIGKILL)


@linux
def test_a_child_that_cannot_be_started_leaves_nothing_open(spawned, tmp_path):
    spawned().close()  # what is opened once and for all is open now
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="nowhere"):
        spawned(directory=tmp_path / "nowhere")
    assert os.listdir("/proc/self/fd") == before


@linux
def test_a_child_that_has_been_closed_leaves_nothing_open(spawned):
    spawned().close()
    before = os.listdir("/proc/self/fd")
    spawned().close()
    assert os.listdir("/proc/self/fd") == before


def greeting(connected):
    connected.settimeout(20)
    return connected.recv(5, socket.MSG_WAITALL)


def test_who_knows_the_word_is_connected(start):
    with open_pair(tcp=True) as pair, pair.connected(start(CONNECTS, pair.address)) as connected:
        assert connected.gettimeout() is None
        assert greeting(connected) == b"hello"


def stranger_at(pair):
    return socket.create_connection(("127.0.0.1", int(pair.address.split(":")[1])))


@pytest.mark.parametrize("word", [b"0" * 32, b"", b"0"], ids=["a wrong word", "none", "a part of one"])
def test_a_stranger_is_turned_away(start, word):
    with open_pair(tcp=True) as pair, stranger_at(pair) as stranger:
        stranger.sendall(word)
        if len(word) < 32:
            stranger.shutdown(socket.SHUT_WR)
        with pair.connected(start(CONNECTS, pair.address)) as connected:
            assert greeting(connected) == b"hello"
        assert stranger.recv(1) == b""


def test_a_stranger_who_says_nothing_does_not_keep_the_child_out(start):
    with open_pair(tcp=True) as pair, stranger_at(pair) as stranger:
        with pair.connected(start(CONNECTS, pair.address)) as connected:
            assert greeting(connected) == b"hello"
        assert stranger.recv(1) == b""


def test_a_stranger_who_hangs_up_at_once_does_not_keep_the_child_out(start):
    with open_pair(tcp=True) as pair:
        stranger = stranger_at(pair)
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # with a reset
        stranger.close()
        with pair.connected(start(CONNECTS, pair.address)) as connected:
            assert greeting(connected) == b"hello"


def test_a_word_may_come_in_pieces(start):
    in_pieces = """
import socket, sys
_, port, word = sys.argv[1].split(":")
connected = socket.create_connection(("127.0.0.1", int(port)))
connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for letter in word:
    connected.sendall(letter.encode())
connected.sendall(b"hello")
sys.stdin.read()
"""
    with open_pair(tcp=True) as pair, pair.connected(start(in_pieces, pair.address)) as connected:
        assert greeting(connected) == b"hello"


def test_a_child_that_died_before_it_connected_is_not_awaited(start):
    child = start("")
    with open_pair(tcp=True) as pair, pytest.raises(OSError, match=DID_NOT_CONNECT):
        pair.connected(child)
    assert child.returncode == 0


@posix
def test_a_child_that_never_connects_is_ended(start, monkeypatch):
    monkeypatch.setattr(spawning, "_CONNECT_SECONDS", 0.2)
    child = start("import sys; sys.stdin.read()")
    with open_pair(tcp=True) as pair, pytest.raises(OSError, match=DID_NOT_CONNECT):
        pair.connected(child)
    assert child.returncode == -signal.SIGKILL


def test_every_pair_has_a_word_of_its_own():
    with open_pair(tcp=True) as first, open_pair(tcp=True) as second:
        words = {pair.address.split(":")[2] for pair in (first, second)}
        assert {len(word) for word in words} == {32}
        assert len(words) == 2
