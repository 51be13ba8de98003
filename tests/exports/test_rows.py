from __future__ import annotations

import pytest
from hypothesis import given

from pytest_tfmem.exports.rows import gated, left_out, rows_of, values_of
from pytest_tfmem.figures import FIGURES, NotMeasured, Reading
from tests.made import made_run, made_test
from tests.strategies import recorded_runs


def _labels(rows):
    return [(row.test.nodeid, row.label) for row in rows]


def test_a_figure_of_several_gpus_has_a_row_for_each_by_its_place():
    run = made_run(1, made_test("a", gpu=[1, NotMeasured("lost"), 3], gpu_footprint=[4], rss=5))
    assert [(row.label, row.gpu) for row in rows_of(run)] == [
        ("rss", None),
        ("gpu.0", 0),
        ("gpu.1", 1),
        ("gpu.2", 2),
        ("gpu_footprint", 0),
    ]


def test_a_limit_of_which_nothing_is_known_has_a_row_with_the_reason():
    (row,) = rows_of(made_run(1, made_test("a", limited=["gpu"], gpu=[])))
    assert (row.gpu, row.known) == (None, NotMeasured("the test used no GPU"))
    (row,) = rows_of(made_run(1, made_test("a", limited=["rss"])))
    assert row.known == NotMeasured("no reading")


def test_of_a_test_that_is_there_twice_the_last_counts():
    run = made_run(1, made_test("a", rss=1), made_test("b", rss=2), made_test("a", rss=3))
    assert sorted((row.test.nodeid, row.known.bytes) for row in rows_of(run)) == [("a", 3), ("b", 2)]


def test_figures_that_nobody_knows_are_left_out():
    assert rows_of(made_run(1, made_test("a", **{"x\n# EOF": 1}))) == []


def test_figures_can_be_chosen():
    run = made_run(1, made_test("a", rss=1, rss_anon=2, gpu=3))
    assert _labels(rows_of(run, ["gpu", "rss"])) == [("a", "rss"), ("a", "gpu")]


def test_a_tracker_follows_what_the_gate_goes_by_and_whatever_has_a_limit():
    run = made_run(
        1,
        made_test("a", rss=1, rss_growth=2, rss_anon=3, gpu=4, gpu_reserved=5, cpu_tensors=6),
        made_test("b", limited=["rss_growth"], rss=1, rss_growth=2),
    )
    assert _labels(gated(values_of(rows_of(run)))) == [
        ("a", "rss_anon"),
        ("a", "gpu"),
        ("a", "cpu_tensors"),
        ("b", "rss_growth"),
    ]


def test_a_tracker_follows_no_sample_even_if_it_has_a_limit():
    run = made_run(1, made_test("a", limited=["rss_tree"], exactness="sampled", rss_tree=1))
    assert gated(values_of(rows_of(run))) == []


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_a_test_that_was_cut_short_has_no_values(outcome):
    assert values_of(rows_of(made_run(1, made_test("a", outcome=outcome, rss=1)))) == []


def test_what_is_left_out_is_counted():
    run = made_run(
        1,
        made_test("a", limited=["gpu"], rss_anon=1, gpu=NotMeasured("no GPU")),
        made_test("b", rss_growth=1),
        made_test("c", outcome="failed", rss_anon=1),
    )
    rows = rows_of(run)
    assert left_out(run, rows, gated(values_of(rows))) == [
        "2 of 3 tests are left out: 1 did not pass or ran unmeasured, 1 has no reading for it",
        "1 limit was not measured, and is left out",
    ]
    assert left_out(run, rows, rows) == []


@given(recorded_runs())
def test_every_reading_of_a_known_figure_has_one_row(run):
    rows = rows_of(run)
    tests = {test.nodeid: test for test in run.tests}.values()
    known = [one for test in tests for figure in FIGURES for one in _each(test.readings.get(figure))]
    assert [row.known for row in rows if row.known in known] == known
    assert len({row.key for row in rows}) == len(rows)
    assert all(isinstance(one.known, Reading) for one in values_of(rows))


def _each(reading):
    if reading is None:
        return []
    return reading if isinstance(reading, list) else [reading]
