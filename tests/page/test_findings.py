"""What is not fine, as a page tells it: in groups, with sizes that differ, and links to what there is to show."""

from __future__ import annotations

import datetime as dt

from pytest_tfmem.digest.model import KINDS, Finding
from pytest_tfmem.page import findings
from pytest_tfmem.page.findings import groups_of, line_of, name_parts, sentence_of

MIB = 1 << 20
SINCE = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def found(kind="over", weight="fails", nodeid="tests/test_a.py::test_a", **rest):
    usual = {"figure": "rss", "now_bytes": 110 * MIB, "allowed_bytes": 100 * MIB, "where": "budgets.yaml:3"}
    return Finding(kind=kind, weight=weight, nodeid=nodeid, **(usual | rest))


def grown(nodeid="tests/test_a.py::test_a", **rest):
    usual = {"now_bytes": 110 * MIB, "before_bytes": 100 * MIB, "allowed_bytes": None, "where": ""}
    since = {"since": SINCE, "since_commit": "a" * 40, "runs": 12}
    return found("suspect", "warns", nodeid, **usual | since | rest)


def test_every_kind_has_a_heading_and_a_meaning():
    assert tuple(findings.KINDS) == KINDS


def test_what_is_over_says_by_how_much_and_what_is_under_how_much_is_left():
    over, near = line_of(found()), line_of(found("near", "fine", now_bytes=95 * MIB))
    assert (over.percent, over.growth, over.is_limit) == ("+10.0 %", "+10.0 MiB", True)
    assert (near.percent, near.growth) == ("95.0 %", "5.0 MiB left")


def test_what_has_grown_says_from_what():
    line = line_of(grown())
    assert (line.other, line.now, line.is_limit) == ("100.0 MiB", "110.0 MiB", False)
    assert line.since == "steady in 12 runs since 2026-03-01 (aaaaaaaaa)"


def test_sizes_that_would_print_alike_are_told_apart():
    line = line_of(found(now_bytes=100 * MIB + 1))
    assert (line.now, line.other, line.percent) == ("104,857,601 B", "104,857,600 B", "+1 B")


def test_figures_of_one_test_stand_together_and_what_is_the_same_of_all_is_said_once():
    (group,) = groups_of([grown(), grown(figure="rss_anon")], fine=False, known=())
    (item,) = group.first
    assert [line.figure for line in item.lines] == ["rss", "rss_anon"]
    assert {line.since for line in item.lines} == {""}
    assert item.notes == ["steady in 12 runs since 2026-03-01 (aaaaaaaaa)"]


def test_what_was_not_measured_for_one_reason_is_one_item():
    ones = [
        found("not measured", "warns", f"t.py::test_{number}", now_bytes=None, notes=("no GPU",))
        for number in range(40)
    ]
    other = found("not measured", "warns", "t.py::test_1", now_bytes=None, figure="gpu", notes=("no GPU",))
    (group,) = groups_of([*ones, other], fine=False, known=())
    assert (group.tests, len(group.first), len(group.first[0].tests)) == (40, 2, 40)
    assert group.first[0].lines[0].now == ""
    assert group.first[0].notes == ["no GPU"]


def test_limits_that_differ_are_left_out_where_many_tests_stand_together():
    ones = [
        found("not measured", "warns", f"t.py::test_{size}", now_bytes=None, allowed_bytes=size)
        for size in (MIB, 9 * MIB)
    ]
    ((item,),) = (group.first for group in groups_of(ones, fine=False, known=()))
    assert (item.lines[0].other, item.lines[0].where) == ("", "")


def test_what_is_fine_is_told_apart_from_what_is_not():
    ones = [found(), found("near", "fine")]
    assert [group.kind for group in groups_of(ones, fine=False, known=())] == ["over"]
    assert [group.kind for group in groups_of(ones, fine=True, known=())] == ["near"]


def test_of_a_long_group_the_first_are_shown_and_the_rest_is_folded():
    ones = [found(nodeid=f"t.py::test_{number}") for number in range(30)]
    (group,) = groups_of(ones, fine=False, known=())
    assert (group.tests, len(group.first), len(group.rest)) == (30, 8, 22)


def test_only_a_test_that_the_page_can_show_has_a_link():
    (group,) = groups_of([found(), found(nodeid="gone")], fine=False, known={"tests/test_a.py::test_a"})
    links = {name[1]: link for item in group.first for name, link in item.tests}
    assert links == {"test_a": "#test=tests%2Ftest_a.py%3A%3Atest_a", "gone": ""}


def test_a_test_is_told_by_its_line_and_its_name():
    assert name_parts("a.py::B::c[d]") == ("a.py", "B::c[d]")
    assert name_parts("a.py::c", "a.py:12") == ("a.py:12", "c")
    assert name_parts("no file\u202e") == ("", "no file\\u202e")


def test_a_finding_is_a_sentence_too():
    assert sentence_of(found()) == "rss 110.0 MiB > 100.0 MiB (+10.0 %), budgets.yaml:3"
    assert (
        sentence_of(found("near", "fine", now_bytes=95 * MIB)) == "rss 95.0 MiB of 100.0 MiB (95.0 %), budgets.yaml:3"
    )
    died = Finding(kind="died", weight="fails", nodeid="a", notes=("killed by SIGKILL\nits last words",))
    assert sentence_of(died) == "killed by SIGKILL …"
    assert sentence_of(Finding(kind="failed", weight="fails", nodeid="a")) == findings.KINDS["failed"][1]
