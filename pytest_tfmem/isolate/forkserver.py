"""The start method `forkserver`, as the controller sees it: servers, one module server per file, a spare child."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from typing import IO, TYPE_CHECKING

from pytest_tfmem.isolate import death, wire
from pytest_tfmem.isolate.process import LAST_WORDS_SECONDS, forbid_core_dump, seconds_left
from pytest_tfmem.isolate.spawn import launch
from pytest_tfmem.isolate.started import Started, tail
from pytest_tfmem.measure.oom import oom_kills

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_tfmem.isolate.order import Order
    from pytest_tfmem.isolate.process import ChildProcess

_END_SECONDS = 10.0  # for what a file or a plugin does at its session's end
_KILLED_SECONDS = 10.0  # for a killed test to end: one in a device's hands may take long
_TOLD_SECONDS = 3.0  # for a module server to tell of that, before it is given up
_MOST_SERVERS = 4
_MOST_MODULE_SERVERS = 4
_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from pytest_tfmem.isolate.server import main; main(sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))"
)
# TensorFlow and CUDA read these when a device is first used, and pytest its own when it starts. Any other variable may
# have been read when a framework was imported: who needs another value of it needs another server.
_READ_LATE = {
    "TF_GPU_ALLOCATOR",
    "TF_FORCE_GPU_ALLOW_GROWTH",
    "TF_CPU_ALLOCATOR_USE_BFC",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "XLA_FLAGS",
    "TF_XLA_FLAGS",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
}


class UnfitError(Exception):
    """No test of the file may be forked; the text is why, as a clause with the file or a framework as its subject."""


class TimeUpError(Exception):
    """The file was still being collected when its test's time was up."""


class FailedError(Exception):
    """The file's module server failed as a test's process would have: its text is the sentence, then `detail`."""

    def __init__(self, failure: str, detail: str = "") -> None:
        super().__init__(failure)
        self.detail = detail


class ForkServer:
    """All servers of one session. Every process of it ends with the session's own, however that ends.

    `preload`: modules that each server imports, if the user has named them; otherwise each imports the frameworks
    that the file at hand does.
    """

    def __init__(self, preload: Sequence[str] | None) -> None:
        self._preload = None if preload is None else tuple(preload)
        self._servers: list[_Server] = []
        self._modules: list[_ModuleServer] = []  # the one used last is the last
        self._imported: dict[bytes, tuple[str, ...]] = {}

    def warm_up(self, order: Order) -> None:
        """Start the server for this order's file in the background. Raises OSError if the system cannot."""
        self._server(order)

    def open(self, order: Order) -> None:
        """Have the file of this order collected in the background. Raises OSError if the system cannot."""
        self._module(order)

    def is_open(self, path: bytes) -> bool:
        """Whether there is a module server for this file."""
        return any(module.path == path for module in self._modules)

    def expect(self, order: Order) -> None:
        """Have a spare child forked for this order, if the file's module server is ready."""
        module = self._module(order)
        module.pump()
        if module.is_ready:
            module.prepare_spare(order.shows_output)

    def start(self, order: Order, deadline: float | None) -> Started:
        """A child for this order, started and waiting for its wire.Start.

        Raises UnfitError, FailedError, TimeUpError, or OSError if the system cannot.
        """
        try:
            return self._known(order, deadline).child(order.shows_output)
        except GoneError:
            return self._known(order, deadline).child(order.shows_output)

    def close_file(self, path: bytes) -> None:
        """End the module servers of a file whose tests are done, without waiting for it."""
        for module in [module for module in self._modules if module.path == path]:
            self._discard(module)

    def close(self) -> None:
        """End everything: first as sessions end, so that coverage is written, then by force."""
        for module in list(self._modules):
            self._discard(module)
        deadline = time.monotonic() + _END_SECONDS
        for server in self._servers:
            server.close(deadline)
        self._servers.clear()

    def _known(self, order: Order, deadline: float | None) -> _ModuleServer:
        """The module server for this order, once it is ready or known never to be."""
        module = self._module(order)
        module.wait_until_known(deadline)
        if module.imported is None:
            return module
        # Another server has to be at its beginning: one that has imported what the file does.
        self._imported[module.path] = module.imported
        self._discard(module)
        module = self._module(order)
        module.wait_until_known(deadline)
        return module

    def _module(self, order: Order) -> _ModuleServer:
        key = _key(order)
        for module in [module for module in self._modules if module.is_over]:
            self._discard(module)
        found = next((module for module in self._modules if module.key == key), None)
        if found is None:
            while len(self._modules) >= _MOST_MODULE_SERVERS:
                self._discard(self._modules[0])
            found = _ModuleServer(key, order, self._server(order), automatic=self._preload is None)
            self._modules.append(found)
        self._modules.remove(found)
        self._modules.append(found)
        return found

    def _server(self, order: Order) -> _Server:
        preload = self._preload
        if preload is None:
            preload = self._imported.get(order.start.path, tuple(sorted(order.frameworks)))
        environment = {name: value for name, value in order.environment.items() if not _is_read_late(name)}
        for server in [server for server in self._servers if server.is_over]:
            self._servers.remove(server)
            server.close(time.monotonic())
        found = next((one for one in self._servers if (one.environment, one.preload) == (environment, preload)), None)
        if found is None:
            self._retire_servers()
            found = _Server(environment, preload, order)
            self._servers.append(found)
        return found

    def _retire_servers(self) -> None:
        used = {id(module.server) for module in self._modules}
        idle = [server for server in self._servers if id(server) not in used]
        while idle and len(self._servers) >= _MOST_SERVERS:
            server = idle.pop(0)
            self._servers.remove(server)
            server.close(time.monotonic() + _END_SECONDS)

    def _discard(self, module: _ModuleServer) -> None:
        self._modules.remove(module)
        module.close()


