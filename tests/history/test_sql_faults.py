"""What goes wrong with a database: one line that names no password, and what was stored stays as it was."""

from __future__ import annotations

import signal
import sqlite3
import threading
import traceback
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, text

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.history.series import history_of
from tests.databases import PASSWORD, USER
from tests.history.stored import Other, at_statement, engine_of, ids, measured, opened, recorded, whole

STREET = "Sesame street"
NO_SERVER = '.s.PGSQL.5432" failed: No such file or directory'
READINGS = "INSERT INTO tfmem_readings"


def refusal(action):
    """The one line, after a look at all that a traceback of it would show."""
    with pytest.raises(TfmemError) as refused:
        action()
    said = str(refused.value)
    assert "\n" not in said
    for shown in (said, repr(refused.value), "".join(traceback.format_exception(refused.value))):
        assert PASSWORD not in shown
        assert "Sesame" not in shown
    return said


def several(start, number=3):
    return [recorded(start + place, measured(f"test_{place}.py::test_a")) for place in range(number)]


# --- credentials --------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_not_shown(postgres):
    store = opened(postgres.url("postgres", password=PASSWORD + "Sesame-2"))
    said = refusal(store.infos)
    assert said.startswith(f"postgresql:///postgres?host={postgres.folder}: ")
    assert f'password authentication failed for user "{USER}"' in said
    assert "Sesame" not in repr(store)
    assert "Sesame" not in repr(vars(store))


def test_a_password_that_the_server_repeats_is_taken_out(postgres):
    store = opened(postgres.url("postgres", user="Sesame-me", password="Sesame-me"))
    with pytest.raises(TfmemError, match=r'authentication failed for user "\*\*\*"'):
        store.infos()


def test_a_server_that_is_not_there(tmp_path):
    said = refusal(opened(f"postgresql://me:Open%2FSesame@/db?host={tmp_path}").infos)
    assert said.startswith(f"postgresql:///db?host={tmp_path}: ")
    assert NO_SERVER in said


def test_a_statement_that_is_refused_shows_no_parameters(postgres_url):
    store = opened(postgres_url)
    store.push([recorded(1)])
    with engine_of(postgres_url).begin() as connection:
        connection.execute(text(f"ALTER TABLE tfmem_runs ADD CHECK (branch <> '{STREET}')"))
    said = refusal(lambda: store.push([recorded(2, branch=STREET)]))
    assert "violates check constraint" in said
    assert ids(store) == ["run1"]


# --- a push that does not come to its end -------------------------------------------------------------------------


def test_a_server_that_stops_in_the_middle_of_a_push(postgres, postgres_url):
    store = opened(postgres_url)
    store.push(several(1))
    before = whole(store)
    with postgres.up_again():
        with at_statement(READINGS, postgres.stop):
            said = refusal(lambda: store.push(several(10)))
        assert said.startswith(f"{store.shown}: ")
        assert NO_SERVER in refusal(store.infos)
    assert whole(store) == before
    assert store.history(ids(store)) == history_of(before)
    assert store.push(several(10)) == 3


def test_a_server_that_stops_while_runs_are_read(postgres, postgres_url):
    store = opened(postgres_url)
    store.push(several(1))
    runs = store.runs(ids(store))
    assert next(runs).run.id == "run1"
    with postgres.up_again():
        postgres.stop()
        assert NO_SERVER in refusal(lambda: list(runs))
    assert len(whole(store)) == 3


def test_a_push_that_is_killed_leaves_nothing_of_its_run(database_url):
    store = opened(database_url)
    store.push(several(1))
    before = whole(store)
    code = """
        import os, signal
        from tests.history.stored import at_statement, opened
        from tests.history.test_sql_faults import READINGS, several
        with at_statement(READINGS, lambda: os.kill(os.getpid(), signal.SIGKILL)):
            opened(sys.argv[1]).push(several(10))
    """
    killed = Other(code, database_url)
    killed.go()
    assert killed.end() == (-signal.SIGKILL, "")
    assert whole(store) == before
    assert store.history(ids(store)) == history_of(before)
    assert store.push(several(10)) == 3


@contextmanager
def most_pages(number):
    """SQLite's files may not grow beyond so many pages, as on a full disk."""

    def limit(connection, _record):
        connection.execute(f"PRAGMA max_page_count = {number}")

    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)


