"""What is asked of a program: its limits and its runtime, as a command line has them."""

from __future__ import annotations

import os
import pkgutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from pytest_tfmem.budgets.names import unknown
from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.figures import FIGURES, Limit
from pytest_tfmem.isolate.allocators import (
    VARIABLES,
    Choice,
    choose_allocator,
    judged_limit,
    refuse_ignored_cpu_allocator,
)
from pytest_tfmem.isolate.ignored import ignored_values
from pytest_tfmem.isolate.reports import encodable
from pytest_tfmem.isolate.runtime import ARGUMENTS, Runtime, environment_of, parse_tf_runtime
from pytest_tfmem.program.words import refused_of_a_program
from pytest_tfmem.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_tfmem.isolate.allocators import GpuFacts

_OF_PROGRAMS = [figure for figure in FIGURES if figure != "leak"]  # which takes something to be called again
_LIMIT, _RUNTIME = "--limit", "--runtime"


@dataclass(frozen=True, kw_only=True)
class Program:
    """A script, or with `is_module` a module, and its arguments."""

    target: str
    is_module: bool
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        """By which its measurement is known. Its arguments are not part of that: they may hold secrets."""
        if self.is_module or not os.path.isabs(self.target):
            return encodable(self.target)
        path, here = Path(self.target), Path.cwd()
        return encodable(path.relative_to(here).as_posix() if path.is_relative_to(here) else self.target)

    @property
    def where(self) -> str:
        """Its first line, where annotations go; empty for a module."""
        return "" if self.is_module else f"{self.name}:1"

    def search_path(self) -> list[str]:
        """sys.path of an interpreter that is started on this: first the script's folder, or the current one."""
        rest = sys.path if sys.flags.safe_path else sys.path[1:]
        if not self.is_module and pkgutil.get_importer(self.target) is not None:
            return [os.path.abspath(self.target), *rest]  # a folder or a zip file with a __main__ in it
        if os.environ.get("PYTHONSAFEPATH"):
            return list(rest)
        return [os.getcwd() if self.is_module else os.path.dirname(os.path.realpath(self.target)), *rest]


def parse_limits(written: Sequence[str]) -> dict[str, Limit]:
    """The limits of `--limit FIGURE=SIZE`. Raises TfmemError for what is no figure or no size, and for one twice."""
    limits: dict[str, Limit] = {}
    for text in written:
        figure, size = _pair(text, _LIMIT, "FIGURE=SIZE, such as rss=1.5GiB")
        if figure not in _OF_PROGRAMS:
            raise unknown("figure", figure, _OF_PROGRAMS, where=_LIMIT)
        if figure in limits:
            raise TfmemError(f"{figure} has two limits", where=_LIMIT, hint="give each figure one")
        where = f"{_LIMIT} {one_line(text, most=60)}"
        limits[figure] = Limit(bytes=parse_size(size, where=where), where=where)
    return limits


def parse_runtime(written: Sequence[str]) -> Runtime:
    """The runtime of `--runtime KEY=VALUE`, with the keys of `tf_runtime`. Raises TfmemError where that would."""
    wanted: dict[str, Any] = {}
    for text in written:
        key, value = _pair(text, _RUNTIME, "KEY=VALUE, such as allocator=growth")
        if key not in ARGUMENTS:
            raise unknown("key", key, ARGUMENTS, where=_RUNTIME)
        if key in wanted:
            raise TfmemError(f"{key} is given twice", where=_RUNTIME, hint="give each key once")
        wanted[key] = _value(value)
    if isinstance(wanted.get("allocator"), list):
        raise TfmemError("allocator is one here: a list is for a test, of which it makes several", where=_RUNTIME)
    try:
        return parse_tf_runtime([((), wanted)])
    except TfmemError as error:
        raise refused_of_a_program(error) from None


def chosen(runtime: Runtime, gpus: Callable[[], GpuFacts]) -> Choice:
    """Which GPU allocator the program gets, if that is asked for; else it is its own business.

    A test gets the one whose figures are the best. A program is measured as it is. Raises TfmemError as for a test.
    """
    environment = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    try:
        refuse_ignored_cpu_allocator(runtime, environment)
        if runtime.allocator is not None or runtime.memory_limit_bytes is not None:
            return choose_allocator(runtime, environment, of_file=None, of_option=None, gpus=gpus)
    except TfmemError as error:
        raise refused_of_a_program(error) from None
    return Choice(
        allocator=None, where_from="default", notes=tuple(ignored_values(environment_of(runtime, environment)))
    )


def with_judged_limit(limits: dict[str, Limit], choice: Choice, runtime: Runtime) -> dict[str, Limit]:
    """The limits, and a memory_limit that the allocator does not enforce, as the ceiling on `gpu` that it is."""
    most, stricter = judged_limit(choice, runtime), limits.get("gpu")
    if most is None or (stricter is not None and stricter.bytes <= most):
        return limits
    return limits | {"gpu": Limit(bytes=most, where=f"{_RUNTIME} memory_limit")}


def with_allocator(runtime: Runtime, choice: Choice) -> Runtime:
    """The runtime with the allocator that was chosen."""
    if choice.allocator is None or choice.allocator == "memory_guard":
        return runtime
    return msgspec.structs.replace(runtime, allocator=choice.allocator)


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not value.strip():
        raise TfmemError(f"{one_line(repr(text), most=60)} is not understood", where=option, hint=f"write {form}")
    return name.strip(), value.strip()


def _value(text: str) -> Any:
    """A value as budgets.yaml would have it: a number, true or false, a mapping, else text."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
