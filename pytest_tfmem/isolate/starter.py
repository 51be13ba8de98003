"""How a test's fresh process comes to be: by the start method that is in force, or by the other, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate.fitness import why_no_forkserver
from pytest_tfmem.isolate.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.isolate.forkserver import ForkServer
    from pytest_tfmem.isolate.order import Order
    from pytest_tfmem.isolate.started import Started


class Starter:
    """Starts the processes of one session's tests.

    `method`: "forkserver" where that is safe and "spawn" elsewhere ("auto"), or always one of them. `preload`: modules
    that servers import, if the user has named them.
    """

    def __init__(self, method: Literal["auto", "spawn", "forkserver"], preload: Sequence[str] | None) -> None:
        self._method = method
        self._preload = preload
        self._servers: ForkServer | None = None
        self._why_never = ""
        self._why_spawned: dict[tuple[bytes, bytes], str] = {}
        if method != "spawn":
            self._why_never = why_no_forkserver()
        if method != "spawn" and not self._why_never:
            from pytest_tfmem.isolate.forkserver import ForkServer  # noqa: PLC0415  Linux only

            self._servers = ForkServer(preload)

    @property
    def guesses_frameworks(self) -> bool:
        """Whether an order has to say which frameworks its file imports."""
        return self._servers is not None and self._preload is None

    def start(self, order: Order, deadline: float | None) -> Started:
        """Start the process of this order's test, which then waits for its wire.Start.

        Raises TfmemError where it cannot be done in the way that the user has asked for, OSError if the system cannot.
        """
        why = self._why_never or self._why_spawned.get(_kind(order), "")
        if self._servers is not None and not why:
            from pytest_tfmem.isolate.served import FailedError, TimeUpError, UnfitError  # noqa: PLC0415

            try:
                return self._servers.start(order, deadline)
            except TimeUpError:
                raise TfmemError(
                    f"timeout: the test was still before setup after {order.timeout_seconds:g} s, and was ended"
                ) from None
            except FailedError as failed:
                if self._method == "forkserver":
                    raise TfmemError(f"{failed}\n{failed.detail}".rstrip()) from None
                why = f"{order.file} could not be collected for forking: {str(failed).splitlines()[0]}"
            except UnfitError as unfit:
                why = str(unfit)
            self._why_spawned[_kind(order)] = why
        if self._method == "forkserver":
            raise TfmemError(
                f"--tfmem-start-method=forkserver is not possible for this test: {why}",
                hint="with auto, such tests are spawned",
            )
        return self._spawn(order, why)

    def warm_up(self, order: Order) -> None:
        """A test like this one will come: have a server started in the background."""
        if self._servers is not None:
            self._servers.warm_up(order)

    def open_file(self, order: Order) -> None:
        """This test's file comes next: have it collected in the background."""
        if self._servers is not None and not self._why_spawned.get(_kind(order)):
            self._servers.open(order)

    def expect(self, order: Order) -> None:
        """This test comes next: have its process ready. Raises OSError if the system cannot."""
        if self._servers is not None and not self._why_spawned.get(_kind(order)):
            self._servers.expect(order)

    def close_file(self, path: bytes) -> None:
        """No test of this file will come any more."""
        if self._servers is not None:
            self._servers.close_file(path)

    def close(self) -> None:
        """End all that was started for tests to come."""
        if self._servers is not None:
            self._servers.close()

    def _spawn(self, order: Order, why: str) -> Started:
        started = spawn(
            environment=order.environment,
            directory=order.directory,
            search_path=order.search_path,
            shows_output=order.shows_output,
        )
        started.why_spawned = why
        return started


def _kind(order: Order) -> tuple[bytes, bytes]:
    """Tests of one file and one runtime are fit to be forked together, or none of them is."""
    return order.start.path, msgspec.msgpack.encode(order.start.runtime)
