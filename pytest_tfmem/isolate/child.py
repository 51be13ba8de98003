"""The test's process, from its first statement to its last."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from traceback import format_exc
from typing import NoReturn

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.channel import Channel
from pytest_tfmem.isolate.child_devices import ChildDevices
from pytest_tfmem.isolate.reports import encodable
from pytest_tfmem.isolate.runtime import apply_before_import

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main(address: str, parent: int) -> NoReturn:
    """Run the test that the controller names at the other end of `address`, then end with status 0.

    `parent` is the controller's process id: this process does not outlive it.
    """
    die_with(parent)
    channel = Channel(connect(address))
    start = channel.receive()
    assert isinstance(start, wire.Start)  # noqa: S101  the controller's first message is ours to trust
    sys.argv[:] = map(os.fsdecode, start.argv)
    try:
        apply_before_import(start.runtime)
        devices = ChildDevices(start)
        devices.prepare()
        run_pytest(start, channel, devices)
    except TfmemError as error:
        channel.send(wire.Refused(str(error)))
    except Exception:  # noqa: BLE001  whatever a plugin or a warning filter raises while pytest starts or ends
        channel.send(wire.Refused(wire.NO_SESSION, encodable(format_exc())))
    channel.send(wire.Done())
    channel.close()
    # By way of the interpreter's own end, so that atexit handlers run, and coverage is written.
    sys.exit(0)


def run_pytest(start: wire.Start, channel: Channel, devices: ChildDevices) -> None:
    """Run pytest itself on the test's file, with the plugin that picks the test and reports to the controller."""
    import pytest  # noqa: PLC0415  after the runtime is set

    from pytest_tfmem.isolate.child_plugin import SpawnedPlugin  # noqa: PLC0415

    plugin = SpawnedPlugin(start, channel, devices)
    pytest.main([os.fsdecode(argument) for argument in start.arguments], plugins=[plugin])


def die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however it ends (Linux; elsewhere the pipe's end)."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # It ended before the kernel was told.
        os._exit(1)


def connect(address: str) -> socket.socket:
    """Our end of what `spawn.open_pair` opened: an inherited socket, or a local port with the word that opens it."""
    kind, _, rest = address.partition(":")
    if kind == "fd":
        inherited = socket.socket(fileno=int(rest))
        inherited.set_inheritable(False)
        return inherited
    port, _, word = rest.partition(":")
    connected = socket.create_connection(("127.0.0.1", int(port)))
    connected.sendall(word.encode())
    return connected
