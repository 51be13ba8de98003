"""The options and ini keys as they are declared to pytest, and what was given for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pytest_tfmem.allocators import ALLOCATORS

if TYPE_CHECKING:
    import pytest

DEFAULT_BUDGETS = "budgets.yaml"
DEFAULT_INTERVAL_SECONDS = 0.02
DEFAULT_HISTORY = ".tfmem/runs"
ATTEMPT_VARIABLE = "PYTEST_TFMEM_ATTEMPT"  # by which whatever an attempt of the gate started is known
HISTORY_VARIABLE = "TFMEM_HISTORY"  # for a URL with a password, which is to stand in no file and on no command line
START_METHODS = ("auto", "spawn", "forkserver")
GPU_MODES = ("auto", "require", "off")
FAIL_ON = ("over", "regression", "nothing")
EXPLAIN = ("breach", "always", "off")
UPDATES = ("create", "raise", "trim", "prune", "preview")
OFF = "off"


class _Option(NamedTuple):  # made in a tenth of a dataclass's time, and every session makes it
    """One option `--tfmem-name` with its ini key `tfmem_name`. Options default to None: not given.

    `bare` is the value that the option has without one, if it may be given so.
    """

    name: str
    help: str
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    flag: str | None = None
    bare: str | None = None

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
        "say what held the memory, by a second run under a profiler: breach: of tests over a limit; always: of every"
        " measured test; without a value: breach. Also measures gpu_tensors, the bytes that tensors asked for, where"
        " the allocator rounds up (default: off)",
        "WHEN",
        bare="breach",
    ),
    _Option("tfmem_json", "write the run document to FILE", "FILE"),
    _Option(
        "tfmem_history",
        f"keep run files in this folder, or in this database too; {OFF}: keep none (default: {DEFAULT_HISTORY})",
        "DIR",
    ),
    _Option(
        "tfmem_baseline",
        f"hold the run against these runs: run files, folders or databases, with commas between; {OFF}: against none"
        " (default: the history)",
        "PATH",
    ),
    _Option(
        "tfmem_fail_on",
        "regression: a test whose exact device figures have grown fails, as one that is over its limits does; nothing:"
        " no test fails by what it used (default: over)",
        choices=FAIL_ON,
    ),
    _Option(
        "tfmem_update",
        f"change the budgets file by what was measured; some of {', '.join(UPDATES)}, with commas between",
        "WHAT",
    ),
    _Option("tfmem_shard", "which part of the suite this session runs, such as 2/4", "I/N"),
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
        if option.bare is not None:
            keywords.update(nargs="?", const=option.bare)
    group.addoption(option.option, **keywords)


def given(config: pytest.Config, name: str) -> Any:
    """What was given by option, else by ini key."""
    option = config.getoption(name, None)
    return config.getini(name) if option is None else option


def given_by(config: pytest.Config, name: str) -> str:
    """The option, or the file and its key, that the value was given by."""
    option = next(option for option in _OPTIONS if option.name == name)
    return option.option if config.getoption(name, None) is not None else f"{ini_name(config)}: {name}"


def ini_name(config: pytest.Config) -> str:
    """How messages name the file with the ini keys."""
    return config.inipath.name if config.inipath else "ini"
