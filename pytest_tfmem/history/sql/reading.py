"""Runs and their series out of the tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from pytest_tfmem.history.recorded import RunInfo
from pytest_tfmem.history.series import History, Point, SeriesKey
from pytest_tfmem.history.sql.packed import unpacked
from pytest_tfmem.history.sql.schema import conditions, documents, readings, runs, series, tests
from pytest_tfmem.history.sql.writing import digest, in_parts

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable

    from sqlalchemy import Connection

    from pytest_tfmem.figures import Exactness
    from pytest_tfmem.history.recorded import RecordedRun

_INFO_COLUMNS = ("id", "started_at", "branch", "dirty", "complete", "tests")
_IN_ORDER = (runs.c.started_at, runs.c.id)


class _Run(NamedTuple):
    key: int
    id: str
    started_at: dt.datetime
    commit_id: str | None
    branch: str | None
    dirty: bool | None


def infos(connection: Connection, *, last: int | None) -> list[RunInfo]:
    query = select(runs.c.commit_id, *(runs.c[name] for name in _INFO_COLUMNS))
    query = query.order_by(*(column.desc() for column in _IN_ORDER)).limit(last)
    found = [
        RunInfo(commit=commit, **dict(zip(_INFO_COLUMNS, rest, strict=True)))
        for commit, *rest in connection.execute(query)
    ]
    return sorted(found, key=lambda info: (info.started_at, info.id))


def keys_in_order(connection: Connection, ids: Collection[str]) -> list[int]:
    """The keys of the runs with these ids, the oldest first."""
    return [run.key for run in _runs(connection, ids)]


def whole_run(connection: Connection, key: int, *, where: str) -> RecordedRun | None:
    """The run as it was recorded; None if it is no longer there."""
    row = connection.execute(select(runs.c.header, runs.c.footer).where(runs.c.key == key)).one_or_none()
    if row is None:
        return None
    bodies = select(documents.c.body).where(documents.c.run == key).order_by(documents.c.part)
    return unpacked(row.header, row.footer, connection.execute(bodies).scalars(), where=where)


def history(connection: Connection, ids: Collection[str], nodeids: Collection[str] | None) -> History:
    """The series of these runs, of these tests alone if they are given."""
    of_runs = {run.key: run for run in _runs(connection, ids)}
    place = {key: number for number, key in enumerate(of_runs)}
    rows = sorted(_readings(connection, of_runs, nodeids), key=lambda row: place[row[0]])
    keys = _series(connection, {row[1] for row in rows})
    of_series: dict[int, list[Point]] = {key: [] for key in keys}
    # Unpacked, not by name: a window has tens of thousands of them.
    for run, one, size, exactness, error in rows:
        of_series[one].append(_point(of_runs[run], size, exactness, error))
    points = {keys[one]: its for one, its in of_series.items()}
    return History(points=points, conditions=_conditions(connection, {key.conditions for key in points}))


def _runs(connection: Connection, ids: Collection[str]) -> list[_Run]:
    columns = [runs.c[name] for name in _Run._fields]
    found = [
        _Run(*row)
        for some in in_parts(set(ids))
        for row in connection.execute(select(*columns).where(runs.c.id.in_(some)))
    ]
    return sorted(found, key=lambda run: (run.started_at, run.id))


def _readings(connection: Connection, of_runs: Iterable[int], nodeids: Collection[str] | None) -> list[Any]:
    found: list[Any] = []
    columns = (readings.c[name] for name in ("run", "series", "bytes", "exactness", "error_bytes"))
    reading = select(*columns)
    for some in in_parts(of_runs):
        query = reading.where(readings.c.run.in_(some))
        if nodeids is None:
            found += connection.execute(query).all()  # at once: psycopg takes twice as long for one row after the other
            continue
        joined = query.join(series, series.c.key == readings.c.series)
        for of_tests in in_parts(_test_keys(connection, nodeids)):
            found += connection.execute(joined.where(series.c.test.in_(of_tests))).all()
    return found


def _test_keys(connection: Connection, nodeids: Iterable[str]) -> list[int]:
    digests = in_parts({digest(nodeid) for nodeid in nodeids})
    queries = (select(tests.c.key).where(tests.c.digest.in_(some)) for some in digests)
    return [key for query in queries for key in connection.execute(query).scalars()]


def _series(connection: Connection, wanted: Iterable[int]) -> dict[int, SeriesKey]:
    found: dict[int, SeriesKey] = {}
    columns = (series.c.key, tests.c.nodeid, series.c.figure, series.c.gpu, series.c.conditions)
    for some in in_parts(wanted):
        query = select(*columns).join(tests, tests.c.key == series.c.test).where(series.c.key.in_(some))
        for key, nodeid, figure, gpu, name in connection.execute(query):
            found[key] = SeriesKey(nodeid=nodeid, figure=figure, gpu=gpu, conditions=name)
    return found


def _conditions(connection: Connection, names: Iterable[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for some in in_parts(names):
        query = select(conditions).where(conditions.c.fingerprint.in_(some))
        found.update((name, json.loads(record)) for name, record in connection.execute(query))
    return found


def _point(run: _Run, size: int, exactness: Exactness, error: int | None) -> Point:
    return Point(
        run_id=run.id,
        started_at=run.started_at,
        commit=run.commit_id,
        branch=run.branch,
        dirty=run.dirty,
        bytes=size,
        exactness=exactness,
        error_bytes=error,
    )
