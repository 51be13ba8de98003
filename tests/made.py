"""Runs made to order, for tests of what is said of them."""

from __future__ import annotations

import datetime as dt

from pytest_tfmem.figures import Limit, Measurement, Reading
from pytest_tfmem.history.environment import Environment
from pytest_tfmem.history.recorded import RecordedRun
from pytest_tfmem.history.rundocument import Run

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
ENVIRONMENT = Environment(
    python="3.12.1",
    python_implementation="CPython",
    system="Linux",
    os="Debian",
    kernel="6.18.44",
    machine="x86_64",
    packages={"tensorflow": "2.20.0"},
)


def made_test(nodeid, *, limited=(), outcome="passed", exactness="lower-bound", **readings):
    """A measurement of a test. Each reading is bytes, several of several GPUs, or anything that a measurement takes."""
    return Measurement(
        nodeid=nodeid,
        outcome=outcome,
        start_method="spawn",
        verdict="unlimited",
        readings={figure: _reading(one, exactness) for figure, one in readings.items()},
        limits={figure: Limit(bytes=1 << 40, where="budgets.yaml:3") for figure in limited},
        verdicts={},
        phases={},
    )


def made_run(number, *tests, environment=ENVIRONMENT, **rest):
    """A run of that day after the first. Its id is `number` in hexadecimal digits, if `rest` has none."""
    began = START + dt.timedelta(days=number)
    run = Run(**{"id": f"{number:032x}", "started_at": began, **rest})
    return RecordedRun(run=run, environment=environment, tests=[*tests])


def _reading(used, exactness):
    if isinstance(used, list):
        return [_reading(one, exactness) for one in used]
    return Reading(bytes=used, exactness=exactness, source="counter") if isinstance(used, int) else used
