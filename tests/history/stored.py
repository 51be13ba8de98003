"""Runs to store, and what tests of stores do with them."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from sqlalchemy import Engine, NullPool, create_engine, event, inspect

from pytest_tfmem.figures import Measurement, NotMeasured, Reading
from pytest_tfmem.history.environment import Environment
from pytest_tfmem.history.recorded import Footer, RecordedRun
from pytest_tfmem.history.rundocument import Run
from pytest_tfmem.history.store import open_store

START = dt.datetime(2026, 3, 1, 12, 30, 0, 250, tzinfo=dt.UTC)
ENVIRONMENT = Environment(
    python="3.12.1",
    python_implementation="CPython",
    system="Linux",
    os="Debian",
    kernel="6.18.44",
    machine="x86_64",
    packages={"numpy": "2.5.5"},
)


def measured(nodeid="test_a.py::test_a", **more):
    usual = {
        "outcome": "passed",
        "start_method": "spawn",
        "verdict": "unlimited",
        "readings": {"rss": Reading(bytes=1 << 20, exactness="lower-bound", source="VmHWM", error_bytes=4096)},
        "limits": {},
        "verdicts": {},
        "phases": {"call": {"seconds": 0.5}},
    }
    return Measurement(nodeid=nodeid, **usual | more)


def recorded(number, *tests, complete=True, environment=ENVIRONMENT, **origin):
    """Run `number` of a project, with one test if none are given. The later it was, the greater its number."""
    run = Run(id=f"run{number}", started_at=START + dt.timedelta(hours=number), commit=f"{number:040x}", **origin)
    tests = tests or (measured(),)
    footer = Footer(duration_seconds=1.5, exit_status=0, tests=len(tests)) if complete else None
    return RecordedRun(run=run, environment=environment, tests=list(tests), footer=footer)


def of_gpus(*sizes):
    return [
        NotMeasured("hidden") if size is None else Reading(bytes=size, exactness="exact", source="allocator")
        for size in sizes
    ]


def opened(url):
    return open_store(url, root=Path("/nonesuch"))


def ids(store):
    return [info.id for info in store.infos()]


def engine_of(url):
    """SQLAlchemy's own, for what no store does."""
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)


def tables(url):
    return sorted(inspect(engine_of(url)).get_table_names())


def whole(store):
    return list(store.runs(ids(store)))


@contextmanager
def at_statement(beginning, action):
    """While this lasts, whatever goes to a database is looked at: `action` is done before each such statement."""

    def look(_connection, _cursor, statement, *_):
        if statement.lstrip().startswith(beginning):
            action()

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", look)


class Other:
    """Another process, which is given Python to run, and waits for a line before it does."""

    def __init__(self, code, *arguments):
        code = "import sys; print(flush=True); sys.stdin.readline()\n" + dedent(code)
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._process.stdout.readline()

    def go(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self):
        """Its status and what it said."""
        out, err = self._process.communicate(timeout=60)
        return self._process.returncode, (out + err).strip()
