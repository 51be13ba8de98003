"""What a page says of a run as a whole, and what it lets no text of others do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.digest.build import digest_of
from pytest_tfmem.history.baseline import Earlier
from pytest_tfmem.page.facts import facts_of, notices_of
from pytest_tfmem.page.shown import duration, link_to_test, shown, web_address
from tests.made import made_run, made_test


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
