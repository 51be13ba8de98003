"""The first stage: who goes to the second one, and how often."""

from __future__ import annotations

import datetime as dt
from math import comb

import msgspec
import pytest

from pytest_tfmem.attempts.facts import Facts
from pytest_tfmem.budgets.model import BudgetsFile
from pytest_tfmem.figures import Limit
from pytest_tfmem.gating.allowed import Allowed
from pytest_tfmem.gating.head import Head
from pytest_tfmem.gating.suspects import nominate
from pytest_tfmem.history.series import history_of
from tests.made import made_run, made_test

_MIB = 1 << 20
FACTS = Facts(
    rootdir="/r", inifile=None, arguments=[], nodeids=[], deselected=0, budgets=None, history="", gpu_off=False
)
_FILE = BudgetsFile(shown="budgets.yaml")
ALLOWED = Allowed(base=_FILE, head=_FILE, profiles=frozenset(), base_commit="b" * 40, today=dt.date(2026, 11, 21))


def _suspects(tests, before, *, sessions=20, decide_all=False, attempts=None, old_ids=None):
    head = Head(
        tests={test.nodeid: test for test in tests},
        series=history_of([made_run(99, *tests)]),
        facts=FACTS,
        gpu_names=[],
        chosen_by_user=False,
    )
    history = history_of([made_run(number, *before) for number in range(sessions)])
    return nominate(head, history, ALLOWED, old_ids or {}, decide_all=decide_all, attempts=attempts)


def test_what_is_up_is_decided_and_all_series_count_in_the_bound():
    tests = [made_test("t::a", rss_anon=120 * _MIB), made_test("t::b", rss_anon=100 * _MIB)]
    before = [made_test(nodeid, rss_anon=100 * _MIB) for nodeid in ("t::a", "t::b")]
    found = _suspects(tests, before)
    assert found.tests() == {"t::a": found.plan.attempts}
    assert found.plan.series == 2
    # One is suspect, which is more than the 2 * 2/21 that chance would make so.
    assert found.plan.bound == pytest.approx(1 / comb(2 * found.plan.attempts, found.plan.attempts))
    steady = _suspects(before, before)
    assert steady.plan.bound == pytest.approx(2 * (2 / 21) / comb(2 * steady.plan.attempts, steady.plan.attempts))


def test_a_figure_that_repeats_to_the_byte_takes_two_attempts_and_no_part_of_the_bound():
    tests = [made_test("t::a", exactness="exact", gpu=[100 * _MIB, 120 * _MIB])]
    found = _suspects(tests, [made_test("t::a", exactness="exact", gpu=[100 * _MIB] * 2)])
    assert found.places == {("t::a", "gpu", 1): 2}
    assert found.plan.series == 0


def test_a_test_that_is_over_its_limit_is_decided_whatever_history_says_and_counts_whole():
    over = msgspec.structs.replace(
        made_test("t::a", rss=100 * _MIB, rss_anon=100 * _MIB), limits={"rss": Limit(bytes=1, where="budgets.yaml:3")}
    )
    found = _suspects([over], [made_test("t::a", rss=100 * _MIB, rss_anon=100 * _MIB)])
    assert set(found.places) == {("t::a", "rss", 0)}
    assert found.plan.bound * comb(2 * found.plan.attempts, found.plan.attempts) > 1
    assert found.tests(with_base=False) == {"t::a": 2}


def test_a_limit_that_only_warns_costs_no_attempts():
    warned = msgspec.structs.replace(
        made_test("t::a", rss=100 * _MIB), limits={"rss": Limit(bytes=1, where="budgets.yaml:3", level="warn")}
    )
    assert _suspects([warned], [made_test("t::a", rss=100 * _MIB)]).tests() == {}


def test_a_test_that_failed_is_run_again_and_an_xfailed_one_is_not():
    tests = [made_test("t::a", outcome="failed", rss_anon=1), made_test("t::b", outcome="skipped", rss_anon=1)]
    assert list(_suspects(tests, []).tests()) == ["t::a"]


def test_a_renamed_test_has_the_history_of_its_old_self():
    tests, before = [made_test("t::new", rss_anon=120 * _MIB)], [made_test("t::old", rss_anon=100 * _MIB)]
    assert _suspects(tests, before).tests() == {}
    assert list(_suspects(tests, before, old_ids={"t::new": "t::old"}).tests()) == ["t::new"]


def test_all_are_decided_if_that_is_asked_and_each_counts_whole():
    tests = [made_test(f"t::{name}", rss_anon=100 * _MIB) for name in "abc"]
    found = _suspects(tests, [], sessions=0, decide_all=True)
    assert list(found.tests()) == ["t::a", "t::b", "t::c"]
    assert found.plan.bound == pytest.approx(3 / comb(2 * found.plan.attempts, found.plan.attempts))


def test_fewer_attempts_than_the_bound_needs_say_what_bound_they_give():
    tests, before = [made_test("t::a", rss_anon=120 * _MIB)], [made_test("t::a", rss_anon=100 * _MIB)]
    found = _suspects(tests, before, attempts=1)
    assert found.plan.bound == pytest.approx(1 / 2)
    assert found.tests() == {"t::a": 1}
