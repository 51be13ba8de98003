"""What is not well in a run: nothing that failed, or was not measured, is ever fine."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_tfmem.digest.findings import findings_of, findings_of_gate, told_since, worst_first, worst_of, worst_weight
from pytest_tfmem.digest.model import KINDS, Finding
from pytest_tfmem.figures import Limit, NotMeasured, Reading, Regression, Waiver
from pytest_tfmem.report.judged import judge_each_gpu
from tests.made import made_test
from tests.pullrequest.conftest import MIB, gate_result, judged, limited

WEIGHTS = ["fails", "undecided", "warns", "fine"]
SINCE = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
weights = st.sampled_from(WEIGHTS)
sizes = st.none() | st.integers(0, 100)
findings = st.builds(
    Finding,
    kind=st.sampled_from(KINDS),
    weight=weights,
    nodeid=st.sampled_from("abc"),
    figure=st.sampled_from(["", "rss", "gpu"]),
    now_bytes=sizes,
    allowed_bytes=sizes,
    before_bytes=sizes,
)
tests = st.builds(
    lambda nodeid, outcome, **rest: replace(made_test(nodeid), outcome=outcome, **rest),
    nodeid=st.sampled_from("abcd"),
    outcome=st.sampled_from(["passed", "failed", "skipped"]),
    breached=st.booleans(),
    died=st.sampled_from(["", "killed"]),
    unmeasured=st.sampled_from(["", "in process"]),
    readings=st.dictionaries(
        st.sampled_from(["rss", "gpu"]),
        st.builds(NotMeasured, st.sampled_from(["", "no GPU"]))
        | st.just(Reading(bytes=1, exactness="exact", source="x")),
    ),
)


def found(*of, changes=()):
    return findings_of(of, judge_each_gpu(of), changes)


def told(*of):
    return [(one.kind, one.weight, one.notes) for one in found(*of)]


# --- never fine ---------------------------------------------------------------------------------------------------


@given(tests)
def test_a_test_that_failed_or_died_has_a_finding_that_fails(test):
    failed = test.outcome == "failed" or bool(test.died)
    assert (worst_weight(found(test)) == "fails") == failed


@given(tests)
def test_a_test_that_has_no_reading_and_was_not_skipped_is_not_fine(test):
    if test.outcome != "skipped" and not any(isinstance(one, Reading) for one in test.readings.values()):
        assert worst_weight(found(test)) != "fine"


@given(st.sampled_from(["passed", "failed"]), st.sampled_from(["not-measured", "unlimited", None]))
def test_a_limit_without_a_reading_or_a_verdict_is_not_fine(outcome, verdict):
    test = limited("a", 1, verdict or "ok", outcome=outcome)
    unread = replace(test, readings={"rss": NotMeasured("no counter")}, verdicts={"rss": verdict} if verdict else {})
    assert worst_weight(found(unread)) != "fine"


def test_a_test_without_a_reading_says_why_there_is_none():
    test = replace(made_test("a"), readings={"rss": NotMeasured("no /proc"), "gpu": NotMeasured("no GPU")})
    assert told(test) == [("unmeasured", "warns", ("no /proc; no GPU",))]
    assert told(made_test("a")) == [("unmeasured", "warns", ("no figure has a reading",))]


def test_a_test_that_was_skipped_before_anything_was_measured_is_fine():
    assert told(made_test("a", outcome="skipped")) == []


# --- what is said -------------------------------------------------------------------------------------------------


def test_a_test_over_its_limit_is_said_to_be_that_and_not_to_have_failed_for_another_reason():
    assert told(limited("a", 2 * MIB, "over", allowed=MIB)) == [("over", "fails", ())]
    (kind, *_), (other, *_) = told(limited("a", 2 * MIB, "over", allowed=MIB, breached=False))
    assert (kind, other) == ("over", "failed")


def test_a_regression_that_a_test_failed_for_is_told_where_there_is_no_history():
    grown = Regression(
        figure="gpu", gpu=0, before_bytes=MIB, now_bytes=2 * MIB, again_bytes=2 * MIB, runs=6, since=SINCE
    )
    test = replace(made_test("a", outcome="failed", gpu=2 * MIB), breached=True, regressions=[grown])
    (one,) = found(test)
    assert (one.kind, one.weight, one.before_bytes, one.now_bytes) == ("regressed", "fails", MIB, 2 * MIB)
    assert (one.runs, one.notes) == (6, ("confirmed by running it again",))
    assert told_since(one) == "steady in 6 runs since 2026-03-01"


def test_a_waived_limit_says_until_when():
    waiver = Waiver(bytes=4 * MIB, expires="2027-01-31", days_left=3, reason="a kernel", where="budgets.yaml:9")
    limit = Limit(bytes=MIB, where="budgets.yaml:3", waiver=waiver)
    (one,) = found(replace(limited("a", 2 * MIB, "waived"), limits={"rss": limit}))
    assert (one.kind, one.weight) == ("waived", "warns")
    assert one.notes == ("waived to 4.0 MiB until 2027-01-31, 3 days left: a kernel (budgets.yaml:9)",)


def test_of_a_gates_result_what_its_run_says_beside_it_warns():
    gate = gate_result(judged("a", verdict="ok", weight="fine"), status=0)
    failed = made_test("a", rss=MIB, outcome="failed")
    assert [(one.kind, one.weight) for one in findings_of_gate(gate, {"a": failed})] == [("failed", "warns")]


def test_of_a_gates_result_each_gpu_of_several_is_named():
    several = gate_result(judged("a", figure="gpu"), judged("a", figure="gpu", gpu=1), judged("b", figure="gpu"))
    assert [(one.nodeid, one.gpu) for one in findings_of_gate(several, {})] == [("a", 0), ("a", 1), ("b", None)]


def test_a_suspect_that_the_base_has_cleared_is_shown_against_its_history():
    suspect = judged("a", verdict="suspect", weight="warns", base_bytes=77 * MIB, head_bytes=77 * MIB)
    (one,) = findings_of_gate(gate_result(suspect), {})
    assert (one.before_bytes, one.now_bytes) == (74 * MIB, 77 * MIB)
    assert one.notes == ("up against history, not against the base",)
    (one,) = findings_of_gate(gate_result(replace(suspect, verdict="regressed", base_bytes=70 * MIB)), {})
    assert (one.before_bytes, one.now_bytes) == (70 * MIB, 77 * MIB)


def test_since_when_is_said_with_the_commit_where_that_is_known():
    one = Finding(kind="suspect", weight="warns", nodeid="a", since=SINCE, since_commit="3f2a1b0c9d8e")
    assert told_since(one) == "steady since 2026-03-01 (3f2a1b0c9)"
    assert told_since(Finding(kind="suspect", weight="warns", nodeid="a", since=SINCE)) == "steady since 2026-03-01"
    assert told_since(Finding(kind="suspect", weight="warns", nodeid="a")) == ""


# --- their order --------------------------------------------------------------------------------------------------


@given(st.lists(findings))
def test_all_are_kept_and_none_weighs_more_than_one_before_it(ones):
    ordered = worst_first(ones)
    assert sorted(map(repr, ordered)) == sorted(map(repr, ones))
    assert [one.weight for one in ordered] == sorted((one.weight for one in ones), key=WEIGHTS.index)
    assert worst_weight(ones) == (ordered[0].weight if ordered else "fine")


@given(st.lists(findings), st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_that_in_which_they_were_found(ones, random):
    shuffled = random.sample(ones, len(ones))
    keys = [[(one.weight, one.kind, one.nodeid) for one in worst_first(some)] for some in (ones, shuffled)]
    assert keys[0] == keys[1]


@given(st.lists(weights), st.lists(weights))
def test_the_worst_of_two_lists_is_the_worse_of_their_worst(some, others):
    assert worst_of([*some, *others]) == worst_of([worst_of(some), worst_of(others)])


def test_what_is_over_the_most_comes_first():
    tests = [limited(name, used * MIB, "over", allowed=MIB) for name, used in [("a", 2), ("b", 9), ("c", 5)]]
    assert [one.nodeid for one in found(*tests)] == ["b", "c", "a"]