class GoneError(FailedError):
    """The module server had been ready, or its server had, and has been ended since: another may be."""


class _Server:
    """A server process, which is at work until it says that it is warm; orders can be sent before."""

    def __init__(self, environment: Mapping[str, str], preload: tuple[str, ...], order: Order) -> None:
        self.environment = environment
        self.preload = preload
        self.unfit = ""
        self.is_warm = False
        self._expected: deque[_ModuleServer] = deque()
        self._serving: dict[int, _ModuleServer] = {}
        self.process, connected = launch(
            _BOOTSTRAP,
            environment=order.environment,
            directory=order.directory,
            search_path=order.search_path,
            output=subprocess.DEVNULL,
            more=[json.dumps(preload)],
        )
        self.channel = wire.ControlChannel(connected)

    @property
    def is_over(self) -> bool:
        return self.channel.ended

    def serve(self, module: _ModuleServer, order: wire.Serve, descriptors: Sequence[int]) -> None:
        with contextlib.suppress(OSError):  # it is gone, which the next wait finds out
            self.channel.send(order, descriptors)
        self._expected.append(module)

    def pump(self) -> None:
        """Take in what has arrived."""
        for message in _arrived(self.channel):
            match message:
                case wire.Warm(unfit=unfit):
                    self.is_warm, self.unfit = True, unfit
                case wire.Serving(pid=pid):
                    module = self._serving[pid] = self._expected.popleft()
                    module.descriptor = self.channel.take_descriptors(1)[0]
                case wire.Exited(pid=pid, returncode=returncode):
                    self._serving.pop(pid).has_ended(returncode)

    def close(self, deadline: float) -> None:
        """End it: at once if it has forked nothing yet, else when that has ended, or the time is up."""
        self.pump()
        if not self.is_warm:
            self.process.end()
        while self._serving and not self.is_over and _wait([self.channel], deadline):
            self.pump()
        self.channel.close()
        self.process.wait(max(0.0, seconds_left(deadline)))
        self.process.end()


