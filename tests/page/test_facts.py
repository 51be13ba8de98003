"""What a page says of a run as a whole, and what it lets no text of others do."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.budgets.raises import Raise
from pytest_tfmem.digest.build import digest_of, digest_of_gate
from pytest_tfmem.gate.result import GateResult
from pytest_tfmem.history.baseline import Earlier
from pytest_tfmem.history.series import history_of
from pytest_tfmem.page.facts import environment_of, facts_of, incomparable_of, notices_of, of_gate
from pytest_tfmem.page.shown import duration, link_to_test, shown, web_address
from tests.made import ENVIRONMENT, made_run, made_test


def digest(**run):
    return digest_of(made_run(1, made_test("a", rss=1), **run), Earlier(), directory=Path("/"))


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "https:", "", None, "http://["]
)
def test_only_the_web_is_linked(link):
    assert web_address(link) == ""


def test_a_link_to_ci_is_kept():
    assert web_address("https://ci.example.org/1?a=b") == "https://ci.example.org/1?a=b"


def test_where_a_run_is_from_is_told_in_short():
    facts = {
        one.name: one.text
        for one in facts_of(digest(commit="a" * 40, dirty=True, branch="b\x1b", duration_seconds=200))
    }
    assert facts == {
        "Started": "2026-03-02 00:00 UTC",
        "Took": "3 min 20 s",
        "Commit": "aaaaaaaaa, with changes",
        "Branch": "b\\x1b",
    }


def test_a_run_that_was_held_against_nothing_says_so():
    assert notices_of(digest()) == ["Held against no earlier runs: whether anything grew is not known"]


@given(st.text())
def test_nothing_that_is_shown_acts_or_hides(text):
    assert shown(text).isprintable()


@given(st.text(st.characters(codec="utf-8")))
def test_links_are_made_of_what_an_address_may_hold(text):
    assert link_to_test(text).isascii()
    assert not set(link_to_test(text)[6:]) & set(' <>"&#?/:')


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")]
)
def test_durations_are_told_in_two_units_at_the_most(seconds, told):
    assert duration(seconds) == told


def test_tests_whose_earlier_runs_were_under_other_conditions_stand_below_what_differs():
    other = msgspec.structs.replace(ENVIRONMENT, packages={"tensorflow": "2.19.0"})
    tests = [made_test(name, rss_anon=1 << 20) for name in ("a", "b")]
    before = [made_run(number, *tests, environment=other) for number in range(12)]
    earlier = Earlier(runs=len(before), history=history_of(before))
    (one,) = incomparable_of(digest_of(made_run(20, *tests), earlier, directory=Path("/")))
    assert "2.19.0" in one.differences
    assert [name for (_, name), _ in one.tests] == ["a", "b"]


def test_what_could_not_be_told_of_the_environment_is_left_out():
    names = [one.name for one in environment_of(ENVIRONMENT)]
    assert names == ["Python", "tensorflow", "GPUs", "System"]


def test_what_the_gate_found_beside_its_verdicts_is_told():
    gate = GateResult(
        status=0,
        sentence="passed",
        base="origin/main",
        head="b" * 40,
        merge_base="a" * 40,
        tests=1,
        runs=0,
        sessions=1,
        decided=0,
        plan=None,
        judged=[],
        raised=[Raise(test="t\u202e", figure="rss", before="1 MiB", after="2 MiB", where="b.yaml:1")],
        gone=["t.py::test_gone"],
        warnings=["a shard is missing"],
    )
    digest = digest_of_gate(gate)
    assert of_gate(gate) == [
        ("Raised limits", ["rss of t\\u202e: 1 MiB → 2 MiB (b.yaml:1)"]),
        ("Tests that are gone", ["t.py::test_gone"]),
    ]
    assert notices_of(digest) == ["a shard is missing", "Gate: 1 test measured, none had to be decided, 1 session run"]
    assert [one.text for one in facts_of(digest)] == ["b" * 9, "a" * 9 + ", where it left origin/main"]
