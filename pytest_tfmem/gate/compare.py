"""Each series of a run, held against its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.gate.changes import Baseline, Change
from pytest_tfmem.gate.median import median
from pytest_tfmem.gate.nominate import LEAST_SESSIONS, improved, nominated
from pytest_tfmem.gate.steps import steps
from pytest_tfmem.gate.tolerance import floor_bytes, is_gated, tolerance_for
from pytest_tfmem.history.conditions import differences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_tfmem.budgets.model import Tolerance
    from pytest_tfmem.gate.changes import Standing
    from pytest_tfmem.history.series import History, Point, SeriesKey


def changes(
    now: History, before: History, *, tolerance: Tolerance | None, limited: Callable[[SeriesKey], bool]
) -> list[Change]:
    """What became of each gated series of `now`, in its order. `limited`: whether its test has a limit on its figure.

    `tolerance` is that of the budgets file, if it has one. Nothing is called regressed here: that takes more runs.
    """
    others = _latest_by_place(before)
    found = []
    for key, points in now.points.items():
        if not points or not is_gated(key.figure, points[-1].exactness, limited=limited(key)):
            continue
        earlier = before.points.get(key)
        if earlier:
            found.append(_held_against(key, points[-1], earlier, tolerance))
        else:
            found.append(_without_history(key, points[-1], others.get(_place(key)), now, before))
    return found


def _held_against(key: SeriesKey, now: Point, earlier: Sequence[Point], of_file: Tolerance | None) -> Change:
    values = [point.bytes for point in earlier]
    first = [0, *steps(values)][-1]
    values = values[first:]
    if len(values) < LEAST_SESSIONS:
        return _without_history(key, now, None, None, None)
    middle = median(values)
    floor = floor_bytes(tolerance_for(key.figure, now.exactness, of_file=of_file), middle)
    return Change(
        key=key,
        standing=_standing(now.bytes, values, floor),
        now_bytes=now.bytes,
        exactness=now.exactness,
        before_bytes=middle,
        floor_bytes=floor,
        baseline=Baseline(values=values, since=earlier[first].started_at, since_commit=earlier[first].commit),
    )


def _standing(now_bytes: int, values: Sequence[int], floor: int) -> Standing:
    if nominated(now_bytes, values, floor):
        return "suspect"
    return "improved" if improved(now_bytes, values, floor) else "steady"


def _without_history(
    key: SeriesKey, now: Point, other: SeriesKey | None, in_now: History | None, in_before: History | None
) -> Change:
    told: list[str] = []
    if other and in_now and in_before:
        told = differences(in_before.conditions.get(other.conditions, {}), in_now.conditions.get(key.conditions, {}))
    standing: Standing = "incomparable" if other else "new"
    return Change(key=key, standing=standing, now_bytes=now.bytes, exactness=now.exactness, differences=told)


def _place(key: SeriesKey) -> tuple[str, str, int]:
    return key.nodeid, key.figure, key.gpu


def _latest_by_place(history: History) -> dict[tuple[str, str, int], SeriesKey]:
    """For each test, figure and GPU the series that has the latest point."""
    by_time = sorted((points[-1].started_at, key) for key, points in history.points.items() if points)
    return {_place(key): key for _, key in by_time}
