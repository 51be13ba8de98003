from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from pytest_tfmem.figures import Measurement, NotMeasured, Reading
from pytest_tfmem.history.environment import Environment
from pytest_tfmem.history.recorded import RecordedRun
from pytest_tfmem.history.rundocument import Run
from pytest_tfmem.history.series import counts, history_of

ENVIRONMENT = Environment(
    python="3.12.1",
    python_implementation="CPython",
    system="Linux",
    os="Debian",
    kernel="6.18.44",
    machine="x86_64",
    packages={},
)
MEASUREMENT = Measurement(
    nodeid="test_a.py::test_a",
    outcome="passed",
    start_method="spawn",
    verdict="unlimited",
    readings={},
    limits={},
    verdicts={},
    phases={},
)
START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def reading(size, **more):
    return Reading(bytes=size, exactness="exact", source="counter", **more)


def run(number, *tests, environment=ENVIRONMENT):
    began = START + dt.timedelta(days=number)
    return RecordedRun(
        run=Run(id=f"run{number}", started_at=began, commit=f"c{number}"), environment=environment, tests=list(tests)
    )


def measured(**readings):
    return msgspec.structs.replace(MEASUREMENT, readings=readings)


def sizes(history):
    return {(key.figure, key.gpu): [point.bytes for point in points] for key, points in history.points.items()}


def test_a_series_has_a_point_for_each_run_the_oldest_first():
    history = history_of([run(2, measured(rss=reading(20))), run(1, measured(rss=reading(10)))])
    ((key, points),) = history.points.items()
    assert (key.nodeid, key.figure, key.gpu) == ("test_a.py::test_a", "rss", 0)
    assert [(point.run_id, point.bytes, point.commit) for point in points] == [("run1", 10, "c1"), ("run2", 20, "c2")]
    assert list(history.conditions) == [key.conditions]


def test_every_gpu_has_a_series_of_its_own_by_its_place():
    gpus = [NotMeasured("unused", device="GPU-a"), reading(7, device="GPU-b")]
    assert sizes(history_of([run(1, measured(gpu=gpus))])) == {("gpu", 1): [7]}


def test_what_was_not_measured_is_no_point():
    assert history_of([run(1, measured(gpu=NotMeasured("no GPU")))]).points == {}


@pytest.mark.parametrize("fields", [{"outcome": "failed"}, {"outcome": "skipped"}, {"died": "x"}, {"unmeasured": "x"}])
def test_a_test_that_did_not_run_to_its_end_says_nothing_of_what_its_code_needs(fields):
    measurement = msgspec.structs.replace(measured(rss=reading(1)), **fields)
    assert not counts(measurement)
    assert history_of([run(1, measurement)]).points == {}


def test_a_test_that_failed_for_its_limits_alone_says_what_its_code_needs():
    measurement = msgspec.structs.replace(measured(rss=reading(1)), outcome="failed", breached=True)
    assert counts(measurement)
    assert not counts(msgspec.structs.replace(measurement, died="x"))


def test_readings_under_other_conditions_are_another_series():
    other = msgspec.structs.replace(ENVIRONMENT, python="3.13.0")
    history = history_of([run(1, measured(rss=reading(1))), run(2, measured(rss=reading(2)), environment=other)])
    assert sorted(len(points) for points in history.points.values()) == [1, 1]
    assert {on["Python"] for on in history.conditions.values()} == {"CPython 3.12.1", "CPython 3.13.0"}
