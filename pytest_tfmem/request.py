"""What is asked of one test: its budget and its runtime, from its markers, the file and the options."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pytest_tfmem.budgets.marker import MarkerBudget, parse_memory_budget
from pytest_tfmem.budgets.resolve import Budget, active_profiles, resolve
from pytest_tfmem.budgets.source import marker_line
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate.identity import collected_id
from pytest_tfmem.isolate.runtime import Runtime, parse_tf_runtime
from pytest_tfmem.measure.nvml import gpu_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.budgets.model import BudgetsFile
    from pytest_tfmem.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Request:
    """A test's budget, its runtime, and how long it may take."""

    budget: Budget
    runtime: Runtime
    timeout_seconds: float | None


class Requests:
    """Answers what is asked of each test of a session."""

    def __init__(self, settings: Settings, file: BudgetsFile | None) -> None:
        self._settings = settings
        self._file = file
        self._profiles: frozenset[str] | None = None

    def names(self, item: pytest.Item) -> bool:
        """Whether a budget of the file covers the test, so that it needs no marker."""
        return self._resolve(item, ()).named

    def of(self, item: pytest.Item) -> Request:
        """All that is asked of the test. Raises TfmemError for a marker that is wrong."""
        budget = self._resolve(item, marker_budgets(item))
        return Request(
            budget=budget,
            runtime=self._runtime(item),
            timeout_seconds=budget.timeout_seconds or self._settings.timeout_seconds,
        )

    def _resolve(self, item: pytest.Item, markers: Sequence[MarkerBudget]) -> Budget:
        today = dt.datetime.now(tz=dt.UTC).date()
        return resolve(collected_id(item), markers, self._file, profiles=self._active_profiles(), today=today)

    def _active_profiles(self) -> frozenset[str]:
        if self._profiles is None:
            needed = self._file is not None and bool(self._file.profiles)
            self._profiles = active_profiles(self._file, gpu_names()) if needed and self._file else frozenset()
        return self._profiles

    def _runtime(self, item: pytest.Item) -> Runtime:
        runtime = marker_runtime(item)
        if runtime.allocator is not None:
            return runtime
        of_file = self._file.defaults.allocator if self._file is not None else None
        return msgspec.structs.replace(runtime, allocator=of_file or self._settings.allocator)


def where_marked(item: pytest.Item, node: Any, marker: str, keyword: str | None) -> str:
    """`file:line` of a marker that the item has from `node`: itself, its class or its module."""
    named = [part for part in node.listchain() if isinstance(part, (pytest.Class, pytest.Function))]
    names = [getattr(part, "originalname", None) or part.name for part in named]
    line = marker_line(item.path, names, marker, keyword) or (item.location[1] or 0) + 1
    return f"{item.location[0]}:{line}"


def marker_budgets(item: pytest.Item) -> list[MarkerBudget]:
    """The budgets of the item's markers, the closest first. Raises TfmemError for a marker that is wrong."""
    budgets = []
    for node, mark in _closest_first(item, "memory_budget"):
        where = where_marked(item, node, "memory_budget", next(iter(mark.kwargs), None))
        budget = parse_memory_budget(mark.args, mark.kwargs, where=where)
        placed = {
            figure: msgspec.structs.replace(limit, where=where_marked(item, node, "memory_budget", figure))
            for figure, limit in budget.limits.items()
        }
        budgets.append(msgspec.structs.replace(budget, limits=placed))
    return budgets


def marker_runtime(item: pytest.Item) -> Runtime:
    """The runtime that the item's markers ask for. Raises TfmemError for a marker that is wrong."""
    try:
        return parse_tf_runtime([(mark.args, mark.kwargs) for _, mark in _closest_first(item, "tf_runtime")])
    except TfmemError as error:
        raise _placed(error, item, "tf_runtime") from None


def _closest_first(item: pytest.Item, marker: str) -> list[tuple[Any, pytest.Mark]]:
    """The item's marks of this name, each with the node that it is from.

    A parameter's own marks come before those of its function: pytest has them the other way round.
    """
    of_parameters = {id(mark) for mark in getattr(getattr(item, "callspec", None), "marks", ())}
    return sorted(item.iter_markers_with_node(marker), key=lambda found: id(found[1]) not in of_parameters)


def _placed(error: TfmemError, item: pytest.Item, marker: str) -> TfmemError:
    nodes = [node for node, _ in item.iter_markers_with_node(marker)]
    where = where_marked(item, nodes[0], marker, None) if nodes else item.location[0]
    return TfmemError(str(error), where=where)
