"""The frameworks that a test's file imports: what a server may import ahead, so that no test has to.

A server imports exactly what the file does, or its tests would read the memory of a framework that they do not use, or
lack what their first use of it costs.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FRAMEWORKS = ("tensorflow", "keras", "tf_keras", "jax", "torch", "numpy")

Frameworks = frozenset[str]
_NEEDED: pytest.StashKey[Frameworks] = pytest.StashKey()


def imported_by(module: ModuleType) -> Frameworks:
    """The frameworks that the module, and what it has names of, imports, as far as its names tell."""
    found: set[str] = set()
    seen = {module.__name__}
    ahead = [module]
    while ahead:
        for name in _named_in(ahead.pop()):
            top = name.partition(".")[0]
            if top in FRAMEWORKS:
                found.add(top)
            elif name not in seen and top not in sys.stdlib_module_names:
                seen.add(name)
                made_by: Any = sys.modules.get(name)
                if issubclass(type(made_by), ModuleType):
                    ahead.append(made_by)
    return reduced(found)


def needed_by(item: pytest.Item) -> Frameworks:
    """The frameworks that are imported when the test's file is collected: by itself, its conftests and plugins."""
    module = item.getparent(pytest.Module)
    if module is None or not isinstance(module.obj, ModuleType):
        return frozenset()  # a text with doctests
    if _NEEDED not in module.stash:
        plugins = [plugin for plugin in item.config.pluginmanager.get_plugins() if isinstance(plugin, ModuleType)]
        modules = [module.obj, *(plugin for plugin in plugins if _is_for(plugin, item.path))]
        module.stash[_NEEDED] = reduced(name for one in modules for name in imported_by(one))
    return module.stash[_NEEDED]


def _is_for(plugin: ModuleType, path: Path) -> bool:
    file = Path(plugin.__file__ or "")
    return file.name != "conftest.py" or file.parent in path.parents


def reduced(frameworks: Iterable[str]) -> Frameworks:
    """Those of them that do not come with another of them."""
    found = set(frameworks)
    if len(found) > 1:
        found.discard("numpy")
    if "tensorflow" in found:
        found.discard("keras")  # TensorFlow imports it
    elif "keras" in found and os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        found = found - {"keras"} | {"tensorflow"}
    return frozenset(found)


def loaded() -> set[str]:
    """The frameworks that are imported in this process."""
    return {name for name in FRAMEWORKS if name in sys.modules}


class Requests:
    """The frameworks that were asked for while `watch` watched, whether they had been imported or not."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Watch `import` and importlib.import_module. A framework's own imports of itself do not count."""
        plain_import, plain_import_module = builtins.__import__, importlib.import_module

        def watched_import(name: str, globals: Any = None, *rest: Any, **more: Any) -> ModuleType:  # noqa: A002  as Python names it
            self._note(name, (globals or {}).get("__name__"))
            return plain_import(name, globals, *rest, **more)

        def watched_import_module(name: str, package: str | None = None) -> ModuleType:
            self._note(name, package)
            return plain_import_module(name, package)

        builtins.__import__, importlib.import_module = watched_import, watched_import_module
        try:
            yield
        finally:
            builtins.__import__, importlib.import_module = plain_import, plain_import_module

    def _note(self, name: str, importer: object) -> None:
        top = name.partition(".")[0]
        if top in FRAMEWORKS and str(importer or "").partition(".")[0] != top:
            self.names.add(top)


def _named_in(module: ModuleType) -> Iterator[str]:
    """Names of the modules that are, or have made, what the module has names of."""
    for value in list(_namespace(module).values()):
        # By its type alone: an object may claim to be of any class, as mocks do, and run anything when asked.
        kind = type(value)
        if issubclass(kind, ModuleType):
            yield str(_namespace(value).get("__name__", ""))
        elif issubclass(kind, FunctionType):
            yield str(value.__module__)
        elif issubclass(kind, type):
            for base in value.__mro__:
                yield str(base.__dict__.get("__module__", ""))


def _namespace(module: ModuleType) -> dict[str, Any]:
    # A module that is loaded when it is first used would be by anything that is asked of itself.
    found: dict[str, Any] = object.__getattribute__(module, "__dict__")
    return found
