"""What is in a store, listed: runs, or the series of some tests. Also the form in which commands write it as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.history.conditions import Conditions
from pytest_tfmem.history.recorded import RunInfo
from pytest_tfmem.history.series import Point

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_tfmem.budgets.pattern import Pattern
    from pytest_tfmem.history.series import History


class ListedRuns(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag="tfmem.runs/1"):
    """The runs of a store, the oldest first."""

    store: str
    runs: list[RunInfo]


class ListedSeries(msgspec.Struct, frozen=True, kw_only=True):
    """One series. `conditions` is the name under which they stand beside it."""

    nodeid: str
    figure: str
    gpu: int
    conditions: str
    points: list[Point]


class ListedHistory(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag="tfmem.series/1"):
    """Series by test and figure; those of the same one, under different conditions, by their first points."""

    store: str
    series: list[ListedSeries]
    conditions: dict[str, Conditions]


def list_series(store: str, history: History, pattern: Pattern, figures: Collection[str] = ()) -> ListedHistory:
    """The series of the tests that the pattern covers: of these figures alone, if any are given."""
    found = [
        ListedSeries(
            nodeid=key.nodeid, figure=key.figure, gpu=key.gpu, conditions=key.conditions, points=history.points[key]
        )
        for key in history.points
        if pattern.covers(key.nodeid) and (not figures or key.figure in figures)
    ]
    found.sort(key=lambda one: (one.nodeid, one.figure, one.gpu, one.points[0].started_at, one.conditions))
    names = {one.conditions for one in found}
    return ListedHistory(
        store=store, series=found, conditions={name: history.conditions[name] for name in sorted(names)}
    )
