"""The noise of series, learned from repeated runs of the same code, and what limit and tolerance that asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.budgets.model import Tolerance
from pytest_tfmem.figures import FIGURES, Exactness, Limit
from pytest_tfmem.gate.noise import Noise, deserved_tolerance, noise, proposed_limit
from pytest_tfmem.gate.nominate import LEAST_SESSIONS
from pytest_tfmem.gate.tolerance import PROPOSED, is_gated
from pytest_tfmem.history.series import SeriesKey, counts, history_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.history.recorded import RecordedRun


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned of one series. `values` are its readings in bytes, the oldest first.

    `tolerance` and `limit_bytes` are what such noise asks for; None where none is proposed: of what was only sampled,
    of too few readings, and of figures that the gate does not go by. `limit`: the one that is in force.
    """

    key: SeriesKey
    exactness: Exactness
    values: list[int]
    noise: Noise
    tolerance: Tolerance | None = None
    limit_bytes: int | None = None
    limit: Limit | None = None


class Unsteady(msgspec.Struct, frozen=True, kw_only=True):
    """A test that gave no reading in some of the runs: how often it did not pass, or was not measured."""

    nodeid: str
    times: int


class Calibration(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag="tfmem.calibration/1"):
    """What repeated runs have shown: the ids of those runs, their series, and tests that gave none in some of them."""

    runs: list[str]
    series: list[Learned] = []
    unsteady: list[Unsteady] = []


def calibrated(runs: Sequence[RecordedRun]) -> Calibration:
    """What these runs of the same code have shown."""
    limits = {test.nodeid: test.limits for run in runs for test in run.tests}
    found = history_of(list(runs))
    order = {nodeid: number for number, nodeid in enumerate(limits)}
    figures = list(FIGURES)
    series = [
        _learned(key, [point.bytes for point in points], points[-1].exactness, limits[key.nodeid].get(key.figure))
        for key, points in found.points.items()
    ]
    series.sort(key=lambda one: (order[one.key.nodeid], figures.index(one.key.figure), one.key.gpu))
    return Calibration(runs=[run.run.id for run in runs], series=series, unsteady=_unsteady(runs))


def proposed(calibration: Calibration) -> list[Learned]:
    """The series with a limit that is proposed, those of a test together: of several GPUs the one with the greatest."""
    greatest: dict[tuple[str, str], Learned] = {}
    for one in calibration.series:
        if one.limit_bytes is not None:
            place = one.key.nodeid, one.key.figure
            if place not in greatest or one.limit_bytes > (greatest[place].limit_bytes or 0):
                greatest[place] = one
    return list(greatest.values())


def _learned(key: SeriesKey, values: list[int], exactness: Exactness, limit: Limit | None) -> Learned:
    learned = Learned(key=key, exactness=exactness, values=values, noise=noise(values), limit=limit)
    wanted = limit is not None or (key.figure in PROPOSED and max(values) > 0)
    if len(values) < LEAST_SESSIONS or not wanted or not is_gated(key.figure, exactness, limited=limit is not None):
        return learned
    tolerance = deserved_tolerance(values)
    return msgspec.structs.replace(learned, tolerance=tolerance, limit_bytes=proposed_limit(values, tolerance))


def _unsteady(runs: Sequence[RecordedRun]) -> list[Unsteady]:
    good: dict[str, int] = {}
    for run in runs:
        for test in run.tests:
            good[test.nodeid] = good.get(test.nodeid, 0) + counts(test)
    # A test that is skipped in every run is no news: it was not to be measured here.
    skipped = {test.nodeid for run in runs for test in run.tests if test.outcome == "skipped"}
    return [
        Unsteady(nodeid=nodeid, times=len(runs) - times)
        for nodeid, times in good.items()
        if times < len(runs) and (times or nodeid not in skipped)
    ]
