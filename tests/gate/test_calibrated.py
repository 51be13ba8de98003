"""What repeated runs of the same code show of their noise."""

from __future__ import annotations

import datetime as dt

import pytest

from pytest_tfmem.budgets.file import read_budgets
from pytest_tfmem.figures import Limit, Measurement, NotMeasured, Reading
from pytest_tfmem.gate.calibrated import calibrated, proposed
from pytest_tfmem.history.environment import Environment
from pytest_tfmem.history.recorded import RecordedRun
from pytest_tfmem.history.rundocument import Run
from pytest_tfmem.report.calibration import calibration_lines, snippet_lines

MIB = 1 << 20
ENVIRONMENT = Environment(
    python="3.12.1",
    python_implementation="CPython",
    system="Linux",
    os="Debian",
    kernel="6.18.44",
    machine="x86_64",
    packages={},
)


def reading(mib, exactness="lower-bound"):
    return Reading(bytes=int(mib * MIB), exactness=exactness, source="counter")


def measured(nodeid="test_a.py::test_x", *, limits=None, outcome="passed", **readings):
    return Measurement(
        nodeid=nodeid,
        outcome=outcome,
        start_method="spawn",
        verdict="unlimited",
        readings=readings,
        limits={figure: Limit(bytes=size, where="budgets.yaml:3") for figure, size in (limits or {}).items()},
        verdicts={},
        phases={},
    )


def calibration_of(*runs):
    """What these runs show, each a list of tests."""
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return calibrated(
        [
            RecordedRun(
                run=Run(id=f"run{number}", started_at=start + dt.timedelta(minutes=number)),
                environment=ENVIRONMENT,
                tests=list(tests),
            )
            for number, tests in enumerate(runs)
        ]
    )


def test_a_noisy_series_gets_a_limit_and_a_tolerance_that_leave_room_for_its_noise() -> None:
    values = [400, 402, 400, 401, 440]
    (one,) = calibration_of(*([measured(rss_anon=reading(mib))] for mib in values)).series
    assert [value // MIB for value in one.values] == values
    assert (one.noise.least, one.noise.median, one.noise.most) == (400 * MIB, 401 * MIB, 440 * MIB)
    assert one.tolerance.fraction == pytest.approx(0.2)  # twice the 9.7 % above the median, rounded up
    assert one.limit_bytes >= 440 * MIB * 1.2


@pytest.mark.parametrize(
    ("readings", "limits", "wanted"),
    [
        ({"rss_anon": reading(100)}, None, True),
        ({"cpu_tensors": reading(100, "upper-bound")}, None, True),
        ({"gpu": [reading(100, "exact")]}, None, True),
        ({"gpu": [reading(0, "exact")]}, None, False),
        ({"rss": reading(100)}, None, False),
        ({"rss": reading(100)}, {"rss": 1 << 30}, True),
        ({"rss_tree": reading(100, "sampled")}, {"rss_tree": 1 << 30}, False),
        ({"gpu_tensors": [reading(100, "exact")]}, None, False),
    ],
)
def test_limits_are_proposed_of_what_the_gate_goes_by(readings, limits, wanted) -> None:
    found = calibration_of(*([measured(limits=limits, **readings)] for _ in range(5)))
    assert len(found.series) == 1
    assert bool(proposed(found)) is wanted


def test_by_fewer_than_five_readings_no_limit_is_proposed_and_that_is_said() -> None:
    found = calibration_of(*([measured(rss_anon=reading(100), rss=reading(200))] for _ in range(4)))
    assert proposed(found) == []
    assert list(snippet_lines(found)) == []
    said = [line.text for line in calibration_lines(found, width=80, enough=5)]
    assert said[-1] == "2 series have fewer than 5 readings, by which no limit is proposed"


def test_tests_are_named_that_gave_no_reading_in_some_runs() -> None:
    good, failed = measured(rss_anon=reading(1)), measured(rss_anon=reading(1), outcome="failed")
    unread = measured("test_a.py::test_s", outcome="skipped", rss_anon=NotMeasured("it was skipped"))
    found = calibration_of([good, unread], [failed, unread], [good])
    assert [(one.nodeid, one.times) for one in found.unsteady] == [("test_a.py::test_x", 1)]
    assert "test_a.py::test_x gave no reading in 1 of 3 runs" in [
        line.text for line in calibration_lines(found, width=80, enough=1)
    ]


def test_of_several_gpus_each_has_a_row_and_the_limit_is_that_of_the_greatest() -> None:
    found = calibration_of(*([measured(gpu=[reading(100, "exact"), reading(200, "exact")])] for _ in range(5)))
    assert [one.key.gpu for one in found.series] == [0, 1]
    assert [one.key.gpu for one in proposed(found)] == [1]
    rows = [line.text for line in calibration_lines(found, width=160, enough=5)]
    assert [row.split()[:3] for row in rows[2:4]] == [
        ["test_a.py::test_x", "gpu", "0"],
        ["test_a.py::test_x", "gpu", "1"],
    ]


def test_what_is_proposed_can_be_pasted_into_a_budgets_file() -> None:
    tests = [measured(f'test_a.py::test_x["{number}: é"]', rss_anon=reading(100)) for number in range(12)]
    noisy = [[*tests, measured("test_noisy", rss_anon=reading(100 + 20 * number))] for number in range(6)]
    found = calibration_of(*noisy)
    file = read_budgets("\n".join(snippet_lines(found)).encode(), shown="budgets.yaml")
    assert [entry.pattern.text for entry in file.entries] == [*(test.nodeid for test in tests), "test_noisy"]
    assert [entry.limits["rss_anon"].otherwise.bytes for entry in file.entries] == [
        one.limit_bytes for one in proposed(found)
    ]
    assert file.defaults.tolerance.fraction < 0.05  # one noisy test does not hide changes of all the others
    assert "# 1 of 13 series are noisier" in "\n".join(snippet_lines(found))


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_fits_the_terminal(width) -> None:
    name = "tests/models/test_a_rather_long_name.py::TestTheClass::test_with_a_long_name[and-parameters]"
    found = calibration_of(
        *([measured(name, rss_anon=reading(12345 + mib), rss_growth=reading(mib / 1000))] for mib in range(5))
    )
    lines = [line.text for line in calibration_lines(found, width=width, enough=5)]
    assert max(map(len, lines)) <= width
    assert any("12349.0" in line and "0.5% and 1 MiB" in line for line in lines)
