"""The process of a program, from its first statement to its last: what runs in it beside the program."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate import as_main, out_of_memory, wire
from pytest_tfmem.isolate.channel import Channel
from pytest_tfmem.isolate.child import connect, die_with
from pytest_tfmem.isolate.child_devices import ChildDevices
from pytest_tfmem.isolate.reports import encodable
from pytest_tfmem.isolate.runtime import apply_before_import
from pytest_tfmem.measure.marks import PhaseMarks
from pytest_tfmem.measure.nested import Nest

if TYPE_CHECKING:
    from types import TracebackType

    from pytest_tfmem.measure.tracking import Tracking


def main(address: str, parent: int) -> None:
    """Run the program that the controller names at the other end of `address`, and end as it ends.

    `parent` is the controller's process id: this process does not outlive it.
    """
    ending = _Ending()
    # Before anything else is: what is registered first is called last, after all that the program has registered.
    atexit.register(ending)
    die_with(parent)
    channel = Channel(connect(address))
    start = channel.receive()
    assert isinstance(start, wire.Start)  # noqa: S101  the controller's first message is ours to trust
    assert start.program is not None  # noqa: S101  the same
    devices = ChildDevices(start)
    try:
        sys.argv[:] = map(os.fsdecode, start.argv)
        sys.path[:] = map(os.fsdecode, start.program.search_path)
        apply_before_import(start.runtime)
        devices.prepare()
    except TfmemError as error:
        _refuse(channel, str(error))
    tracking = _tracking(start, channel) if start.tracked else None
    nest = Nest(devices)
    channel.send(wire.PhaseBegun("call", nest.begin().start.rss))
    ending.begins(start, channel, nest, devices, tracking)
    try:
        _run(start, start.program)
    except as_main.NothingToRunError as error:
        channel.send(wire.Refused(encodable(str(error))))
        sys.exit(2)  # in order: a package that was imported to look into it may have handlers for the end
    except SystemExit:
        raise
    except BaseException as error:
        ending.error = error
        _show_without_us(error)
        raise


def _tracking(start: wire.Start, channel: Channel) -> Tracking:
    from pytest_tfmem.measure.tracking import Tracking  # noqa: PLC0415  only in a run that explains another

    try:
        tracking = Tracking(start.tracked)
        tracking.begin()
    except Exception as error:  # noqa: BLE001  whatever memray raises, nothing comes of this run without it
        _refuse(channel, f"memray did not start: {error}")
    return tracking


def _run(start: wire.Start, program: wire.Program) -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, program.blocked_signals)
    if program.module:
        as_main.run_module(program.module)
    else:
        as_main.run_script(os.fsdecode(start.path))


class _Ending:
    """Called when the interpreter ends: after the program's own threads and handlers, while its objects still stand."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._nest: Nest | None = None

    def begins(
        self, start: wire.Start, channel: Channel, nest: Nest, devices: ChildDevices, tracking: Tracking | None
    ) -> None:
        """The program begins."""
        self._start, self._channel, self._nest = start, channel, nest
        self._devices, self._tracking = devices, tracking
        self._socket = os.fstat(channel.fileno())

    def __call__(self) -> None:
        # A program that forks has all of this twice, and only the first may speak.
        if self._nest is None or self._channel.in_fork or not self._is_still_ours():
            return
        try:
            self._channel.send(self._over(self._nest))
            self._channel.receive()  # meanwhile the controller reads what only stands while this process does
            self._channel.send(wire.Done())
        except (OSError, EOFError, wire.WireError):
            return  # the controller has ended
        self._channel.close()

    def _over(self, nest: Nest) -> wire.PhaseOver:
        if self._tracking is not None:
            self._tracking.end()
        span = nest.end(lambda: self._devices.read_at_end("call"))
        limit = self._start.runtime.memory_limit_bytes
        refused = out_of_memory.describe(self.error, span.devices, limit) if self.error else ""
        marks = PhaseMarks(start=span.start, end=span.end, seconds=span.seconds)
        return wire.PhaseOver("call", marks, self.error is None, span.devices, encodable(refused))

    def _is_still_ours(self) -> bool:
        """Whether our descriptor still leads where it did: a program may close all that it finds open."""
        try:
            return os.path.samestat(os.fstat(self._channel.fileno()), self._socket)
        except OSError:
            return False


def _show_without_us(error: BaseException) -> None:
    """When the interpreter, or a hook of the program's, shows the error, it is to show the program's own frames."""
    hook, trace = sys.excepthook, as_main.without_ours(error.__traceback__)

    def show(kind: type[BaseException], shown: BaseException, _: TracebackType | None) -> None:
        sys.excepthook = hook
        hook(kind, shown.with_traceback(trace), trace)

    sys.excepthook = show


def _refuse(channel: Channel, reason: str) -> NoReturn:
    channel.send(wire.Refused(encodable(reason)))
    channel.close()
    sys.stdout.flush()
    os._exit(2)
