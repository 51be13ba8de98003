"""The server of the start method `forkserver`: a new interpreter that has imported frameworks, and no user's code."""

from __future__ import annotations

import gc
import importlib
import os
from typing import TYPE_CHECKING, NoReturn

from pytest_tfmem.errors import one_line
from pytest_tfmem.isolate import afresh, wire
from pytest_tfmem.isolate.child import connect, die_with
from pytest_tfmem.isolate.fitness import why_not_to_fork
from pytest_tfmem.isolate.nursery import Nursery
from pytest_tfmem.measure.resident import file_ranges, trim_heap

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(address: str, parent: int, preload: Sequence[str]) -> NoReturn:
    """Import what is to be preloaded, then fork a module server for each file that the controller names.

    `parent` is the controller's process id: this process, and what it forks, does not outlive it.
    """
    die_with(parent)
    name = afresh.call_itself("tfmem-server")
    afresh.adopt_orphans()
    control = wire.ControlChannel(connect(address))
    unfit = _import(preload) or _unfit(preload)
    gc.collect()
    # What is here now outlives every fork: to look through it again in each would copy its pages.
    gc.freeze()
    trim_heap()
    ranges = file_ranges()
    control.send(wire.Warm(unfit))
    nursery = Nursery(control)
    own = os.getpid()
    while isinstance(order := nursery.next_order(), wire.Serve):
        connection, output, errors = control.take_descriptors(3)
        if nursery.fork(wire.Serving):
            from pytest_tfmem.isolate.module_server import serve_file  # noqa: PLC0415  in the fork: it imports pytest

            serve_file(order, (connection, output, errors), server=own, name=name, ranges=ranges)
        for descriptor in (connection, output, errors):
            os.close(descriptor)
    nursery.wait_for_all()
    os._exit(0)


def _import(names: Sequence[str]) -> str:
    """Import them; why not, if one of them cannot be."""
    for name in ("pytest", *names):
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001  whatever a module raises when it is imported
            return f"{name} could not be imported ahead ({one_line(f'{type(error).__name__}: {error}')})"
    return ""


def _unfit(names: Sequence[str]) -> str:
    what, how = why_not_to_fork()
    return f"importing {', '.join(names) or 'pytest'} {what}: {how}" if what else ""