def test_a_disk_that_is_full(sqlite_url):
    store = opened(sqlite_url)
    store.push(several(1))
    before = whole(store)
    large = recorded(10, *(measured(f"test_{number}.py::test_a", notes=[str(number)]) for number in range(2000)))
    with most_pages(40):
        said = refusal(lambda: opened(sqlite_url).push([large]))
    assert said == f"{store.shown}: database or disk is full"
    assert whole(store) == before
    assert store.push([large]) == 1


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "runs.db"
    path.write_bytes(b"no database, but long enough to be taken for one" * 100)
    before = path.read_bytes()
    store = opened(f"sqlite:///{path}")
    assert refusal(lambda: store.push([recorded(1)])) == f"sqlite:///{path}: file is not a database"
    assert refusal(store.infos) == f"sqlite:///{path}: file is not a database"
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    store = opened(f"sqlite:///{tmp_path}/file/runs.db")
    assert refusal(lambda: store.push([recorded(1)])) == f"{store.shown}: File exists"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE tfmem_documents SET body = 'x'", "holds a run that cannot be read: "),
        ("UPDATE tfmem_runs SET header = '{}'", "is not a run: it has no schema 'tfmem.run/1'"),
        (
            'UPDATE tfmem_runs SET header = \'{"schema":"tfmem.run/2"}\'',
            "was written by a newer pytest-tfmem (its schema is 'tfmem.run/2'); upgrade pytest-tfmem to read it",
        ),
    ],
)
def test_what_others_have_written_into_it_is_not_believed(database_url, change, said):
    store = opened(database_url)
    store.push([recorded(1)])
    with engine_of(database_url).begin() as connection:
        connection.exec_driver_sql(change)
    assert refusal(lambda: whole(store)).startswith(f"{store.shown}: {said}")


def test_whoever_may_only_read_can(postgres, postgres_url):
    store = opened(postgres_url)
    store.push([recorded(1)])
    database = postgres_url.partition("@/")[2].partition("?")[0]
    postgres.execute(f"CREATE ROLE reader_{database} LOGIN PASSWORD '{PASSWORD}'")
    postgres.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_{database}", database=database)
    reader = opened(postgres.url(database, user=f"reader_{database}"))
    assert whole(reader) == whole(store)
    assert "permission denied" in refusal(lambda: reader.push([recorded(2)]))


# --- several at once ----------------------------------------------------------------------------------------------

PUSH = """
    from tests.history.stored import measured, opened, recorded
    own = int(sys.argv[2])
    # Every one has new tests, and some runs that the others have, too, in another order.
    names = [f"shared.py::test_{number}" for number in range(40)]
    shared = [recorded(number, *(measured(f"{number}_{name}") for name in names)) for number in range(8)]
    runs = [recorded(100 * own + number, measured(f"own_{own}.py::test_{number}")) for number in range(8)]
    runs += shared if own % 2 else shared[::-1]
    print(opened(sys.argv[1]).push(runs), flush=True)
"""


def test_several_writers_at_once_lose_nothing_and_store_nothing_twice(database_url):
    writers = [Other(PUSH, database_url, str(number)) for number in range(1, 5)]
    for writer in writers:
        writer.go()
    ended = [writer.end() for writer in writers]
    assert [status for status, _ in ended] == [0] * 4, ended
    store = opened(database_url)
    assert sorted(ids(store)) == sorted(
        [f"run{number}" for number in range(8)] + [f"run{100 * own + n}" for own in range(1, 5) for n in range(8)]
    )
    assert sum(int(said) for _, said in ended) == 40
    assert store.history(ids(store)) == history_of(whole(store))
    assert {len(run.tests) for run in whole(store)} == {1, 40}


def test_a_transaction_that_stands_in_anothers_way_is_made_again(postgres_url):
    store = opened(postgres_url)
    store.push([recorded(1)])
    with engine_of(postgres_url).begin() as connection:
        connection.execute(text("CREATE SEQUENCE attempts"))
        connection.execute(
            text("""
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('attempts') < 4 THEN RAISE EXCEPTION 'in the way' USING ERRCODE = '40P01'; END IF;
                RETURN NEW;
            END $$""")
        )
        connection.execute(text("CREATE TRIGGER fails BEFORE INSERT ON tfmem_readings EXECUTE FUNCTION fail()"))
    assert store.push([recorded(2)]) == 1
    with engine_of(postgres_url).begin() as connection:
        assert connection.execute(text("SELECT last_value FROM attempts")).scalar_one() == 4
        connection.execute(text("SELECT setval('attempts', 1)"))
        connection.execute(text("ALTER SEQUENCE attempts INCREMENT BY -1 MINVALUE -100"))
    assert refusal(lambda: store.push([recorded(3)])) == f"{store.shown}: in the way"
    assert ids(store) == ["run1", "run2"]


def test_a_writer_waits_for_another_that_holds_the_file(sqlite_url, tmp_path):
    store = opened(sqlite_url)
    store.push([recorded(1)])
    with sqlite3.connect(tmp_path / "runs.db", isolation_level=None, check_same_thread=False) as other:
        other.execute("BEGIN IMMEDIATE")
        pushed = []
        waiting = threading.Event()
        with at_statement("BEGIN IMMEDIATE", waiting.set):
            thread = threading.Thread(target=lambda: pushed.append(store.push([recorded(2)])))
            thread.start()
            assert waiting.wait(20)
            assert ids(opened(sqlite_url)) == ["run1"]  # who reads does not wait
            assert pushed == []
            other.execute("COMMIT")
            thread.join(20)
    other.close()
    assert pushed == [1]


def test_a_reader_that_takes_its_time_holds_no_writer_up(database_url):
    store = opened(database_url)
    store.push(several(1))
    runs = store.runs(ids(store))
    assert next(runs).run.id == "run1"
    assert opened(database_url).push([recorded(10)]) == 1
    assert [run.run.id for run in runs] == ["run2", "run3"]
