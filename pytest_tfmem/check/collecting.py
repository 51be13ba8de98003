"""The pytest plugin of the process that collects for `tfmem check`: writes down what there is, and runs nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from pytest_tfmem.check.collected import Collected, CollectedTest, Uncollected
from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.isolate.arguments import neutralise_options
from pytest_tfmem.isolate.identity import collected_id, escaped
from pytest_tfmem.isolate.ignored import ignored_values
from pytest_tfmem.request import marker_budgets, marker_runtime, where_marked
from pytest_tfmem.session import TfmemSession
from pytest_tfmem.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_Read = TypeVar("_Read")

_ERROR = re.compile(r"[\w.]+: ")  # SyntaxError says its line and column before its name
_OPTION = "tfmem_collected"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tfmem-collected", dest=_OPTION, metavar="FILE", help="where to write what was collected")


@pytest.hookimpl(wrapper=True)  # around pytest-cov, which starts to measure in this hook if sources are named
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    if getattr(early_config.known_args_namespace, "cov_source", None):
        early_config.known_args_namespace.cov_source = None
    return (yield)


@pytest.hookimpl(tryfirst=True)  # before pytest is configured, and before pytest-xdist acts on its options
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    if not config.pluginmanager.hasplugin("tfmem"):
        raise pytest.UsageError("the plugin pytest-tfmem is switched off (-p no:tfmem)")
    neutralise_options(config)
    target = Path(config.getoption(_OPTION))
    try:
        session = TfmemSession(config, read_settings(config))
    except TfmemError as error:
        _write(target, Collected(mistake=escaped(str(error))))
        return pytest.ExitCode.USAGE_ERROR
    config.pluginmanager.register(Collecting(session, target), "tfmem-collecting")
    return None


class Collecting:
    """Keeps every test as it is collected, and says what they are once all are."""

    def __init__(self, session: TfmemSession, target: Path) -> None:
        self._session = session
        self._target = target
        self._items: list[pytest.Item] = []
        self._uncollected: list[Uncollected] = []

    @pytest.hookimpl(trylast=True)  # after the main plugin has kept the item's id
    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self._items.append(item)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._uncollected.append(Uncollected(nodeid=escaped(report.nodeid), said=_crash(report)))

    @pytest.hookimpl(trylast=True)  # after every plugin that adds markers to the items
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        file, path = self._session.budgets, self._session.settings.budgets
        collected = Collected(
            budgets=str(path) if path and file else None,
            shown=file.shown if file else "",
            root=escaped(str(session.config.rootpath)),
            history=self._session.settings.history,
            places=_places(session.config),
            tests=[self._test(item) for item in self._items],
            uncollected=self._uncollected,
        )
        _write(self._target, collected)

    def _test(self, item: pytest.Item) -> CollectedTest:
        budgets, problems = _attempt(marker_budgets, item)
        ignored, more_problems = _attempt(_ignored, item)
        return CollectedTest(
            nodeid=collected_id(item),
            measured=self._session.wants(item),
            markers=budgets,
            problems=[*problems, *more_problems, *ignored],
        )


def _attempt(read: Callable[[pytest.Item], list[_Read]], item: pytest.Item) -> tuple[list[_Read], list[str]]:
    """What is read of the item's markers, or nothing and the line that says what is wrong with one."""
    try:
        return read(item), []
    except TfmemError as error:
        return [], [escaped(str(error))]


def _ignored(item: pytest.Item) -> list[str]:
    """What TensorFlow would ignore of the variables in the item's markers. Raises TfmemError for a wrong marker."""
    said = ignored_values(marker_runtime(item).env)
    node = next((node for node, mark in item.iter_markers_with_node("tf_runtime") if "env" in mark.kwargs), None)
    if not said or node is None:
        return []
    where = where_marked(item, node, "tf_runtime", "env")
    return [f"{where}: tf_runtime(env=...): {sentence}" for sentence in said]


def _crash(report: pytest.CollectReport) -> str:
    """The line of an error that says what it was, rather than where it came through."""
    lines = [line.strip() for line in str(report.longrepr).splitlines() if line.strip()]
    errors = [line.removeprefix("E").strip() for line in lines if line.startswith("E  ")]
    named = [line for line in errors if _ERROR.match(line)]
    return one_line(escaped((named or errors or lines or ["pytest does not say why"])[0]))


def _places(config: pytest.Config) -> list[str]:
    """What of the suite was asked for, as node ids; the whole suite if `testpaths` says what that is."""
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        return [""]
    return [place for argument in config.args if (place := _place(argument, config)) is not None]


def _place(argument: str, config: pytest.Config) -> str | None:
    path, separator, rest = argument.partition("::")
    absolute = Path(config.invocation_params.dir, path).resolve()
    root = config.rootpath.resolve()
    if not absolute.exists() or not absolute.is_relative_to(root):
        return None  # the name of a package (--pyargs), or elsewhere: of no use to tell what is missing
    relative = absolute.relative_to(root).as_posix()
    return escaped(("" if relative == "." else relative) + separator + rest)


def _write(path: Path, collected: Collected) -> None:
    path.write_bytes(msgspec.json.encode(collected))
