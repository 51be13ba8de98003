"""Databases as stores, as every database does them."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.figures import NotMeasured, Reading
from pytest_tfmem.history.recorded import RecordedRun
from pytest_tfmem.history.series import history_of
from pytest_tfmem.history.sql.columns import escape, unescape
from pytest_tfmem.history.sql.writing import MOST_PARAMETERS
from tests.history.stored import ENVIRONMENT, START, ids, measured, of_gpus, opened, recorded, tables, whole
from tests.history.test_rundocument import environments, measurements

HOSTILE = "tests/t.py::test[\0-\ud800-\udcff-␀0041-\\x00-';DROP TABLE tfmem_runs;--%s:x-é-🙈]"
ONE = {"rss": Reading(bytes=5, exactness="exact", source="s")}


def test_what_was_stored_comes_back_whole(database_url):
    store = opened(database_url)
    runs = [
        recorded(2, measured(notes=["a"]), measured("test_b.py::test_b", outcome="failed")),
        recorded(1, complete=False, branch="main", dirty=True),
    ]
    assert store.push(runs) == 2
    again = opened(database_url)
    assert whole(again) == runs[::-1]
    assert list(again.runs(["run2", "nonesuch"])) == runs[:1]
    first, second = again.infos()
    assert (first.id, first.complete, first.tests, first.branch, first.dirty) == ("run1", False, 1, "main", True)
    assert (second.id, second.complete, second.tests, second.branch, second.dirty) == ("run2", True, 2, None, None)
    assert second.started_at == runs[0].run.started_at
    assert second.commit == runs[0].run.commit
    assert again.infos(last=1) == [second]


def test_the_same_run_pushed_twice_changes_nothing(database_url):
    store = opened(database_url)
    assert store.push([recorded(1), recorded(1), recorded(2)]) == 2
    before = whole(store), store.history(ids(store))
    assert store.push([recorded(1), recorded(2, measured("another.py::test_b"))]) == 0
    assert (whole(store), store.history(ids(store))) == before


def test_a_run_that_was_cut_off_is_replaced_by_what_more_is_known_of_it(database_url):
    store = opened(database_url)
    short = recorded(1, complete=False)
    longer = recorded(1, measured("test_b.py::test_b", readings=ONE), measured(), complete=False)
    full = recorded(1, measured("test_c.py::test_c"), measured(readings=ONE))
    assert [store.push([run]) for run in (short, longer, short, full, longer, short)] == [1, 1, 0, 1, 0, 0]
    assert whole(store) == [full]
    assert store.history(["run1"]).points == history_of([full]).points


def test_series_are_those_of_the_runs_themselves(database_url):
    store = opened(database_url)
    gpu = {"gpu": of_gpus(3, None, 4), "rss": NotMeasured("no reason")}
    elsewhere = msgspec.structs.replace(ENVIRONMENT, packages={"numpy": "3"})
    runs = [
        recorded(3, measured("a.py::a", readings=gpu), measured("b.py::b", outcome="failed")),
        recorded(1, measured("a.py::a", readings=gpu), measured("b.py::b")),
        recorded(2, measured("a.py::a", readings=ONE), measured("b.py::b"), environment=elsewhere),
    ]
    store.push(runs)
    assert store.history(ids(store)) == history_of(runs)
    assert store.history(["run3", "run1"]) == history_of([runs[0], runs[1]])
    of_a = store.history(ids(store), nodeids=["a.py::a", "nonesuch"])
    assert of_a.points == {key: one for key, one in history_of(runs).points.items() if key.nodeid == "a.py::a"}
    assert store.history(ids(store), nodeids=[]).points == {}
    assert store.history([]).points == {}


def test_more_runs_and_tests_than_a_statement_takes(database_url):
    many = MOST_PARAMETERS + 5
    store = opened(database_url)
    runs = [recorded(number, measured(f"a.py::test_{number}"), measured()) for number in range(many)]
    wide = recorded(many, *(measured(f"a.py::test_{number}") for number in range(many)))
    assert store.push([*runs, wide]) == many + 1
    assert store.history(ids(store)) == history_of([*runs, wide])
    nodeids = {test.nodeid for test in wide.tests}
    assert store.history(ids(store), nodeids=nodeids).points.keys() == history_of([wide]).points.keys()
    assert whole(store)[-1] == wide


def test_text_that_a_database_does_not_take_comes_back_as_it_was(database_url):
    store = opened(database_url)
    long = "tests/t.py::test[" + "x" * 20_000 + "]"
    run = recorded(1, measured(HOSTILE), measured(long), branch=HOSTILE)
    store.push([run])
    assert whole(store) == [run]
    assert {key.nodeid for key in store.history(["run1"], nodeids=[HOSTILE, long]).points} == {HOSTILE, long}
    assert store.infos()[0].branch == HOSTILE
    assert store.push([run]) == 0


@given(st.text(st.characters(exclude_categories=[]) | st.sampled_from("\0\ud800␀0")))
def test_escaped_text_is_one_that_every_database_takes_and_can_be_read_back(text):
    escaped = escape(text)
    escaped.encode()
    assert "\0" not in escaped
    assert unescape(escaped) == text


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(measurements, max_size=4), environments)
def test_any_run_comes_back_with_the_series_that_it_has(database_url, tests, environment):
    run = RecordedRun(run=recorded(len(opened(database_url).infos())).run, environment=environment, tests=tests)
    store = opened(database_url)
    assert store.push([run]) == 1
    assert list(store.runs([run.run.id])) == [run]
    expected = {key: points[-1:] for key, points in history_of([run]).points.items()}
    assert store.history([run.run.id]).points == expected


def test_a_run_that_has_a_test_twice_is_stored_with_the_later(database_url):
    store = opened(database_url)
    store.push([recorded(1, measured(), measured(readings=ONE))])
    ((point,),) = store.history(["run1"]).points.values()
    assert point.bytes == 5


@pytest.mark.parametrize("size", [1 << 63, -(1 << 70)])
def test_a_reading_that_no_database_takes_refuses_its_run_alone(database_url, size):
    store = opened(database_url)
    wrong = recorded(2, measured(readings={"rss": Reading(bytes=size, exactness="exact", source="s")}))
    with pytest.raises(TfmemError, match=f"run run2 holds a reading that is no number of bytes: {size}"):
        store.push([recorded(1), wrong, recorded(3)])
    assert ids(store) == ["run1"]


def test_reading_makes_nothing_in_a_database_that_has_nothing_of_ours(postgres_url, tmp_path):
    nothing = opened(f"sqlite:///{tmp_path}/none/runs.db")
    for store in (nothing, opened(postgres_url)):
        assert store.infos() == []
        assert list(store.runs(["run1"])) == []
        assert store.history(["run1"]).points == {}
    assert list(tmp_path.iterdir()) == []
    assert tables(postgres_url) == []


def test_the_file_of_a_url_is_in_the_root_directory(tmp_path):
    from pytest_tfmem.history.store import open_store

    store = open_store("sqlite:///kept/runs.db", root=tmp_path)
    store.push([recorded(1)])
    assert (tmp_path / "kept" / "runs.db").is_file()
    assert store.shown == "sqlite:///kept/runs.db"


def test_a_moment_in_any_zone_is_the_same_moment(database_url):
    import datetime as dt

    run = recorded(1)
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    moved = msgspec.structs.replace(run.run, started_at=START.astimezone(zone))
    store = opened(database_url)
    store.push([msgspec.structs.replace(run, run=moved)])
    assert store.infos()[0].started_at == START
    assert store.infos()[0].started_at.utcoffset() == dt.timedelta(0)


def test_without_the_extra_one_line_says_what_to_install(tmp_path):
    for library in ("sqlalchemy", "psycopg"):
        code = f"""
import sys
sys.modules[{library!r}] = None
from tests.history.test_sql_url import refusal
print(refusal("postgresql://user:Sesame@host/db"))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == (
            "postgresql://host/db: SQLAlchemy or psycopg is not installed; pip install 'pytest-tfmem[sql]'\n"
        )
