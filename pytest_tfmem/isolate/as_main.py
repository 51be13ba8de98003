"""A script or a module run as `__main__`, in every way as `python script.py` and `python -m module` run it."""

from __future__ import annotations

import builtins
import os
import pkgutil
import runpy
import sys
from importlib.machinery import BYTECODE_SUFFIXES, SourceFileLoader, SourcelessFileLoader
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType


class NothingToRunError(Exception):
    """There is no such module, or no `__main__` in what was named. In Python's own words."""


def run_script(path: str) -> None:
    """Run the script; of a folder or a zip file, first on sys.path, the `__main__` in it.

    Raises NothingToRunError where there is none, and whatever the script raises.
    """
    if pkgutil.get_importer(path) is not None:
        _run_module("__main__", sets_argv0=False)
        return
    namespace = _fresh_main()
    whole = os.path.abspath(path)
    loader = _loader(whole)
    namespace |= {"__file__": whole, "__cached__": None, "__loader__": loader}
    # Not run in runpy: that runs it in a module of its own, which threads and handlers at the end no longer find.
    exec(_code_of(loader, whole), namespace)  # noqa: S102  it is what the user has asked for


def run_module(name: str) -> None:
    """Run the module, of a package its `__main__`. Raises as run_script does."""
    _run_module(name, sets_argv0=True)


def without_ours(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from where the program's own begins: what called it is nothing to its author."""
    while trace is not None and _is_ours(trace):
        trace = trace.tb_next
    return trace


def _run_module(name: str, *, sets_argv0: bool) -> None:
    _fresh_main()
    try:
        # What the interpreter itself calls for -m, for a folder and for a zip file: Modules/main.c.
        runpy._run_module_as_main(name, sets_argv0)  # type: ignore[attr-defined]  # noqa: SLF001
    except SystemExit as error:
        if isinstance(error.__context__, runpy._Error) and _is_of_runpy(error):  # type: ignore[attr-defined]  # noqa: SLF001
            raise NothingToRunError(str(error.__context__)) from None
        raise


def _is_of_runpy(error: SystemExit) -> bool:
    """Whether what the interpreter calls has raised it, and not the program that it has run."""
    called = error.__traceback__ and error.__traceback__.tb_next
    return called is not None and called.tb_next is None


def _fresh_main() -> dict[str, Any]:
    """The namespace of `__main__`, as an interpreter's that has run nothing in it."""
    namespace = vars(sys.modules["__main__"])
    namespace.clear()
    names: dict[str, Any] = dict.fromkeys(("__doc__", "__package__", "__loader__", "__spec__"))
    namespace |= {"__name__": "__main__", **names, "__builtins__": builtins, "__annotations__": {}}
    return namespace


def _loader(path: str) -> SourceFileLoader | SourcelessFileLoader:
    if path.endswith(tuple(BYTECODE_SUFFIXES)):
        return SourcelessFileLoader("__main__", path)
    return SourceFileLoader("__main__", path)


def _code_of(loader: SourceFileLoader | SourcelessFileLoader, path: str) -> Any:
    if isinstance(loader, SourcelessFileLoader):
        return loader.get_code("__main__")
    # Not the loader's own way: it would leave a file in __pycache__, and its frames in the traceback of a mistake.
    return compile(loader.get_data(path), path, "exec", dont_inherit=True)


def _is_ours(trace: TracebackType) -> bool:
    code = trace.tb_frame.f_code
    return code.co_filename in {__file__, "<string>"} or trace.tb_frame.f_globals.get("__name__", "") == _OURS


_OURS = "pytest_tfmem.isolate.program_child"