class _ModuleServer:
    """The module server of one file, from the moment it is asked for."""

    def __init__(self, key: object, order: Order, server: _Server, *, automatic: bool) -> None:
        self.key = key
        self.path = order.start.path
        self._file = order.file
        self.server = server
        self.is_ready = False
        self.imported: tuple[str, ...] | None = None
        self.descriptor: int | None = None
        self._why_unfit = ""
        self._failure: FailedError | None = None
        self._returncode: int | None = None
        self._oom_before = oom_kills()
        self._spare: Started | None = None
        self._asked: deque[_ForkedProcess] = deque()
        self._children: dict[int, _ForkedProcess] = {}
        self._output = _output(order.shows_output)
        ours, theirs = socket.socketpair()
        self.channel = wire.ControlChannel(ours)
        with theirs:
            server.serve(
                self,
                wire.Serve(
                    start=order.start,
                    environment=[(os.fsencode(name), os.fsencode(value)) for name, value in order.environment.items()],
                    directory=os.fsencode(order.directory),
                    search_path=[os.fsencode(path) for path in order.search_path],
                    frameworks=list(server.preload) if automatic else None,
                ),
                [theirs.fileno(), *_streams(self._output)],
            )

    @property
    def is_over(self) -> bool:
        """Whether it can fork nothing any more, though it could once, or its server could."""
        return (self.is_ready and self.channel.ended) or isinstance(self._failure, GoneError)

    def wait_until_known(self, deadline: float | None) -> None:
        """Wait until it is ready, or is known never to be. Raises FailedError when the time is up."""
        while not self._is_known():
            if not _wait([self.channel, self.server.channel], deadline):
                self.kill()
                raise TimeUpError
            self.pump()
            self.server.pump()

    def child(self, shows_output: bool) -> Started:
        """A child, forked ahead or now, once its process is there. Raises UnfitError or FailedError."""
        if self.server.unfit:
            raise UnfitError(self.server.unfit)
        if self._why_unfit:
            raise UnfitError(f"{self._file} {self._why_unfit}")
        if self._failure is not None:
            raise self._failure
        self.prepare_spare(shows_output)
        assert self._spare is not None  # noqa: S101  prepared the line before
        spare, self._spare = self._spare, None
        while spare.process.pid == 0 and not self.channel.ended:
            _wait([self.channel], None)
            self.pump()
        if spare.process.pid == 0:
            spare.close()
            raise GoneError("the server of the test's file was ended, by a signal or by itself")
        return spare

    def prepare_spare(self, shows_output: bool) -> None:
        """Ask for a child, unless one is waiting already. Raises OSError if the system cannot."""
        if self._spare is not None:
            return
        output = _output(shows_output)
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            if output is not None:
                output.close()
            raise
        process = _ForkedProcess(self)
        self._spare = Started(process, wire.Channel(ours), output, "forkserver")
        with theirs, contextlib.suppress(OSError):  # it is gone, which the wait for the child finds out
            self.channel.send(wire.Fork(), [theirs.fileno(), *_streams(output)])
        self._asked.append(process)

    def pump(self) -> None:
        """Take in what has arrived."""
        for message in _arrived(self.channel):
            match message:
                case wire.Ready():
                    self.is_ready = True
                case wire.Unfit(reason=reason, frameworks=frameworks):
                    self._why_unfit = self._why_unfit or reason
                    self.imported = None if frameworks is None else tuple(frameworks)
                case wire.Refused(reason=reason, detail=detail):
                    self._failure = self._failure or FailedError(f"{reason}\n{detail}".rstrip())
                case wire.Done() if not self.is_ready:
                    never = "the test's process came to its end without having run the test"
                    self._failure = self._failure or FailedError(never)
                case wire.Forked(pid=pid):
                    child = self._children[pid] = self._asked.popleft()
                    child.is_forked(pid, self.channel.take_descriptors(1)[0])
                case wire.Exited(pid=pid, returncode=returncode):
                    self._children.pop(pid).has_ended(returncode)

    def has_ended(self, returncode: int) -> None:
        """The server has seen it end."""
        self._returncode = returncode
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def kill(self) -> None:
        """End it and all that it forked, at once."""
        self._failure = self._failure or GoneError("the server of the test's file was ended by pytest")
        if self.descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)

    def close(self) -> None:
        """Have it end: by itself, as nobody is at the other end any more, and at once if it still imports its file."""
        self.server.pump()
        self.pump()
        if not self.is_ready:
            self.kill()
        if self._spare is not None:
            self._spare.channel.close()
            self._spare.close()
            self._spare = None
        self.channel.close()
        if self._output is not None:
            self._output.close()

    def _is_known(self) -> bool:
        if self._returncode is not None or self.server.is_over:
            self.pump()  # what it said before it ended
        if self.is_ready or self._why_unfit or self._failure or self.server.unfit:
            return True
        if self._returncode is not None or self.server.is_over:
            self._failure = self._how_it_died()
            return True
        return False

    def _how_it_died(self) -> FailedError:
        if self._returncode is None:
            # Once warm, it has been ended by a test of another file: this one's are to have another.
            kind = GoneError if self.server.is_warm else FailedError
            return kind(f"the server of the test's file {_how(self.server.process)}")
        now = oom_kills()
        oom = self._oom_before is not None and now is not None and now > self._oom_before
        detail = "" if self._output is None else tail(self._output)
        return FailedError(death.describe(self._returncode, "before setup", oom=oom), detail)


