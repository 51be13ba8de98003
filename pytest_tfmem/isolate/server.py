"""The server of the start method `forkserver`: a new interpreter that has imported frameworks, and no user's code."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, SourceFileLoader
from typing import TYPE_CHECKING, NoReturn

import pytest

from pytest_tfmem.errors import one_line
from pytest_tfmem.isolate import afresh, wire
from pytest_tfmem.isolate.channel import ControlChannel
from pytest_tfmem.isolate.child import connect, die_with
from pytest_tfmem.isolate.fitness import why_not_to_fork
from pytest_tfmem.isolate.module_server import serve_file
from pytest_tfmem.isolate.nursery import Nursery
from pytest_tfmem.measure.resident import carry_over, file_ranges, trim_heap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NO_AUTOLOAD = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"
# A session of nobody's: no configuration, no cache, and no five looks for garbage at its end.
_ALONE = ("-c", os.devnull, "--noconftest", "-p", "no:cacheprovider", "-p", "no:unraisableexception")


def main(address: str, parent: int, preload: Sequence[str]) -> NoReturn:
    """Import what is to be preloaded, then fork a module server for each file that the controller names.

    `parent` is the controller's process id: this process, and what it forks, does not outlive it.
    """
    die_with(parent)
    name = afresh.call_itself("tfmem-server")
    afresh.adopt_orphans()
    control = ControlChannel(connect(address))
    unfit = _import_ahead(preload) or _unfit(preload)
    gc.collect()
    # What is here now outlives every fork: to look through it again in each would copy its pages.
    gc.freeze()
    # Not to be brought in by its forks: the kernel may bring in more around a page than was resident here.
    ranges = carry_over(file_ranges())
    trim_heap()
    control.send(wire.Warm(unfit))
    nursery = Nursery(control)
    own = os.getpid()
    while isinstance(order := nursery.next_order(), wire.Serve):
        connection, output, errors = control.take_descriptors(3)
        if nursery.fork(wire.Serving):
            serve_file(order, (connection, output, errors), server=own, name=name, ranges=ranges)
        for descriptor in (connection, output, errors):
            os.close(descriptor)
    nursery.wait_for_all()
    os._exit(0)


def _import_ahead(names: Sequence[str]) -> str:
    """Import them as the import of a test's file would: within a session of pytest. Why not, if one cannot be."""
    importer = _Importer(names)
    with _no_plugins():
        pytest.main([*_ALONE, f"--rootdir={os.sep}"], plugins=[importer])
    _forget_loaders()
    return importer.failure


class _Importer:
    """Imports modules while pytest collects, and lets it collect nothing."""

    def __init__(self, names: Sequence[str]) -> None:
        self.failure = ""
        self._names = names

    def pytest_collection(self) -> bool:
        for name in self._names:
            try:
                # pytest's import hook is in force: what it notes of each module is part of what a test's file costs.
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001  whatever a module raises when it is imported
                self.failure = f"{name} could not be imported ahead ({one_line(f'{type(error).__name__}: {error}')})"
                break
        return True


@contextmanager
def _no_plugins() -> Iterator[None]:
    """No plugin of the user's and no option of the environment's acts meanwhile."""
    before = {name: os.environ.pop(name, None) for name in ("PYTEST_PLUGINS", "PYTEST_ADDOPTS", _NO_AUTOLOAD)}
    os.environ[_NO_AUTOLOAD] = "1"
    try:
        yield
    finally:
        del os.environ[_NO_AUTOLOAD]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _forget_loaders() -> None:
    """Have no module hold on to pytest's session: it rewrites assertions, such as those of TensorFlow's test_util."""
    for module in list(sys.modules.values()):
        spec = getattr(module, "__spec__", None)
        if isinstance(spec, ModuleSpec) and spec.origin and type(spec.loader).__module__.startswith("_pytest."):
            spec.loader = module.__loader__ = SourceFileLoader(spec.name, spec.origin)


def _unfit(names: Sequence[str]) -> str:
    what, how = why_not_to_fork()
    return f"importing {', '.join(names) or 'pytest'} {what}: {how}" if what else ""
