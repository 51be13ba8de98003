from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.budgets.model import Tolerance
from pytest_tfmem.figures import NotMeasured
from pytest_tfmem.gate.sidebyside import compared, most_by_chance
from tests.made import ENVIRONMENT, made_run, made_test

MIB = 1 << 20
ONE_MIB = Tolerance(bytes=MIB)
NEWER = msgspec.structs.replace(ENVIRONMENT, packages={"tensorflow": "2.21.0"})


def runs(*sizes, nodeid="test_a", figure="rss_anon"):
    return [made_run(number, made_test(nodeid, **{figure: size})) for number, size in enumerate(sizes)]


def held(a, b, **rest):
    return compared(a, b, **{"tolerance": ONE_MIB, **rest})


def standings(comparison):
    return {(pair.nodeid, pair.figure, pair.gpu): pair.standing for pair in comparison.pairs}


def test_each_side_has_a_value_for_each_session_and_the_change_is_that_of_the_medians():
    (pair,) = held(runs(10 * MIB, 14 * MIB, 11 * MIB), runs(22 * MIB)).pairs
    assert (pair.a.bytes, pair.a.least_bytes, pair.a.median_bytes) == (
        [10 * MIB, 14 * MIB, 11 * MIB],
        10 * MIB,
        11 * MIB,
    )
    assert (pair.b.bytes, pair.change_bytes, pair.change_fraction) == ([22 * MIB], 11 * MIB, 1.0)
    assert pair.tolerance_bytes == MIB


@pytest.mark.parametrize(
    ("after", "standing"),
    [(100 * MIB + 1, "steady"), (101 * MIB, "steady"), (101 * MIB + 1, "grew"), (99 * MIB - 1, "shrank")],
)
def test_a_change_counts_if_it_is_more_than_the_tolerance(after, standing):
    assert list(standings(held(runs(100 * MIB), runs(after))).values()) == [standing]


def test_regressed_is_what_grew_in_every_one_of_three_sessions():
    before = runs(100 * MIB, 101 * MIB, 102 * MIB)
    assert held(before, runs(104 * MIB, 105 * MIB, 103 * MIB)).pairs[0].standing == "regressed"
    assert held(before, runs(104 * MIB, 105 * MIB, 102 * MIB)).pairs[0].standing == "grew"
    assert held(before, runs(104 * MIB, 105 * MIB)).pairs[0].standing == "grew"
    assert held(before[:2], runs(104 * MIB, 105 * MIB, 103 * MIB)).pairs[0].standing == "grew"


def test_the_chance_of_a_false_regression_is_that_of_one_order_among_all():
    (pair,) = held(runs(1, 2, 3), runs(4 * MIB, 5 * MIB, 6 * MIB)).pairs
    assert most_by_chance(pair) == 1 / 20


def test_figures_that_the_gate_does_not_go_by_are_compared_and_not_judged():
    a = [made_run(1, made_test("test_a", rss=MIB, rss_anon=MIB))]
    b = [made_run(2, made_test("test_a", rss=9 * MIB, rss_anon=MIB))]
    assert standings(held(a, b)) == {("test_a", "rss", 0): "not judged", ("test_a", "rss_anon", 0): "steady"}


def test_a_figure_with_a_limit_on_either_side_is_judged():
    limited = [made_run(1, made_test("test_a", rss=9 * MIB, limited=["rss"]))]
    assert standings(held(runs(MIB, figure="rss"), limited)) == {("test_a", "rss", 0): "grew"}
    assert standings(held(limited, runs(MIB, figure="rss"))) == {("test_a", "rss", 0): "shrank"}


def test_what_was_sampled_is_not_judged_unless_it_is_asked_for():
    a = [made_run(1, made_test("test_a", exactness="sampled", rss_tree=MIB, limited=["rss_tree"]))]
    b = [made_run(2, made_test("test_a", exactness="sampled", rss_tree=9 * MIB))]
    assert standings(held(a, b)) == {("test_a", "rss_tree", 0): "not judged"}
    assert standings(held(a, b, figures=["rss_tree"])) == {("test_a", "rss_tree", 0): "grew"}


