from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.report.closing import closing_line, worst_standing


def _tests(measured, *verdicts, level="error"):
    used = {"not-measured": "no GPU"}
    return [measured(judged={"gpu": (used.get(verdict, 5), 7, verdict)}, level=level) for verdict in verdicts]


def test_the_closing_line_counts_what_was_not_simply_kept(measured):
    tests = _tests(measured, *["ok"] * 11, "over", "near", "waived", "not-measured")
    assert closing_line(tests) == "measured 14 of 15 limits; 1 over, 1 waived, 1 near, 1 not measured (no GPU)"


def test_it_says_so_when_every_limit_was_kept(measured):
    assert closing_line(_tests(measured, "ok", "ok")) == "measured 2 of 2 limits; none over"


def test_one_limit_is_no_limits(measured):
    assert closing_line(_tests(measured, "ok")) == "measured 1 of 1 limit; none over"


def test_what_only_warns_is_counted_apart(measured):
    tests = [*_tests(measured, "over"), *_tests(measured, "over", level="warn")]
    assert closing_line(tests) == "measured 2 of 2 limits; 1 over, 1 over (warning only)"


def test_what_is_over_in_a_test_that_was_expected_to_fail_is_counted_apart(measured):
    tests = [*_tests(measured, "over"), measured(judged={"rss": (9, 7, "over")}, outcome="skipped")]
    assert closing_line(tests) == "measured 2 of 2 limits; 1 over, 1 over (in an xfailed or skipped test)"
    assert worst_standing(tests[1:]) == "xfail"


def test_reasons_are_counted_most_frequent_first(measured):
    reasons = ["a", "no GPU", "no GPU", "b", "c", "d"]
    tests = [measured(judged={"gpu": (reason, 7, "not-measured")}) for reason in reasons]
    assert closing_line(tests) == ("measured 0 of 6 limits; 6 not measured (2 no GPU, 1 a, 1 b, 2 for other reasons)")


def test_tests_that_ran_unmeasured_are_told(measured):
    tests = [measured(judged={"rss": (5, 7, "ok")}), measured(unmeasured="--no-tfmem")]
    assert closing_line(tests) == "measured 1 of 1 limit; none over; 1 test ran unmeasured (--no-tfmem)"


def test_a_reason_is_given_once(measured):
    tests = [measured(judged={"rss": (5, 7, "not-measured")}, readings={}, unmeasured="--pdb")] * 2
    assert closing_line(tests) == "measured 0 of 2 limits; 2 not measured (--pdb); 2 tests ran unmeasured"


def test_without_limits_it_counts_tests(measured):
    assert closing_line([measured(judged={"rss": (5, None, None)})] * 3) == "measured 3 tests, no limits set"


def test_a_green_verdict_without_a_reading_is_not_believed(measured):
    tests = [measured(judged={"gpu": ("no GPU", 7, "ok")}), measured(judged={"rss": (5, 7, "ok")}, readings={})]
    assert closing_line(tests) == "measured 0 of 2 limits; 2 not measured (1 no GPU, 1 no reading)"


def test_a_reason_that_is_empty_is_said_to_be_missing(measured):
    tests = [measured(judged={"gpu": ("", 7, "not-measured")})]
    assert closing_line(tests) == "measured 0 of 1 limit; 1 not measured (no reason given)"


def test_a_limit_without_a_verdict_was_not_judged(measured):
    assert worst_standing([measured(judged={"rss": (5, 7, "ok")}, verdicts={})]) == "not measured"


def test_the_reason_of_a_dead_process_is_its_death(measured):
    tests = [measured(judged={"rss": (5, 7, "not-measured")}, readings={}, died="killed by SIGKILL")]
    assert closing_line(tests).endswith("1 not measured (killed by SIGKILL)")


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        (["ok", "near", "waived", "over"], "over"),
        (["ok", "near", "waived", "not-measured"], "not measured"),
        (["ok", "near", "waived"], "waived"),
        (["ok", "near"], "near"),
        (["ok"], "ok"),
        ([], None),
    ],
)
def test_the_worst_standing_outweighs_all_others(measured, verdicts, worst):
    assert worst_standing(_tests(measured, *verdicts)) == worst


def test_a_test_that_ran_unmeasured_is_not_green(measured):
    assert worst_standing([*_tests(measured, "ok"), measured(unmeasured="--pdb")]) == "not measured"


@given(data=st.data())
def test_counts_sum_to_the_number_of_limits(measurements, data):
    tests = [
        type(test)(**{**{name: getattr(test, name) for name in test.__struct_fields__}, "died": "", "unmeasured": ""})
        for test in data.draw(st.lists(measurements, max_size=5))
    ]
    limits = sum(len(test.limits) for test in tests)
    if not limits:
        return
    line = closing_line(tests)
    head = re.match(r"measured (\d+) of (\d+) limits?; ", line)
    assert head
    measured, total = map(int, head.groups())
    not_measured = re.search(r"(\d+) not measured", line)
    assert total == limits == measured + int(not_measured[1] if not_measured else 0)
    passed = re.findall(r"(\d+) (?:over|waived|near)\b", line[head.end() :].partition(" not measured")[0])
    assert sum(map(int, passed)) <= measured
