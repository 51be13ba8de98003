"""Every option and ini key, declared once and read once into Settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pytest_tfmem.allocators import ALLOCATORS
from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.units import parse_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_tfmem.allocators import Allocator

DEFAULT_BUDGETS = "budgets.yaml"
DEFAULT_INTERVAL_SECONDS = 0.02
START_METHODS = ("auto", "spawn", "forkserver")
GPU_MODES = ("auto", "require", "off")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user has settled for this session, by option, ini key or default.

    `budgets` is the budgets file if it was named or is there. `preload` are the modules that servers import ahead,
    None where the plugin is to find out. `in_process` says why tests run in pytest's own process, unmeasured
    ("--pdb"); it is empty when they do not. `explain` asks for gpu_tensors where that takes a second run. `lease_dir`
    is where sessions find each other's locks on cards, None for the place that is usual on the host.
    """

    budgets: Path | None
    start_method: Literal["auto", "spawn", "forkserver"]
    preload: tuple[str, ...] | None
    allocator: Allocator | None
    gpu: Literal["auto", "require", "off"]
    timeout_seconds: float | None
    interval_seconds: float
    measure_all: bool
    in_process: str
    json: Path | None
    junit_properties: bool
    explain: bool
    lease_dir: Path | None


class _Option(NamedTuple):  # made in a tenth of a dataclass's time, and every session makes it
    """One option `--tfmem-name` with its ini key `tfmem_name`. Options default to None: not given."""

    name: str
    help: str
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    flag: str | None = None

    @property
    def option(self) -> str:
        return self.flag or "--" + self.name.replace("_", "-")

    @property
    def is_switch(self) -> bool:
        return self.metavar is None and self.choices is None


_OPTIONS = (
    _Option("tfmem_budgets", f"the file with the budgets (default: {DEFAULT_BUDGETS} in the root directory)", "FILE"),
    _Option("tfmem_start_method", "how a test's fresh process comes to be (default: auto)", choices=START_METHODS),
    _Option("tfmem_allocator", "TensorFlow's GPU allocator for tests that name none", choices=ALLOCATORS),
    _Option(
        "tfmem_gpu",
        "auto: device limits that cannot be measured are reported as not measured; require: they fail the test;"
        " off: they are not measured (default: auto)",
        choices=GPU_MODES,
    ),
    _Option("tfmem_timeout", "end an isolated test that runs longer (default: no timeout)", "SECONDS"),
    _Option("tfmem_interval", f"time between samples (default: {DEFAULT_INTERVAL_SECONDS})", "SECONDS"),
    _Option("tfmem_all", "measure every test, each in a fresh process"),
    _Option("no_tfmem", "run every test in pytest's own process and measure nothing"),
    _Option(
        "tfmem_explain",
        "measure gpu_tensors, the bytes that tensors asked for, in a second run with TensorFlow's profiler, for tests"
        " whose allocator rounds up",
    ),
    _Option("tfmem_json", "write the run document to FILE", "FILE"),
)


def declare(parser: pytest.Parser) -> None:
    """Declare every option and ini key to pytest."""
    group = parser.getgroup("tfmem", "memory budgets (pytest-tfmem)")
    for option in _OPTIONS:
        _declare(group, option)
        kind: Literal["bool", "string"] = "bool" if option.is_switch else "string"
        parser.addini(option.name, option.help, type=kind, default=None)
    parser.addini(
        "tfmem_preload",
        "modules that a server imports before it forks tests (default: the frameworks that the test's file imports)",
        type="args",
        default=None,
    )
    parser.addini(
        "tfmem_lease_dir",
        "a folder for the locks by which sessions share cards (default: a folder that all sessions of the host share)",
        type="string",
        default=None,
    )
    parser.addini("tfmem_junit_properties", "write tfmem.* properties to JUnit XML", type="bool", default=True)
    parser.addini("verbosity_tfmem", "verbosity of the section 'memory budgets' (default: auto)", default="auto")


def _declare(group: Any, option: _Option) -> None:
    keywords: dict[str, Any] = {"dest": option.name, "default": None, "help": option.help}
    if option.is_switch:
        keywords["action"] = "store_true"
    else:
        keywords["metavar"] = option.metavar
        keywords["choices"] = option.choices
    group.addoption(option.option, **keywords)


