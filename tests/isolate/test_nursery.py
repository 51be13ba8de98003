"""Processes that a server forks: announced, told of at their end, and ended with all that they started."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys

import pytest

from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.channel import ControlChannel
from pytest_tfmem.isolate.fitness import why_no_forkserver

pytestmark = pytest.mark.skipif(why_no_forkserver() != "", reason=why_no_forkserver() or "it can")

# It takes what a process is to do, or what it is to do itself, from the only message that carries any text.
SERVER = """
import os, signal, socket, sys
from pytest_tfmem.isolate import afresh, wire
from pytest_tfmem.isolate.channel import ControlChannel
from pytest_tfmem.isolate.child import connect
from pytest_tfmem.isolate.nursery import Nursery

def present(name):
    '''Connect to the test under this name: who has ended is connected no more.'''
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(b"\\0" + bytes.fromhex(sys.argv[2]))
    connection.sendall(name.encode())
    return connection

def daemon(name):
    '''Leave a process in a session of its own, which nothing of ours but its parent is known by.'''
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            connection = present(name)
            connection.set_inheritable(True)
            waits = f"import socket; socket.socket(fileno={connection.fileno()}).recv(1)"
            os.execve(sys.executable, [sys.executable, "-c", waits], {})
        os._exit(0)
    os.wait()

afresh.adopt_orphans()
control = ControlChannel(connect(sys.argv[1]))
nursery = Nursery(control)
while (order := nursery.next_order()) is not None:
    if order.breach in {"kill_all", "wait_for_all"}:
        getattr(nursery, order.breach)()
        control.send(wire.Done())
    elif nursery.fork(wire.Forked):
        exec(order.breach)
        os._exit(0)
nursery.wait_for_all()
"""
SECONDS = 60  # for what is certain to come


class Server:
    """A nursery in a process of its own, of which the test is the controller."""

    def __init__(self):
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind("")  # at a name that the kernel chooses
        self._listener.listen()
        self._listener.settimeout(SECONDS)
        ours, theirs = socket.socketpair()
        ours.settimeout(SECONDS)
        self.control = ControlChannel(ours)
        self._met = {}
        with theirs:
            command = [sys.executable, "-c", SERVER, f"fd:{theirs.fileno()}"]
            self._popen = subprocess.Popen(
                [*command, self._listener.getsockname()[1:].hex()], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )

    def fork(self, code):
        """The id, and the descriptor, of a process that does this."""
        self.order(code)
        forked = self.control.receive()
        assert isinstance(forked, wire.Forked)
        return forked.pid, self.control.take_descriptors(1)[0]

    def order(self, what):
        self.control.send(wire.Judged(what))

    def meet(self, name):
        """The connection of the process that presents itself under this name."""
        while name not in self._met:
            connection, _ = self._listener.accept()
            connection.settimeout(SECONDS)
            self._met[connection.recv(50).decode()] = connection
        return self._met[name]

    def wait(self):
        return self._popen.wait(SECONDS)

    def close(self):
        self.control.close()
        self._popen.kill()
        self._popen.wait()
        for connection in (self._listener, *self._met.values()):
            connection.close()


@pytest.fixture
def server():
    """Its server, and whatever that has forked, end with the test."""
    started = Server()
    yield started
    started.close()


def has_ended(connection):
    """Whether the process at its other end has ended, by now: a process that has ended has nothing open."""
    return bool(select.select([connection], [], [], 0)[0]) and connection.recv(1) == b""


@pytest.mark.parametrize(
    ("code", "returncode"),
    [
        ("os._exit(0)", 0),
        ("os._exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("signal.signal(signal.SIGSEGV, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
    ],
)
def test_the_end_of_a_process_is_told_with_its_return_code(server, code, returncode):
    pid, descriptor = server.fork(code)
    assert server.control.receive() == wire.Exited(pid, returncode)
    os.close(descriptor)


def test_the_descriptor_that_travels_is_the_processs_own(server):
    pid, descriptor = server.fork("present('it').recv(1)")
    server.meet("it")
    signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    assert server.control.receive() == wire.Exited(pid, -signal.SIGTERM)
    os.close(descriptor)


def test_a_process_that_has_ended_without_being_told_to_is_told_of_at_once(server):
    first, _ = server.fork("connection = present('first'); connection.recv(1)")
    second, _ = server.fork("present('second').recv(1)")
    server.meet("second").sendall(b"!")
    assert server.control.receive() == wire.Exited(second, 0)
    server.meet("first").sendall(b"!")
    assert server.control.receive() == wire.Exited(first, 0)


def test_what_a_process_leaves_behind_has_ended_when_its_end_is_told(server):
    pid, _ = server.fork("daemon('daemon'); present('it').recv(1); os._exit(3)")
    daemon = server.meet("daemon")
    assert not has_ended(daemon)
    server.meet("it").sendall(b"!")
    assert server.control.receive() == wire.Exited(pid, 3)
    assert has_ended(daemon)


def test_so_have_those_in_its_group(server):
    pid, _ = server.fork(
        "os.setsid()\nif os.fork() == 0: present('child').recv(1)\nelse: present('it').recv(1)\nos._exit(0)"
    )
    child = server.meet("child")
    server.meet("it").sendall(b"!")
    assert server.control.receive() == wire.Exited(pid, 0)
    assert has_ended(child)


def test_so_has_what_was_left_behind_by_what_was_left_behind(server):
    pid, _ = server.fork(
        """
