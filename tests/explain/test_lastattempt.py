from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_tfmem.explain.lastattempt import LastAttempt


def report(outcome="failed"):
    return SimpleNamespace(outcome=outcome)


@pytest.fixture
def explained():
    return []


def attempt(explained, **item):
    return LastAttempt(SimpleNamespace(**item), lambda report, phase: explained.append((report, phase)))


def test_what_no_other_attempt_may_follow_is_explained_as_its_phase_is_over_and_once(explained):
    one = report()
    alone = attempt(explained)
    alone.phase_over(one, "call")
    assert explained == [(one, "call")]
    alone.told(one)
    assert explained == [(one, "call")]


def test_what_another_may_follow_is_explained_when_its_own_report_is_told_and_none_does(explained):
    call, teardown, of_a_subtest = report(), report("passed"), report()
    last = attempt(explained, execution_count=3)
    last.phase_over(call, "call")
    last.phase_over(teardown, "teardown")
    assert explained == []
    for one in (of_a_subtest, call, teardown):
        last.told(one)
    assert explained == [(call, "call"), (teardown, "teardown")]


@pytest.mark.parametrize("follows", [True, False])
def test_a_call_that_passed_says_nothing_of_a_teardown_that_has_not(explained, follows):
    call, teardown = report("passed"), report()
    one = attempt(explained, execution_count=1)
    one.phase_over(call, "call")
    one.phase_over(teardown, "teardown")
    one.told(call)
    assert explained == []
    teardown.outcome = "rerun" if follows else "failed"
    one.told(teardown)
    assert explained == ([] if follows else [(teardown, "teardown")])


def test_an_attempt_that_is_told_as_one_to_be_repeated_is_not_explained_by_any_of_its_reports(explained):
    call, teardown = report(), report("passed")
    followed = attempt(explained, execution_count=1)
    followed.phase_over(call, "call")
    followed.phase_over(teardown, "teardown")
    call.outcome = "rerun"
    followed.told(call)
    followed.told(teardown)
    assert explained == []
