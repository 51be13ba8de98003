"""Measurements to report on: one made to order, and a strategy for any."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_tfmem.figures import FIGURES, Limit, Measurement, NotMeasured, Reading, Waiver
from pytest_tfmem.gate.changes import Baseline, Change
from pytest_tfmem.history.series import SeriesKey
from pytest_tfmem.report.regressions import HeldAgainst
from tests.strategies import readings, timelines

MIB = 1 << 20
CARDS = ("GPU-6f2c41ab-1111-2222-3333-444455556666", "GPU-0a1b2c3d-1111-2222-3333-444455556666")


def _measured(nodeid="tests/test_train.py::test_step", *, judged=None, level="error", waiver=None, **rest):
    """A measurement; `judged` has by figure a reading, a limit in bytes or None, and a verdict.

    A reading is bytes, the reason for none, or of several GPUs a list of them.
    """
    judged = judged or {}
    verdicts = {figure: verdict for figure, (_, limit, verdict) in judged.items() if limit is not None}
    return Measurement(
        **{
            "nodeid": nodeid,
            "outcome": "passed",
            "start_method": "spawn",
            "verdict": next(iter(verdicts.values()), "unlimited"),
            "readings": {figure: _reading(used) for figure, (used, _, _) in judged.items()},
            "limits": {
                figure: Limit(bytes=limit, where="budgets.yaml:12", level=level, waiver=waiver)
                for figure, (_, limit, _) in judged.items()
                if limit is not None
            },
            "verdicts": verdicts,
            "phases": {},
            **rest,
        }
    )


def _reading(used):
    if isinstance(used, list):
        return [replace(_reading(one), device=f"{CARDS[at]} (GPU:{at})") for at, one in enumerate(used)]
    if isinstance(used, str):
        return NotMeasured(used)
    return Reading(bytes=used, exactness="lower-bound", error_bytes=256 << 10, source="VmHWM")


@pytest.fixture(scope="session")
def measured():
    return _measured


@pytest.fixture(scope="session")
def waiver():
    return Waiver(
        bytes=1945 * MIB,
        expires="2027-01-31",
        days_left=167,
        reason="float32 fallback until the kernel lands",
        where="budgets.yaml:30",
        issue="#123",
    )


_sizes = st.integers(0, 1 << 50)
_texts = st.text(max_size=120) | st.text("aé世👩\ufe0f\u200d\x1b[\n\udc80:/", max_size=120)
_waivers = st.builds(
    Waiver, bytes=_sizes, expires=_texts, days_left=st.integers(-9, 99), reason=_texts, where=_texts, issue=_texts
)
_figures = st.sampled_from(list(FIGURES))


@pytest.fixture(scope="session")
def measurements():
    """Any measurement, verdicts that its readings do not bear out included."""
    return st.builds(
        Measurement,
        nodeid=_texts,
        outcome=st.just("passed"),
        start_method=st.just("spawn"),
        verdict=st.just("ok"),
        readings=st.dictionaries(_figures, readings(_sizes, _texts), max_size=4),
        limits=st.dictionaries(
            _figures,
            st.builds(
                Limit,
                bytes=_sizes,
                where=_texts,
                level=st.sampled_from(["error", "warn"]),
                waiver=st.none() | _waivers,
            ),
            max_size=4,
        ),
        verdicts=st.dictionaries(
            _figures, st.sampled_from(["ok", "near", "over", "waived", "not-measured", "unlimited"]), max_size=4
        ),
        phases=st.just({}),
        timeline=st.none() | timelines(_sizes, _texts),
        allocator=st.just("") | _texts,
        out_of_memory=st.just("") | _texts,
        waited_seconds=st.just(0.0) | st.floats(0, 1e6),
        died=_texts,
        unmeasured=st.just("") | _texts,
        notes=st.lists(_texts, max_size=2),
    )


_baselines = st.builds(
    Baseline,
    values=st.lists(_sizes, min_size=1, max_size=3),
    since=st.datetimes(timezones=st.just(dt.UTC)),
    since_commit=st.none() | _texts,
)
_changes = st.builds(
    Change,
    key=st.builds(SeriesKey, nodeid=_texts, figure=_figures, gpu=st.integers(0, 3), conditions=_texts),
    standing=st.sampled_from(["regressed", "suspect", "improved", "steady", "new", "incomparable"]),
    now_bytes=_sizes,
    exactness=st.just("exact"),
    before_bytes=st.none() | _sizes,
    baseline=st.none() | _baselines,
    differences=st.lists(_texts, max_size=3),
)


@pytest.fixture(scope="session")
def held():
    """What any run was held against, and what came of it."""
    changes = st.lists(_changes, max_size=12)
    runs, either = st.integers(0, 50), st.booleans()
    return st.builds(HeldAgainst, changes=changes, runs=runs, base=_texts, uncommitted=either, trims=either)
