"""The frameworks that a file imports: told by its names, and seen when it is imported."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import pytest

from pytest_tfmem.isolate import frameworks
from pytest_tfmem.isolate.frameworks import FRAMEWORKS, Requests, imported_by, needed_by, reduced


@pytest.fixture
def module(monkeypatch):
    """Makes a module of this name that has run `code`, and is imported."""

    def make(name, code=""):
        made = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, made)
        exec(code, vars(made))
        return made

    return make


@pytest.fixture
def installed(module):
    """Every framework, with a part of its own, a function and a class."""
    for name in FRAMEWORKS:
        module(f"{name}.nn", "def relu(): pass\nclass Layer: pass")
        module(name, f"import sys; nn = sys.modules['{name}.nn']")


@pytest.mark.usefixtures("installed")
class TestImportedBy:
    @pytest.mark.parametrize(
        "code",
        [
            "import torch",
            "import torch as other",
            "from torch import nn",
            "import torch.nn as nn",
            "from torch.nn import relu",
            "from torch.nn import Layer",
            "from torch.nn import Layer\nclass Mine(Layer): pass",
        ],
    )
    def test_a_framework_is_told_by_any_name_of_it(self, module, code):
        assert imported_by(module("test_it", code)) == {"torch"}

    @pytest.mark.parametrize("code", ["", "import os, json", "x = 'torch'", "import torchlike"])
    def test_a_file_without_one_has_none(self, module, code):
        module("torchlike")
        assert imported_by(module("test_it", code)) == frozenset()

    @pytest.mark.parametrize(
        "code",
        ["import helpers", "from helpers import help", "from helpers import Base\nclass TestIt(Base): pass"],
        ids=["module", "function", "base class"],
    )
    def test_one_is_found_in_what_the_file_has_from_another_module(self, module, code):
        module("helpers", "import jax\ndef help(): pass\nclass Base: pass")
        assert imported_by(module("test_it", code)) == {"jax"}

    def test_one_is_found_through_any_number_of_modules(self, module):
        module("deepest", "import jax\nclass Deepest: pass")
        module("deeper", "from deepest import Deepest\ndef deeper(): pass")
        module("deep", "from deeper import deeper\nclass Deep: pass")
        assert imported_by(module("test_it", "from deep import Deep")) == {"jax"}

    def test_modules_that_have_each_other_are_looked_through_once(self, module):
        first = module("first", "import numpy")
        second = module("second", "import first")
        first.second = second
        assert imported_by(module("test_it", "import second")) == {"numpy"}

    def test_pythons_own_modules_are_not_looked_through(self, module, monkeypatch):
        monkeypatch.setattr(json := importlib.import_module("json"), "torch", sys.modules["torch"], raising=False)
        assert imported_by(module("test_it", "import json")) == frozenset()
        assert json.torch is sys.modules["torch"]

    def test_several_are_told_if_none_comes_with_another(self, module):
        assert imported_by(module("test_it", "import torch, tensorflow")) == {"torch", "tensorflow"}

    def test_a_mock_of_a_module_is_no_module(self, module):
        made = module("test_it", "import torch")
        made.fake, made.function = Mock(spec=sys), Mock(spec=test_a_framework_and_numpy_are_the_framework)
        assert imported_by(made) == {"torch"}

    def test_what_raises_whatever_it_is_asked_is_not_asked(self, module):
        class Unbound:
            def __getattribute__(self, name):
                raise RuntimeError(f"{name} outside of a context")

        made = module("test_it", "import torch")
        made.current = Unbound()
        assert imported_by(made) == {"torch"}

    def test_what_says_nothing_of_where_it_comes_from_is_passed_over(self, module):
        made = module("test_it", "import torch\ndef function(): pass\nclass Other: pass\nother = type(torch)('x')")
        made.function.__module__ = made.Other.__module__ = None
        del made.other.__name__
        assert imported_by(made) == {"torch"}

    def test_a_module_that_is_forbidden_or_replaced_is_passed_over(self, module, monkeypatch):
        made = module("test_it", "import torch\ndef of_one(): pass\ndef of_other(): pass")
        made.of_one.__module__, made.of_other.__module__ = "forbidden", "replaced"
        monkeypatch.setitem(sys.modules, "forbidden", None)
        monkeypatch.setitem(sys.modules, "replaced", 7)
        assert imported_by(made) == {"torch"}

    def test_a_module_that_is_loaded_when_it_is_first_used_is_not_loaded(self, module, tmp_path, monkeypatch):
        (tmp_path / "lazy.py").write_text("import torch\nraise SystemExit('loaded')")
        spec = importlib.util.spec_from_file_location("lazy", tmp_path / "lazy.py")
        spec.loader = importlib.util.LazyLoader(spec.loader)
        lazy = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "lazy", lazy)
        spec.loader.exec_module(lazy)
        made = module("test_it", "import torch")
        made.lazy = lazy
        assert imported_by(made) == {"torch"}
        assert "torch" not in object.__getattribute__(lazy, "__dict__")


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow", "tf_keras"])
def test_a_framework_and_numpy_are_the_framework(framework):
    assert reduced([framework, "numpy"]) == {framework}


@pytest.mark.parametrize(
    ("backend", "found", "needed"),
    [
        (None, ["keras"], {"tensorflow"}),
        ("tensorflow", ["keras", "numpy"], {"tensorflow"}),
        ("torch", ["keras"], {"keras"}),
        ("torch", ["keras", "torch"], {"keras", "torch"}),
        ("torch", ["keras", "tensorflow"], {"tensorflow"}),
        (None, ["numpy"], {"numpy"}),
        (None, [], set()),
    ],
)
def test_keras_comes_with_tensorflow_unless_its_backend_is_another(monkeypatch, backend, found, needed):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if backend is not None:
        monkeypatch.setenv("KERAS_BACKEND", backend)
    assert reduced(found) == needed


def test_what_is_loaded_is_what_is_imported(monkeypatch):
    for name in FRAMEWORKS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "jax", ModuleType("jax"))
    assert frameworks.loaded() == {"jax"}


class TestNeededBy:
    @pytest.fixture
    def items(self, pytester, monkeypatch):
        """Collects; `items(...)` has the tests by the names of their files."""
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # some import NumPy where it is installed
        for name in ("torch", "jax", "tf_keras"):
            monkeypatch.delitem(sys.modules, name, raising=False)
            pytester.makepyfile(**{name: ""})
        pytester.syspathinsert()

        def collect(*arguments):
            found, _ = pytester.inline_genitems("-p", "no:cacheprovider", *arguments)
            return {item.path.name: item for item in found}

        return collect

    def test_a_test_needs_what_its_file_imports(self, pytester, items):
        pytester.makepyfile(test_a="import torch\ndef test(): pass", test_b="def test(): pass")
        found = items()
        assert needed_by(found["test_a.py"]) == {"torch"}
        assert needed_by(found["test_b.py"]) == frozenset()

    def test_a_test_needs_what_the_conftests_above_it_import_and_no_others(self, pytester, items):
        for folder, framework in (("one", "torch"), ("two", "jax")):
            pytester.mkpydir(folder)
            (pytester.path / folder / "conftest.py").write_text(f"import {framework}")
            (pytester.path / folder / f"test_{folder}.py").write_text("import tf_keras\ndef test(): pass")
        found = items()
        assert needed_by(found["test_one.py"]) == {"torch", "tf_keras"}
        assert needed_by(found["test_two.py"]) == {"jax", "tf_keras"}

    def test_a_test_needs_what_plugins_import(self, pytester, items):
        pytester.makepyfile(test_a="def test(): pass", its_plugin="import jax")
        assert needed_by(items("-p", "its_plugin")["test_a.py"]) == {"jax"}

    def test_a_file_is_looked_through_once(self, pytester, items):
        pytester.makepyfile(test_a="def test(): pass")
        item = items()["test_a.py"]
        first = needed_by(item)
        item.module.torch = ModuleType("torch")
        assert needed_by(item) is first

    def test_a_text_with_doctests_needs_nothing(self, pytester, items):
        pytester.maketxtfile(test_text=">>> import torch")
        assert needed_by(items()["test_text.txt"]) == frozenset()


class TestRequests:
    @pytest.fixture
    def asked(self, module):
        """What of the frameworks, all imported by now, `code` asks for when it runs in a module of this name."""
        for name in FRAMEWORKS:
            module(f"{name}.nn")
            module(name)

        def run(code, name="test_it"):
            requests = Requests()
            with requests.watch():
                module(name, code)
            return requests.names

        return run

    @pytest.mark.parametrize(
        "code",
        [
            "import torch",
            "import torch.nn",
            "import torch.nn as nn",
            "from torch import *",
            "import importlib; importlib.import_module('torch.nn')",
            "__import__('torch')",
            "import json, torch",
        ],
    )
    def test_a_framework_is_asked_for_though_it_is_imported(self, asked, code):
        assert asked(code) == {"torch"}

    def test_one_that_is_not_there_is_asked_for(self, asked, monkeypatch):
        monkeypatch.setitem(sys.modules, "jax", None)
        assert asked("try: import jax\nexcept ImportError: pass") == {"jax"}

    @pytest.mark.parametrize("code", ["", "import json", "import importlib; importlib.import_module('json')"])
    def test_what_is_no_framework_is_not_noted(self, asked, code):
        assert asked(code) == set()

    def test_what_a_framework_imports_of_itself_is_not_asked_for(self, asked):
        assert asked("import torch.nn", name="torch.sub") == set()
        assert asked("import importlib; importlib.import_module('.nn', 'torch')") == set()

    def test_what_a_framework_imports_of_another_is_asked_for(self, asked):
        assert asked("import numpy", name="torch.sub") == {"numpy"}

    def test_the_ways_to_import_are_put_back(self, asked):
        before = builtins.__import__, importlib.import_module
        assert asked("import torch") == {"torch"}
        assert (builtins.__import__, importlib.import_module) == before

    def test_they_are_put_back_after_an_error(self, asked):
        before = builtins.__import__, importlib.import_module
        with pytest.raises(ModuleNotFoundError):
            asked("import nowhere_at_all")
        assert (builtins.__import__, importlib.import_module) == before

    def test_what_is_imported_afterwards_is_not_noted(self, module):
        module("torch")
        requests = Requests()
        with requests.watch():
            pass
        importlib.import_module("torch")
        assert requests.names == set()

    def test_an_import_is_what_it_would_have_been(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "tfmem_package").mkdir()
        (tmp_path / "tfmem_package" / "__init__.py").write_text("from . import part\nfrom .part import *")
        (tmp_path / "tfmem_package" / "part.py").write_text("__all__ = ['value']\nvalue = 7")
        with Requests().watch():
            from tfmem_package import part
        assert (part.__name__, Path(part.__file__).name) == ("tfmem_package.part", "part.py")
        assert sys.modules["tfmem_package"].value == 7
        for name in ("tfmem_package", "tfmem_package.part"):
            del sys.modules[name]
