"""One run into the tables, in the transaction of its connection."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.history.series import history_of
from pytest_tfmem.history.sql import packed
from pytest_tfmem.history.sql.schema import conditions, documents, readings, runs, series, tests

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import TypeVar

    from sqlalchemy import Connection

    from pytest_tfmem.history.recorded import RecordedRun
    from pytest_tfmem.history.series import History, Point, SeriesKey

    _T = TypeVar("_T")

_SERIES_COLUMNS = ("test", "conditions", "figure", "gpu")
_NOTHING_YET = {"complete": False, "tests": -1}
_LARGEST = (1 << 63) - 1
MOST_PARAMETERS = 400  # in one list: SQLite may take no more than 999 in a statement


def store(connection: Connection, run: RecordedRun) -> bool:
    """Store the run, unless it is there and as much is known of it already. Whether it was stored."""
    row = _row(run)
    # Whether it was there before shows by what it holds: drivers differ in what they count.
    _insert_missing(connection, runs, [row | _NOTHING_YET])
    same = select(runs.c.key, runs.c.complete, runs.c.tests).where(runs.c.id == run.run.id)
    key, complete, number = connection.execute(same.with_for_update()).one()
    if complete or (row["complete"], row["tests"]) <= (complete, number):
        return False
    for table in (documents, readings):
        connection.execute(delete(table).where(table.c.run == key))
    connection.execute(update(runs).where(runs.c.key == key).values(row))
    _fill(connection, key, run)
    return True


def in_parts(values: Iterable[_T]) -> Iterator[Sequence[_T]]:
    """The values in lists of at most so many."""
    whole = list(values)
    for start in range(0, len(whole), MOST_PARAMETERS):
        yield whole[start : start + MOST_PARAMETERS]


def digest(nodeid: str) -> str:
    """What a test is found by, whatever the length of its node id."""
    return hashlib.sha256(nodeid.encode("utf-8", "surrogatepass")).hexdigest()


def _row(run: RecordedRun) -> dict[str, Any]:
    return {
        "id": run.run.id,
        "started_at": run.run.started_at,
        "commit_id": run.run.commit,
        "branch": run.run.branch,
        "dirty": run.run.dirty,
        "header": packed.header_text(run),
        "footer": packed.footer_text(run),
        "complete": run.footer is not None,
        "tests": len(run.tests),
    }


def _fill(connection: Connection, key: int, run: RecordedRun) -> None:
    bodies = [
        {"run": key, "part": part, "tests": number, "body": body}
        for part, (number, body) in enumerate(packed.parts(run))
    ]
    if bodies:
        connection.execute(insert(documents), bodies)
    history = history_of([run])
    if not history.points:
        return
    keys = _series_keys(connection, history)
    rows = [_reading(key, keys[one], points[-1]) for one, points in history.points.items()]
    connection.execute(insert(readings), rows)


def _reading(run: int, of_series: int, point: Point) -> dict[str, Any]:
    if max(abs(point.bytes), abs(point.error_bytes or 0)) > _LARGEST:
        raise TfmemError(one_line(f"run {point.run_id} holds a reading that is no number of bytes: {point.bytes}"))
    return {
        "run": run,
        "series": of_series,
        "bytes": point.bytes,
        "exactness": point.exactness,
        "error_bytes": point.error_bytes,
    }


def _series_keys(connection: Connection, history: History) -> dict[SeriesKey, int]:
    """The keys of the run's series; what is not there yet is made."""
    records = [
        {"fingerprint": name, "record": json.dumps(record)} for name, record in sorted(history.conditions.items())
    ]
    _insert_missing(connection, conditions, records)
    nodeids = {digest(one.nodeid): one.nodeid for one in history.points}
    of_test = _test_keys(connection, nodeids)
    wanted = {(of_test[digest(one.nodeid)], one.conditions, one.figure, one.gpu): one for one in history.points}
    found = _known_series(connection, of_test.values(), history.conditions)
    if missing := sorted(wanted.keys() - found.keys()):
        _insert_missing(connection, series, [dict(zip(_SERIES_COLUMNS, one, strict=True)) for one in missing])
        found = _known_series(connection, of_test.values(), history.conditions)
    return {one: found[columns] for columns, one in wanted.items()}


def _test_keys(connection: Connection, nodeids: dict[str, str]) -> dict[str, int]:
    found = _known_tests(connection, nodeids)
    if missing := sorted(nodeids.keys() - found.keys()):
        _insert_missing(connection, tests, [{"digest": one, "nodeid": nodeids[one]} for one in missing])
        found = _known_tests(connection, nodeids)
    return found


def _known_tests(connection: Connection, digests: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in in_parts(digests):
        query = select(tests.c.digest, tests.c.key).where(tests.c.digest.in_(some))
        found.update((row.digest, row.key) for row in connection.execute(query))
    return found


def _known_series(
    connection: Connection, of_tests: Collection[int], under: Collection[str]
) -> dict[tuple[int, str, str, int], int]:
    found: dict[tuple[int, str, str, int], int] = {}
    columns = [series.c[name] for name in _SERIES_COLUMNS]
    for names in in_parts(under):
        for some in in_parts(of_tests):
            query = select(series.c.key, *columns).where(series.c.test.in_(some), series.c.conditions.in_(names))
            for key, *values in connection.execute(query):
                found[tuple(values)] = key
    return found


def _insert_missing(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert those rows that are not there.

    The caller has put them in an order: of two clients that insert the same ones, one waits for the other.
    """
    made = sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    connection.execute(made.on_conflict_do_nothing(), rows)
