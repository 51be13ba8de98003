"""What in a budgets file does nothing."""

from __future__ import annotations

import pytest

from pytest_tfmem.budgets.audit import shadowed, stale

TESTS = ["tests/test_a.py::test_one", "tests/test_a.py::test_two[1]", "tests/test_b.py::test_three"]
PROFILES = "version: 1\nprofiles: {p: {gpu: P}, q: {gpu: Q}}\nbudgets:\n"


def told(found: list) -> list[tuple[str, list[str]]]:
    return [(shadow.entry.where, [other.where for other in shadow.by]) for shadow in found]


def test_what_covers_no_test_is_stale(load) -> None:
    file = load(
        "version: 1\n"
        "budgets:\n"
        "- {test: tests, rss: 1}\n"
        "- {test: tests/test_c.py, rss: 1}\n"
        "waivers:\n"
        "- {test: tests/test_b.py, figure: rss, limit: 2, expires: 2027-01-31, reason: x}\n"
        "- {test: 'tests/test_a.py::test_o', figure: rss, limit: 2, expires: 2027-01-31, reason: x}\n"
    )
    assert [entry.where for entry in stale(file, TESTS)] == ["budgets.yaml:4", "budgets.yaml:7"]
    assert [entry.where for entry in stale(file, iter(TESTS))] == ["budgets.yaml:4", "budgets.yaml:7"]
    assert stale(load("version: 1\n"), TESTS) == []


def test_an_entry_that_never_wins_is_shadowed(load) -> None:
    file = load("version: 1\nbudgets:\n- {test: tests/test_b.py, rss: 1}\n- {test: 'tests/*_b.py', rss: 2}\n")
    assert told(shadowed(file, TESTS)) == [("budgets.yaml:4", ["budgets.yaml:3"])]


def test_of_two_lines_for_one_thing_the_earlier_is_shadowed(load) -> None:
    file = load("version: 1\nbudgets:\n- {test: tests, rss: 1}\n- {test: tests, rss: 2}\n")
    assert told(shadowed(file, TESTS)) == [("budgets.yaml:3", ["budgets.yaml:4"])]


def test_the_entries_that_shadow_one_together_are_all_named(load) -> None:
    file = load(
        "version: 1\n"
        "budgets:\n"
        "- {test: tests, rss: 2}\n"
        "- {test: tests/test_a.py, rss: 1}\n"
        "- {test: tests/test_b.py, rss: 1}\n"
    )
    assert told(shadowed(file, iter(TESTS))) == [("budgets.yaml:3", ["budgets.yaml:4", "budgets.yaml:5"])]


@pytest.mark.parametrize(
    "entries",
    [
        "- {test: tests, rss: 1}\n- {test: tests/test_a.py, rss: 2}\n",
        "- {test: tests, rss: 1}\n- {test: tests, gpu: 1}\n",
        "- {test: tests, rss: 1, timeout: 5}\n- {test: tests, rss: 2}\n",
        "- {test: tests}\n- {test: tests, rss: 1}\n",
        "- {test: other, rss: 1}\n- {test: other, rss: 1}\n",
        "- {test: tests, gpu: 1}\n- {test: tests, gpu: {p: 1}}\n",
        "- {test: tests, gpu: {p: 1, q: 1}}\n- {test: tests, gpu: {p: 1}}\n",
        "- {test: tests, rss: 1, warmup: 1}\n- {test: tests, rss: 2}\n",
        "- {test: tests, gpu_tensors: true}\n- {test: tests, gpu_tensors: 5}\n",
        "- {test: tests, gpu_tensors: false}\n- {test: tests, gpu_tensors: true}\n",
    ],
    ids=[
        "other tests",
        "another figure",
        "a timeout",
        "nothing set",
        "no test",
        "other machines",
        "another profile",
        "a warm-up",
        "a limit besides",
        "a refusal",
    ],
)
def test_an_entry_that_changes_something_is_not_shadowed(load, entries: str) -> None:
    assert shadowed(load(PROFILES + entries), TESTS) == []


@pytest.mark.parametrize(
    "entries",
    [
        "- {test: tests, gpu: {p: 1}}\n- {test: tests, gpu: 1}\n",
        "- {test: tests, gpu: {p: 1}}\n- {test: tests, gpu: {p: 2, q: 2}}\n",
        "- {test: tests, gpu: {p: 1}, timeout: 1}\n- {test: tests, gpu: {p: 2}, timeout: 2}\n",
        "- {test: tests, warmup: 1}\n- {test: tests, warmup: 2}\n",
        "- {test: tests, gpu_tensors: 5}\n- {test: tests, gpu_tensors: false}\n",
        "- {test: tests, gpu_tensors: true}\n- {test: tests, gpu_tensors: false}\n",
    ],
)
def test_an_entry_is_shadowed_by_one_with_a_limit_on_every_machine_of_its_own(load, entries: str) -> None:
    assert told(shadowed(load(PROFILES + entries), TESTS)) == [("budgets.yaml:4", ["budgets.yaml:5"])]