def read_settings(config: pytest.Config) -> Settings:
    """Settings of this session. Raises TfmemError for a value that is not one."""
    return Settings(
        budgets=_budgets(config),
        start_method=_start_method(config),
        preload=_preload(config),
        allocator=_chosen(config, "tfmem_allocator", ALLOCATORS, None),
        gpu=_chosen(config, "tfmem_gpu", GPU_MODES, "auto"),
        timeout_seconds=_parsed(config, "tfmem_timeout", parse_seconds),
        interval_seconds=_parsed(config, "tfmem_interval", parse_seconds) or DEFAULT_INTERVAL_SECONDS,
        measure_all=bool(_value(config, "tfmem_all")),
        in_process=_in_process(config),
        json=_json(config),
        junit_properties=bool(config.getini("tfmem_junit_properties")),
        explain=bool(_value(config, "tfmem_explain")),
        lease_dir=_lease_dir(config),
    )


def _value(config: pytest.Config, name: str) -> Any:
    given = config.getoption(name, None)
    return config.getini(name) if given is None else given


def _where(config: pytest.Config, name: str) -> str:
    option = next(option for option in _OPTIONS if option.name == name)
    return option.option if config.getoption(name, None) is not None else f"{_ini_name(config)}: {name}"


def _ini_name(config: pytest.Config) -> str:
    return config.inipath.name if config.inipath else "ini"


def _parsed(config: pytest.Config, name: str, parse: Callable[..., float]) -> float | None:
    value = _value(config, name)
    return None if value in {None, ""} else parse(value, where=_where(config, name))


def _chosen(config: pytest.Config, name: str, choices: tuple[str, ...], default: str | None) -> Any:
    value = _value(config, name) or default
    if value is not None and value not in choices:
        shown = one_line(repr(value), most=60)
        hint = f"choose one of {', '.join(choices)}"
        raise TfmemError(f"{shown} is not a choice", where=_where(config, name), hint=hint)
    return value


def _start_method(config: pytest.Config) -> Literal["auto", "spawn", "forkserver"]:
    method: Literal["auto", "spawn", "forkserver"] = _chosen(config, "tfmem_start_method", START_METHODS, "auto")
    if method == "forkserver":
        from pytest_tfmem.isolate.fitness import why_no_forkserver  # noqa: PLC0415  only where it is forced

        reason = why_no_forkserver()
        if reason:
            where = _where(config, "tfmem_start_method")
            raise TfmemError(f"forkserver is not possible here: {reason}", where=where, hint="use auto or spawn")
    return method


def _preload(config: pytest.Config) -> tuple[str, ...] | None:
    named = config.getini("tfmem_preload")
    if named is None:
        return None
    for name in named:
        if not all(part.isidentifier() for part in name.split(".")):
            where = f"{_ini_name(config)}: tfmem_preload"
            raise TfmemError(f"{one_line(repr(name), most=60)} is not a module's name", where=where)
    return tuple(named)


def _budgets(config: pytest.Config) -> Path | None:
    named = _value(config, "tfmem_budgets")
    if config.getoption("tfmem_budgets", None):
        return Path(config.invocation_params.dir, named)
    if named:
        return Path(config.inipath.parent if config.inipath else config.rootpath, named)
    usual = config.rootpath / DEFAULT_BUDGETS
    return usual if usual.exists() else None


def _json(config: pytest.Config) -> Path | None:
    named = _value(config, "tfmem_json")
    if not named:
        return None
    path = Path(config.invocation_params.dir, named)
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise TfmemError(f"{one_line(str(named))} {what}", where=_where(config, "tfmem_json"), hint="name a file")
    return path


def _lease_dir(config: pytest.Config) -> Path | None:
    named = config.getini("tfmem_lease_dir")
    if not named:
        return None
    path = Path(config.inipath.parent if config.inipath else config.rootpath, named)
    if path.exists() and not path.is_dir():
        where = f"{_ini_name(config)}: tfmem_lease_dir"
        raise TfmemError(f"{one_line(str(named))} is not a folder", where=where, hint="name a folder")
    return path


def _in_process(config: pytest.Config) -> str:
    if _value(config, "no_tfmem"):
        return "--no-tfmem"
    for name, option in (
        ("usepdb", "--pdb"),
        ("trace", "--trace"),
        ("setupplan", "--setup-plan"),
        ("setuponly", "--setup-only"),
        ("setupshow", "--setup-show"),
    ):
        if config.getoption(name, False):
            return option
    return ""
