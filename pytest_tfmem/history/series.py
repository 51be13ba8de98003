"""A series: the readings of one figure of one test, under the same conditions, over runs."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.figures import GPU_FIGURES, Exactness, Reading, each
from pytest_tfmem.history.conditions import Conditions, conditions, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.history.recorded import RecordedRun
    from pytest_tfmem.history.rundocument import Run

# A series key as a tuple: as half a million of them are looked up, quicker than the struct.
_Key = tuple[str, str, int, str]


class SeriesKey(msgspec.Struct, frozen=True, kw_only=True, order=True, gc=False):
    """Which series. `gpu`: the place of the GPU among the visible devices, 0 for what is not per GPU.

    `conditions` is the fingerprint of the conditions (`history.conditions`).
    """

    nodeid: str
    figure: str
    gpu: int = 0
    conditions: str


class Point(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One reading of a series, and the run that it is from. `started_at` is the run's, in UTC."""

    run_id: str
    started_at: dt.datetime
    bytes: int
    exactness: Exactness
    error_bytes: int | None = None
    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Series with their points, the oldest first: at most one for each run. `conditions` has them by fingerprint."""

    points: dict[SeriesKey, list[Point]] = {}
    conditions: dict[str, Conditions] = {}


def counts(measurement: Measurement) -> bool:
    """Whether the readings of this test say what its code needs: not if it was cut short or ran unmeasured.

    A test that failed may have been cut short; not one that failed for its limits alone.
    """
    ran = measurement.outcome == "passed" or (measurement.outcome == "failed" and measurement.breached)
    return ran and not measurement.died and not measurement.unmeasured


def history_of(runs: Iterable[RecordedRun]) -> History:
    """The series of these runs, which are put in the order of their start.

    Of runs that come one by one, no more is kept than their points.
    """
    found: dict[_Key, list[Point]] = {}
    known: dict[str, Conditions] = {}
    for run in runs:
        names: dict[object, str] = {}  # a run has few different conditions, and each costs a digest
        for measurement in filter(counts, run.tests):
            asks = (measurement.start_method, measurement.allocator, tuple(measurement.runtime.items()))
            if asks not in names:
                on = conditions(run.environment, measurement)
                names[asks] = fingerprint(on)
                known[names[asks]] = on
            name = names[asks]
            for figure, gpu, reading in _readings(measurement):
                found.setdefault((measurement.nodeid, figure, gpu, name), []).append(_point(run.run, reading))
    return History(points={_key(*one): _in_order(points) for one, points in found.items()}, conditions=known)


def _key(nodeid: str, figure: str, gpu: int, name: str) -> SeriesKey:
    return SeriesKey(nodeid=nodeid, figure=figure, gpu=gpu, conditions=name)


def _in_order(points: list[Point]) -> list[Point]:
    return sorted(points, key=lambda one: (one.started_at, one.run_id))


def _readings(measurement: Measurement) -> Iterator[tuple[str, int, Reading]]:
    for figure, readings in measurement.readings.items():
        if isinstance(readings, Reading):  # nearly all are one; of a long history there are half a million
            yield figure, 0, readings
            continue
        for place, one in enumerate(each(readings)):
            if isinstance(one, Reading):
                yield figure, place if figure in GPU_FIGURES else 0, one


def _point(run: Run, reading: Reading) -> Point:
    return Point(
        run_id=run.id,
        started_at=run.started_at,
        commit=run.commit,
        branch=run.branch,
        dirty=run.dirty,
        bytes=reading.bytes,
        exactness=reading.exactness,
        error_bytes=reading.error_bytes,
    )