class _ForkedProcess:
    """A child of a module server, known by a descriptor, so that nobody else can ever be taken for it."""

    def __init__(self, module: _ModuleServer) -> None:
        self._module = module
        self._descriptor = -1
        self._returncode: int | None = None
        self.pid = 0  # until it is forked

    @property
    def returncode(self) -> int | None:
        self._module.pump()
        if self._returncode is None and self._module.channel.ended:
            self._is_orphaned()
        return self._returncode

    def is_forked(self, pid: int, descriptor: int) -> None:
        self.pid, self._descriptor = pid, descriptor

    def has_ended(self, returncode: int) -> None:
        self._returncode = returncode
        os.close(self._descriptor)

    def wait(self, seconds: float) -> int | None:
        deadline = time.monotonic() + seconds
        while self.returncode is None and _wait([self._module.channel], deadline):
            pass
        return self.returncode

    def end(self) -> None:
        if self.pid == 0 or self.returncode is not None:
            return  # what it started has been ended with it
        self._signal(signal.SIGKILL)
        _is_readable([self._descriptor], _KILLED_SECONDS)
        if self.wait(_TOLD_SECONDS) is None:
            self._module.kill()

    def say_last_words(self) -> None:
        if self.pid == 0 or self.returncode is not None:
            return
        forbid_core_dump(self.pid)
        self._signal(signal.SIGABRT)
        self.wait(LAST_WORDS_SECONDS)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended, which nobody has told us yet
            signal.pidfd_send_signal(self._descriptor, number)

    def _is_orphaned(self) -> None:
        # The kernel ends it with its module server, whoever ended that.
        if self.pid and _is_readable([self._descriptor], _KILLED_SECONDS):
            self.has_ended(-signal.SIGKILL)


def _is_read_late(variable: str) -> bool:
    return variable in _READ_LATE or variable.startswith("PYTEST_")


def _key(order: Order) -> object:
    """Whatever makes one module server unfit for another order's test."""
    # pytest names the running test in a variable.
    environment = {name: value for name, value in order.environment.items() if name != "PYTEST_CURRENT_TEST"}
    start = order.start
    return (start.path, start.arguments, start.argv, start.runtime, environment, order.directory, order.search_path)


def _output(shows_output: bool) -> IO[bytes] | None:
    return None if shows_output else tempfile.TemporaryFile()


def _streams(output: IO[bytes] | None) -> tuple[int, int]:
    return (1, 2) if output is None else (output.fileno(), output.fileno())


def _arrived(channel: wire.ControlChannel) -> list[wire.Message]:
    """Every message that has arrived whole. What is no message ends the connection."""
    messages: list[wire.Message] = []
    try:
        while not channel.ended and _is_readable([channel], 0):
            channel.take_in()
        while (message := channel.next_message()) is not None:
            messages.append(message)
    except wire.WireError:
        channel.ended = True
    return messages


def _wait(channels: Sequence[wire.ControlChannel], deadline: float | None) -> bool:
    """Wait until something arrives on one of them, or one ends; False if the time is up before."""
    open_ones = [channel for channel in channels if not channel.ended]
    if not open_ones:
        return False
    return _is_readable(open_ones, None if deadline is None else max(0.0, seconds_left(deadline)))


def _is_readable(files: Sequence[wire.ControlChannel | int], seconds: float | None) -> bool:
    """Wait until one of them can be read, or has ended; False if none could in that time."""
    poll = select.poll()  # select() knows no descriptor from 1024 on
    for file in files:
        poll.register(file, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


def _how(process: ChildProcess) -> str:
    returncode = process.wait(1.0)
    return "broke off its connection" if returncode is None else death.ending(returncode)
