"""Steps: where series of a history went to another level, between which two runs, and what was committed in between."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.figures import Exactness
from pytest_tfmem.gate.median import median
from pytest_tfmem.gate.steps import steps
from pytest_tfmem.gate.tolerance import is_gated, tolerance_for
from pytest_tfmem.history.commits import Between, between
from pytest_tfmem.history.conditions import Conditions
from pytest_tfmem.history.series import SeriesKey

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from pytest_tfmem.budgets.model import Tolerance
    from pytest_tfmem.history.series import History, Point


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """The run at one side of a step, and the commit that it was of, if that is known."""

    run_id: str
    started_at: dt.datetime
    commit: str | None = None
    dirty: bool | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One series from one level to another.

    `before_bytes`, `after_bytes`: the medians of the levels, of so many runs each. `last`: the last run on the level
    before, `first`: the first on the one after. `between`: the commits that the one has and the other has not, None
    where git does not know them.
    """

    key: SeriesKey
    exactness: Exactness
    before_bytes: int
    after_bytes: int
    before_runs: int
    after_runs: int
    last: Stand
    first: Stand
    between: Between | None = None

    @property
    def change_bytes(self) -> int:
        return self.after_bytes - self.before_bytes


class SteppedDocument(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag="tfmem.steps/1"):
    """Steps, and in how much they were looked for. `conditions`: by fingerprint, those of the series that have one."""

    store: str
    runs: int
    series: int
    steps: list[Step]
    conditions: dict[str, Conditions]


def document_of(store: str, history: History, found: Sequence[Step], *, runs: int, series: int) -> SteppedDocument:
    names = sorted({step.key.conditions for step in found})
    conditions = {name: history.conditions[name] for name in names}
    return SteppedDocument(store=store, runs=runs, series=series, steps=[*found], conditions=conditions)


def looked_at(history: History, *, figures: Collection[str] = ()) -> History:
    """The series of the figures that the gate goes by, or of those named in `figures`."""
    points = {key: found for key, found in history.points.items() if _is_looked_at(key, found, figures)}
    return msgspec.structs.replace(history, points=points)


def stepped(history: History, *, tolerance: Tolerance | None = None) -> list[Step]:
    """The steps of these series, the latest first.

    A change of no more bytes than the tolerance of its figure has is none; `tolerance` is that of the budgets file.
    """
    found = [step for key, points in history.points.items() for step in _steps(key, points, tolerance)]
    return sorted(found, key=lambda step: (step.first.started_at, abs(step.change_bytes)), reverse=True)


def with_commits(found: Sequence[Step], directory: Path, *, most: int = 5) -> list[Step]:
    """The steps, each with the commits that lie in between, as the repository of `directory` knows them."""
    asked: dict[tuple[str, str], Between | None] = {}
    for step in found:
        ends = _ends(step)
        if ends and ends not in asked:
            asked[ends] = between(directory, *ends, most=most)
    return [msgspec.structs.replace(step, between=asked.get(_ends(step) or ("", ""))) for step in found]


def _is_looked_at(key: SeriesKey, points: Sequence[Point], figures: Collection[str]) -> bool:
    return key.figure in figures if figures else is_gated(key.figure, points[-1].exactness, limited=False)


def _steps(key: SeriesKey, points: Sequence[Point], tolerance: Tolerance | None) -> Iterator[Step]:
    starts = [0, *steps([point.bytes for point in points]), len(points)]
    levels = [points[start:end] for start, end in pairwise(starts)]
    for before, after in pairwise(levels):
        step = _step(key, before, after)
        allowed = tolerance_for(key.figure, step.exactness, of_file=tolerance)
        if abs(step.change_bytes) > allowed.bytes:
            yield step


def _step(key: SeriesKey, before: Sequence[Point], after: Sequence[Point]) -> Step:
    return Step(
        key=key,
        exactness=after[0].exactness,
        before_bytes=_level(before),
        after_bytes=_level(after),
        before_runs=len(before),
        after_runs=len(after),
        last=_stand(before[-1]),
        first=_stand(after[0]),
    )


def _level(points: Sequence[Point]) -> int:
    return median([point.bytes for point in points])


def _stand(point: Point) -> Stand:
    return Stand(run_id=point.run_id, started_at=point.started_at, commit=point.commit, dirty=point.dirty)


def _ends(step: Step) -> tuple[str, str] | None:
    before, after = step.last.commit, step.first.commit
    return (before, after) if before and after else None
