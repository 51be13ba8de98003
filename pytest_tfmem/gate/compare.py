"""Each series of a run, held against its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.gate.changes import Baseline, Change
from pytest_tfmem.gate.level import level_of
from pytest_tfmem.gate.median import median
from pytest_tfmem.gate.tolerance import floor_bytes, is_gated, tolerance_for
from pytest_tfmem.history.conditions import differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_tfmem.budgets.model import Tolerance
    from pytest_tfmem.gate.changes import Standing
    from pytest_tfmem.gate.level import Level
    from pytest_tfmem.history.series import History, Point, SeriesKey

_LEAST_STEP = 0.01


def changes(
    now: History, before: History, *, tolerance: Tolerance | None, limited: Callable[[SeriesKey], bool]
) -> list[Change]:
    """What became of each gated series of `now`, by its latest session, in its order.

    `limited`: whether its test has a limit on its figure. `tolerance` is that of the budgets file, if it has one.
    Readings are held against those of the same exactness under the same conditions. Where there are none, and some
    under others, the series is incomparable; with too few of them it is new. Nothing is called regressed here: that
    takes more runs.
    """
    others = _latest_by_place(before)
    found = []
    for key, points in now.points.items():
        if not points:
            continue
        latest = _by_session(points)[-1]
        if not is_gated(key.figure, latest.exactness, limited=limited(key)):
            continue
        earlier = [point for point in before.points.get(key, []) if point.exactness == latest.exactness]
        other = others.get(_place(key))
        if not earlier and other is not None:
            told = differences(before.conditions.get(other.conditions, {}), now.conditions.get(key.conditions, {}))
            unlike = before.points[other][-1].exactness
            told += [f"exactness {unlike} -> {latest.exactness}"] * (unlike != latest.exactness)
            found.append(_unlike(key, latest, "incomparable", told))
        else:
            found.append(_held_against(key, latest, _by_session(earlier), tolerance))
    return found


def _held_against(key: SeriesKey, now: Point, earlier: list[Point], of_file: Tolerance | None) -> Change:
    allowed = tolerance_for(key.figure, now.exactness, of_file=of_file)
    values = [point.bytes for point in earlier]
    level = level_of(values, least_fraction=_least_step(values, allowed))
    if level is None:
        return _unlike(key, now, "new")
    before = median(level.values)
    floor = floor_bytes(allowed, before)
    first = earlier[level.begin]
    return Change(
        key=key,
        standing=_standing(now.bytes, level, floor),
        now_bytes=now.bytes,
        exactness=now.exactness,
        before_bytes=before,
        floor_bytes=floor,
        baseline=Baseline(values=level.values, since=first.started_at, since_commit=first.commit),
    )


def _least_step(values: list[int], allowed: Tolerance) -> float:
    """1 %, or what counts as a change if that is less: a level that was accepted must not be suspect again."""
    usual = median(values) if values else 0
    return min(_LEAST_STEP, floor_bytes(allowed, usual) / usual) if usual > 0 else _LEAST_STEP


def _standing(now_bytes: int, level: Level, floor: int) -> Standing:
    if level.is_exceeded(now_bytes, floor):
        return "suspect"
    return "improved" if level.is_undercut(now_bytes, floor) else "steady"


def _unlike(key: SeriesKey, now: Point, standing: Standing, told: Iterable[str] = ()) -> Change:
    return Change(key=key, standing=standing, now_bytes=now.bytes, exactness=now.exactness, differences=list(told))


def _by_session(points: Iterable[Point]) -> list[Point]:
    """One point for each session: the least, as what disturbs a peak makes it higher."""
    found: dict[str, Point] = {}
    for point in points:
        if point.run_id not in found or point.bytes < found[point.run_id].bytes:
            found[point.run_id] = point
    return list(found.values())


def _place(key: SeriesKey) -> tuple[str, str, int]:
    return key.nodeid, key.figure, key.gpu


def _latest_by_place(history: History) -> dict[tuple[str, str, int], SeriesKey]:
    """For each test, figure and GPU the series that has the latest point."""
    by_time = sorted((points[-1].started_at, key) for key, points in history.points.items() if points)
    return {_place(key): key for _, key in by_time}
