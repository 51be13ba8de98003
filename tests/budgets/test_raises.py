"""What a change to the budgets file allows that the file did not allow before."""

from __future__ import annotations

import datetime as dt

import pytest

from pytest_tfmem.budgets.file import load_budgets
from pytest_tfmem.budgets.raises import raises

_DAY = dt.date(2026, 11, 21)
_TESTS = ["tests/test_a.py::test_a", "tests/test_a.py::test_b"]


@pytest.fixture
def raised(tmp_path):
    """What is raised from one text of a file to another, as (test, figure, before, after, line)."""

    def find(before, after, nodeids=_TESTS, profiles=frozenset()):
        files = []
        for name, text in (("base", before), ("head", after)):
            (tmp_path / name).write_text(f"version: 1\n{text}\n")
            files.append(load_budgets(tmp_path / name, shown="budgets.yaml"))
        found = raises(*files, nodeids, profiles=profiles, today=_DAY)
        return [(one.test, one.figure, one.before, one.after, one.where) for one in found]

    return find


def _budget(limits, test="tests/test_a.py"):
    return f"budgets:\n- test: {test}\n  {limits}"


def test_a_higher_limit_is_a_raise_told_once_for_its_line(raised):
    assert raised(_budget("rss: 1 GiB"), _budget("rss: 2 GiB")) == [
        ("tests/test_a.py", "rss", "1.00 GiB", "2.00 GiB", "budgets.yaml:4")
    ]


@pytest.mark.parametrize("after", ["rss: 1 GiB", "rss: 512 MiB", "rss: 1 GiB\n  gpu: 1 GiB"])
def test_what_allows_no_more_is_none(raised, after):
    assert raised(_budget("rss: 1 GiB"), _budget(after)) == []


def test_a_limit_that_is_gone_or_only_warns_is_a_raise(raised):
    gone = raised(_budget("rss: 1 GiB\n  gpu: 1 GiB"), _budget("gpu: 1 GiB"))
    assert gone == [("tests/test_a.py", "rss", "1.00 GiB", "no limit", "budgets.yaml:4")]
    weaker = raised(_budget("rss: 1 GiB"), _budget("rss: {limit: 1 GiB, level: warn}"))
    assert weaker == [("tests/test_a.py", "rss", "1.00 GiB", "1.00 GiB (warns only)", "budgets.yaml:4")]
    assert raised(_budget("rss: {limit: 1 GiB, level: warn}"), _budget("rss: 2 GiB")) == []


def test_a_closer_entry_with_a_higher_limit_is_a_raise_for_its_test(raised):
    after = _budget("rss: 1 GiB") + "\n- test: tests/test_a.py::test_b\n  rss: 3 GiB"
    assert raised(_budget("rss: 1 GiB"), after) == [
        ("tests/test_a.py::test_b", "rss", "1.00 GiB", "3.00 GiB", "budgets.yaml:6")
    ]


def test_another_machines_limit_is_a_raise_too(raised):
    profiles = 'profiles: {big: {gpu: "NVIDIA*"}}\n'
    before, after = (profiles + _budget(f"rss: {{big: {size} GiB, default: 1 GiB}}") for size in (2, 4))
    assert [one[2:4] for one in raised(before, after)] == [("2.00 GiB", "4.00 GiB")]


def test_a_waiver_that_is_new_higher_or_longer_is_a_raise(raised):
    def waived(size, expires):
        what = f"figure: rss, limit: {size}, expires: {expires}, reason: r"
        return f"waivers: [{{test: tests/test_a.py, {what}}}]"

    old = waived("2 GiB", "2026-12-01")
    told = "waived to 2.00 GiB until 2026-12-01"
    assert [one[2:4] for one in raised("", old)] == [("no waiver", told)]
    assert [one[2] for one in raised(old, waived("3 GiB", "2026-12-01"))] == [told]
    assert [one[2] for one in raised(old, waived("2 GiB", "2026-12-31"))] == [told]
    assert raised(old, waived("1 GiB", "2026-11-30")) == []


def test_a_wider_tolerance_is_a_raise(raised):
    before, after = (f'defaults: {{tolerance: "{text}"}}' for text in ("1% and 1 MiB", "50% and 1 MiB"))
    assert raised(before, after) == [("defaults", "tolerance", "1% and 1.0 MiB", "50% and 1.0 MiB", "budgets.yaml")]