def test_of_figures_that_are_named_there_are_no_others():
    a = [made_run(1, made_test("test_a", rss=MIB, rss_anon=MIB))]
    assert list(standings(held(a, a, figures=["rss"]))) == [("test_a", "rss", 0)]


def test_every_gpu_is_held_against_itself():
    a = [made_run(1, made_test("test_a", gpu=[MIB, 2 * MIB]))]
    b = [made_run(2, made_test("test_a", gpu=[9 * MIB, 2 * MIB]))]
    assert standings(held(a, b)) == {("test_a", "gpu", 0): "grew", ("test_a", "gpu", 1): "steady"}


def test_what_grew_most_for_its_size_comes_first():
    a = [made_run(1, *(made_test(name, rss_anon=size * MIB) for name, size in [("a", 100), ("b", 10), ("c", 50)]))]
    b = [made_run(2, *(made_test(name, rss_anon=size * MIB) for name, size in [("a", 110), ("b", 20), ("c", 40)]))]
    assert [pair.nodeid for pair in held(a, b).pairs] == ["b", "a", "c"]


def test_other_conditions_are_incomparable_with_their_difference():
    a, b = [made_run(1, made_test("test_a", rss=1, rss_anon=1))], [made_run(2, made_test("test_a", rss=9, rss_anon=9))]
    found = held(a, [msgspec.structs.replace(run, environment=NEWER) for run in b])
    assert found.pairs == []
    (one,) = found.incomparable
    assert (one.nodeid, one.figures) == ("test_a", ["rss", "rss_anon"])
    assert one.differences == ["TensorFlow 2.20.0 -> 2.21.0"]


def test_where_some_conditions_are_the_same_the_others_are_no_matter():
    both = [*runs(MIB), made_run(5, made_test("test_a", rss_anon=MIB), environment=NEWER)]
    found = held(both, runs(MIB))
    assert (len(found.pairs), found.incomparable) == (1, [])
    assert list(found.conditions) == [found.pairs[0].conditions]


def test_tests_of_one_side_alone_are_named():
    found = held(runs(1, nodeid="test_a"), runs(1, nodeid="test_b"))
    assert (found.only_a, found.only_b, found.pairs, found.missing) == (["test_a"], ["test_b"], [], [])


@pytest.mark.parametrize(
    ("test", "why"),
    [
        (made_test("test_a", rss_anon=1, outcome="failed"), "failed"),
        (made_test("test_a", rss_anon=NotMeasured("no counter")), "no counter"),
        (made_test("test_a"), "not measured"),
        (msgspec.structs.replace(made_test("test_a", rss_anon=1), died="killed by signal 9"), "killed by signal 9"),
        (msgspec.structs.replace(made_test("test_a"), unmeasured="--pdb"), "--pdb"),
    ],
)
def test_a_test_that_ran_without_a_reading_that_counts_is_named_with_the_reason(test, why):
    other = [made_run(2, test)]
    (one,) = held(runs(MIB), other).missing
    assert (one.nodeid, one.figures, one.side, one.why) == ("test_a", ["rss_anon"], "b", why)
    (one,) = held(other, runs(MIB)).missing
    assert one.side == "a"


sizes = st.lists(st.integers(0, 1 << 40), min_size=1, max_size=5)


@given(a=sizes, b=sizes)
def test_the_other_way_round_what_grew_has_shrunk_but_for_what_the_tolerance_is_a_share_of(a, b):
    there, back = held(runs(*a), runs(*b)).pairs[0], held(runs(*b), runs(*a)).pairs[0]
    assert there.change_bytes == -back.change_bytes
    assert (there.standing in {"grew", "regressed"}) == (back.standing == "shrank")


@given(sizes)
def test_runs_held_against_themselves_are_steady(a):
    assert set(standings(held(runs(*a), runs(*a))).values()) == {"steady"}