if os.fork() == 0:
    os.setsid()
    for name in ("deeper", "deepest"):
        if os.fork():
            present("above " + name).recv(1)
            os._exit(0)
        os.setsid()
    present("deepest").recv(1)
else:
    present("it").recv(1)
os._exit(0)
"""
    )
    left = [server.meet(name) for name in ("above deeper", "above deepest", "deepest")]
    server.meet("it").sendall(b"!")
    assert server.control.receive() == wire.Exited(pid, 0)
    assert [has_ended(one) for one in left] == [True, True, True]


def test_a_process_beside_it_lives_on(server):
    spare, _ = server.fork("present('spare').recv(1); os._exit(4)")
    waiting = server.meet("spare")
    pid, _ = server.fork("daemon('daemon'); present('it').recv(1); os._exit(0)")
    daemon = server.meet("daemon")
    server.meet("it").sendall(b"!")
    assert server.control.receive() == wire.Exited(pid, 0)
    assert has_ended(daemon)
    assert not has_ended(waiting)
    waiting.sendall(b"!")
    assert server.control.receive() == wire.Exited(spare, 4)


def test_what_a_process_beside_it_has_started_lives_on_as_long_as_that(server):
    spare, _ = server.fork("child = os.fork()\npresent('child' if child == 0 else 'spare').recv(1)\nos._exit(0)")
    child, waiting = server.meet("child"), server.meet("spare")
    pid, _ = server.fork("os._exit(0)")
    assert server.control.receive() == wire.Exited(pid, 0)
    assert not has_ended(child)
    waiting.sendall(b"!")
    assert server.control.receive() == wire.Exited(spare, 0)
    assert has_ended(child)


def test_all_can_be_killed_with_what_they_have_started(server):
    pids = {server.fork(f"daemon('daemon {name}'); present('{name}').recv(1)")[0] for name in ("a", "b")}
    met = [server.meet(name) for name in ("a", "b", "daemon a", "daemon b")]
    server.order("kill_all")
    told = [server.control.receive() for _ in range(3)]
    assert {(one.pid, one.returncode) for one in told[:2]} == {(pid, -signal.SIGKILL) for pid in pids}
    assert told[2] == wire.Done()
    assert [has_ended(one) for one in met] == [True] * 4


def test_all_can_be_waited_for(server):
    pid, _ = server.fork("connection = present('it'); connection.recv(1); connection.sendall(b'?'); connection.recv(1)")
    server.order("wait_for_all")
    server.meet("it").sendall(b"!")
    assert server.meet("it").recv(1) == b"?"
    server.meet("it").sendall(b"!")
    assert [server.control.receive(), server.control.receive()] == [wire.Exited(pid, 0), wire.Done()]


def test_when_the_controller_hangs_up_the_server_ends_once_the_others_have_done_their_work(server):
    server.fork("connection = present('it'); connection.recv(1); connection.sendall(b'done')")
    working = server.meet("it")
    server.control.close()
    working.sendall(b"!")
    assert working.recv(4) == b"done"
    assert server.wait() == 0


def test_a_new_process_has_nothing_of_the_nursery(server):
    server.fork("present('first').recv(1)")
    server.fork("present(f'{control.fileno()} {control.ended} {len(nursery._forked)}').recv(1)")
    server.meet("-1 True 0")


def test_nothing_is_left_open_for_processes_that_have_ended(server):
    for number in range(3):
        _, descriptor = server.fork("os._exit(0)")
        assert isinstance(server.control.receive(), wire.Exited)
        os.close(descriptor)
        server.fork(f"present('{number}').sendall(b'%d' % len(os.listdir('/proc/self/fd')))")
        assert isinstance(server.control.receive(), wire.Exited)
    counts = [server.meet(str(number)).recv(9) for number in range(3)]
    assert counts == [counts[0]] * 3
