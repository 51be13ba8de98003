"""A database's schema is brought forward, once, whoever comes first; and never back."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect, text

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.history.sql.connecting import make_engine, transaction
from pytest_tfmem.history.sql.migrations import STEPS, migrate
from pytest_tfmem.history.sql.schema import VERSION, metadata
from pytest_tfmem.history.sql.url import read_url
from tests.history import version_1
from tests.history.stored import Other, at_statement, engine_of, ids, measured, opened, recorded, tables, whole


def version(url):
    with engine_of(url).connect() as connection:
        return connection.execute(text("SELECT version FROM tfmem_schema")).scalars().all()


def columns(url):
    """By table, its columns with whether they may be null."""
    looked = inspect(engine_of(url))
    names = [name for name in looked.get_table_names() if name.startswith("tfmem_")]
    return {name: {one["name"]: one["nullable"] for one in looked.get_columns(name)} for name in names}


def expected_columns():
    return {
        name: {column.name: bool(column.nullable) for column in table.columns}
        for name, table in metadata.tables.items()
    }


def without_keys(found):
    """SQLite takes the columns of a key for nullable, and means nothing by it."""
    keys = {"key"}
    return {table: {name: null for name, null in those.items() if name not in keys} for table, those in found.items()}


def test_the_steps_lead_to_the_tables_that_the_code_works_with(database_url):
    assert len(STEPS) == VERSION
    opened(database_url).push([])
    assert without_keys(columns(database_url)) == without_keys(expected_columns())
    assert version(database_url) == [VERSION]


def test_a_database_of_the_first_version_is_brought_forward_with_all_that_is_in_it(database_url):
    version_1.make(database_url)
    store = opened(database_url)
    first, second = store.infos()
    assert (first.id, first.complete, first.tests, first.branch, first.dirty) == ("old1", True, 1, "main", False)
    assert (second.id, second.complete, second.tests, second.branch, second.dirty) == ("old2", False, 1, None, None)
    assert version(database_url) == [VERSION]
    assert without_keys(columns(database_url)) == without_keys(expected_columns())
    ((key, points),) = store.history(["old1", "old2"], nodeids=["test_a.py::test_a"]).points.items()
    assert (key.nodeid, key.figure) == ("test_a.py::test_a", "rss")
    assert [(point.run_id, point.bytes, point.error_bytes) for point in points] == [
        ("old1", 1000, None),
        ("old2", 2000, 64),
    ]
    assert [(run.run.id, run.footer is not None, run.tests[0].readings["rss"].bytes) for run in whole(store)] == [
        ("old1", True, 1000),
        ("old2", False, 2000),
    ]
    assert store.push([recorded(1), recorded(2)]) == 2
    assert ids(store) == ["old1", "old2", "run1", "run2"]


def test_the_first_step_still_makes_the_first_version(database_url, tmp_path, postgres):
    """What was released is not changed: whoever has it would not get the change."""
    other = f"sqlite:///{tmp_path}/first.db" if database_url.startswith("sqlite") else postgres.new_database()
    version_1.make(other)
    address = read_url(database_url, root=tmp_path)
    with make_engine(address).connect() as connection, transaction(connection, write=True):
        migrate(connection, address, up_to=1)
    assert columns(database_url) == columns(other)
    assert version(database_url) == [1]


def test_a_newer_schema_is_refused_with_what_to_do_and_left_as_it_is(database_url):
    store = opened(database_url)
    store.push([recorded(1)])
    with engine_of(database_url).begin() as connection:
        connection.execute(text("UPDATE tfmem_schema SET version = 7"))
    newer = opened(database_url)
    for use in (newer.infos, lambda: newer.push([recorded(2)]), lambda: newer.history(["run1"])):
        with pytest.raises(TfmemError) as refused:
            use()
        assert str(refused.value) == (
            f"{newer.shown}: its schema is version 7, and this version of pytest-tfmem knows those up to {VERSION};"
            " upgrade pytest-tfmem: pip install --upgrade pytest-tfmem"
        )
    assert version(database_url) == [7]


def test_a_step_that_fails_leaves_the_version_that_was(database_url):
    version_1.make(database_url)
    with engine_of(database_url).begin() as connection:
        connection.execute(text("CREATE INDEX tfmem_runs_started_at ON tfmem_runs (id)"))  # the name that step 2 takes
    with pytest.raises(TfmemError, match="tfmem_runs_started_at"):
        opened(database_url).infos()
    assert version(database_url) == [1]
    assert "complete" not in columns(database_url)["tfmem_runs"]


@pytest.mark.parametrize("start", ["empty", "first version"])
def test_clients_that_come_at_once_bring_it_forward_once(database_url, start):
    if start == "first version":
        version_1.make(database_url)
    code = """
        from tests.history.stored import opened, recorded
        store = opened(sys.argv[1])
        print(store.push([recorded(sys.argv[2] and int(sys.argv[2]))]), flush=True)
    """
    others = [Other(code, database_url, str(number)) for number in range(4)]
    for other in others:
        other.go()
    assert [other.end() for other in others] == [(0, "1")] * 4
    assert version(database_url) == [VERSION]
    old = ["old1", "old2"] if start == "first version" else []
    assert ids(opened(database_url)) == [*old, "run0", "run1", "run2", "run3"]


def test_whoever_finds_it_old_and_then_done_takes_no_step(database_url):
    version_1.make(database_url)
    another = opened(database_url)
    beginning = "BEGIN IMMEDIATE" if database_url.startswith("sqlite") else "SELECT pg_advisory_xact_lock"
    first = []

    def overtake():
        if not first:
            first.append(True)
            assert len(another.infos()) == 2

    with at_statement(beginning, overtake):
        assert opened(database_url).push([recorded(1, measured())]) == 1
    assert first
    assert version(database_url) == [VERSION]


def test_a_database_holds_what_others_have_in_it(database_url):
    with engine_of(database_url).begin() as connection:
        connection.execute(text("CREATE TABLE runs (of_others INTEGER)"))
    opened(database_url).push([recorded(1)])
    assert tables(database_url) == sorted(["runs", *metadata.tables])
