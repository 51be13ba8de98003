"""How the figures of a run's tests went over the runs before it, and where they stepped to another level."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.digest.model import PastRun, Trend
from pytest_tfmem.gate.stepped import looked_at, stepped, with_commits

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tfmem.budgets.model import Tolerance
    from pytest_tfmem.gate.stepped import Step
    from pytest_tfmem.history.series import History, Point, SeriesKey


def joined(before: History, now: History) -> History:
    """The series of this run, each with what it was before under the same conditions."""
    points = {key: [*_others(before, key, ones[-1].run_id), *ones] for key, ones in now.points.items()}
    return msgspec.structs.replace(now, points=points)


def latest(history: History, runs: int) -> History:
    """The same series with their points of the latest so many runs alone."""
    ids = {run.id for run in past_of(history)[-runs:]}
    ends = ((key, ones[-runs:]) for key, ones in history.points.items())  # a run has one point of a series
    points = {key: kept for key, ones in ends if (kept := [one for one in ones if one.run_id in ids])}
    return msgspec.structs.replace(history, points=points)


def past_of(history: History) -> list[PastRun]:
    """The runs that there are values of, the oldest first."""
    runs: dict[str, Point] = {}
    for ones in history.points.values():
        runs.update((one.run_id, one) for one in ones if one.run_id not in runs)
    return [
        PastRun(id=one.run_id, started_at=one.started_at, commit=one.commit, branch=one.branch, dirty=one.dirty)
        for one in sorted(runs.values(), key=lambda one: (one.started_at, one.run_id))
    ]


def trends_of(
    history: History, past: list[PastRun], directory: Path, *, tolerance: Tolerance | None
) -> dict[str, list[Trend]]:
    """The trends of each test, by its id. `directory`: of the repository that knows the commits of the steps."""
    places = {run.id: place for place, run in enumerate(past)}
    steps: dict[SeriesKey, list[Step]] = defaultdict(list)
    for step in with_commits(stepped(looked_at(history), tolerance=tolerance), directory):
        steps[step.key].append(step)
    found: dict[str, list[Trend]] = defaultdict(list)
    for key, points in history.points.items():
        found[key.nodeid].append(
            Trend(
                figure=key.figure,
                gpu=key.gpu,
                exactness=points[-1].exactness,
                runs=[places[one.run_id] for one in points],
                bytes=[one.bytes for one in points],
                steps=steps.get(key, ()),
            )
        )
    return found


def _others(before: History, key: SeriesKey, run_id: str) -> list[Point]:
    return [one for one in before.points.get(key, []) if one.run_id != run_id]
