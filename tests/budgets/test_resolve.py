"""Which budget a test has: markers, then the file, figure by figure."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.budgets.marker import MarkerBudget, parse_memory_budget
from pytest_tfmem.budgets.model import BudgetsFile, Defaults, Entry, LimitByProfile
from pytest_tfmem.budgets.pattern import compile_pattern
from pytest_tfmem.budgets.resolve import Budget, Candidate, active_profiles, explain, resolve
from pytest_tfmem.figures import Limit, Waiver
from tests.strategies import figures, patterns

if TYPE_CHECKING:
    from collections.abc import Sequence

TEST = "tests/test_a.py::test_step[fp32]"
TODAY = dt.date(2027, 1, 31)
NOWHERE = frozenset()


def marker(where: str = "tests/test_a.py:7", **kwargs: object) -> MarkerBudget:
    return parse_memory_budget((), kwargs, where=where)


def budget_of(file: BudgetsFile | None, *markers: MarkerBudget, profiles: frozenset[str] = NOWHERE) -> Budget:
    return resolve(TEST, markers, file, profiles=profiles, today=TODAY)


def sizes(budget: Budget) -> dict[str, int]:
    return {figure: limit.bytes for figure, limit in budget.limits.items()}


def test_without_markers_and_file_a_test_has_no_budget() -> None:
    assert budget_of(None) == Budget()


def test_the_closest_marker_wins_figure_by_figure() -> None:
    budget = budget_of(None, marker(rss=1), marker(rss=2, gpu=2, timeout=20), marker(gpu=3, rss_tree=3, timeout=30))
    assert sizes(budget) == {"rss": 1, "gpu": 2, "rss_tree": 3}
    assert budget.timeout_seconds == 20


def test_a_marker_wins_over_the_file(load) -> None:
    file = load(f"version: 1\nbudgets:\n- {{test: '{TEST}', rss: 5, gpu: 5, timeout: 50}}\n")
    budget = budget_of(file, marker(rss=1, level="warn", timeout=10))
    assert budget.limits["rss"] == Limit(bytes=1, level="warn", where="tests/test_a.py:7")
    assert budget.limits["gpu"] == Limit(bytes=5, where="budgets.yaml:3")
    assert budget.timeout_seconds == 10


def test_a_bare_marker_has_the_limits_that_the_file_gives(load) -> None:
    file = load("version: 1\ndefaults: {rss: 3}\nbudgets:\n- {test: tests, gpu: 5}\n")
    assert sizes(budget_of(file, marker())) == {"rss": 3, "gpu": 5}


def test_the_most_specific_entry_wins_figure_by_figure(load) -> None:
    file = load(
        "version: 1\n"
        "budgets:\n"
        "- {test: 'tests/test_a.py::test_step', rss: 1}\n"
        "- {test: 't*', rss: 4, gpu: 4, rss_tree: 4, timeout: 4}\n"
        "- {test: tests, rss: 3, gpu: 3}\n"
        "- {test: other, rss: 9, gpu: 9}\n"
    )
    budget = budget_of(file)
    assert sizes(budget) == {"rss": 1, "gpu": 3, "rss_tree": 4}
    assert budget.timeout_seconds == 4


def test_of_equally_specific_entries_the_later_line_wins(load) -> None:
    assert sizes(budget_of(load("version: 1\nbudgets:\n- {test: tests, rss: 1}\n- {test: tests, rss: 2}\n"))) == {
        "rss": 2
    }


def test_defaults_come_last_and_name_no_test(load) -> None:
    file = load("version: 1\ndefaults: {rss: 7, gpu: {limit: 8, level: warn}}\n")
    budget = budget_of(file)
    assert (sizes(budget), budget.named) == ({"rss": 7, "gpu": 8}, False)


@pytest.mark.parametrize(("test", "named"), [("tests", True), ("tests/test_a.py::test_step[fp16]", False)])
def test_an_entry_names_the_tests_that_it_covers_even_without_limits(load, test: str, named: bool) -> None:
    assert budget_of(load(f"version: 1\nbudgets:\n- test: '{test}'\n")).named is named


PROFILES = "version: 1\nprofiles: {h200: {gpu: 'NVIDIA H200*'}, any: {gpu: '*'}, cpu: {gpu: none}}\n"


@pytest.mark.parametrize(
    ("active", "size"),
    [({"h200", "any"}, 1), ({"any"}, 2), ({"cpu"}, 9), (set(), 9)],
)
def test_the_first_declared_profile_that_is_active_gives_the_limit(load, active: set, size: int) -> None:
    file = load(PROFILES + "budgets:\n- {test: tests, gpu: {any: 2, h200: 1, default: 9}}\n")
    assert sizes(budget_of(file, profiles=frozenset(active))) == {"gpu": size}


def test_an_entry_without_a_limit_for_this_machine_leaves_the_figure_to_the_next(load) -> None:
    file = load(PROFILES + "defaults: {gpu: 7}\nbudgets:\n- {test: tests, gpu: {h200: 1}}\n")
    assert sizes(budget_of(file, profiles=frozenset({"cpu"}))) == {"gpu": 7}
    assert sizes(budget_of(file, profiles=frozenset({"h200"}))) == {"gpu": 1}


@pytest.mark.parametrize(
    ("names", "active"),
    [
        (["NVIDIA H200"], {"h200", "any"}),
        (["NVIDIA A100-SXM4-40GB", "NVIDIA H200 NVL"], {"h200", "any"}),
        (["Quadro RTX 6000/8000"], {"any"}),
        (["nvidia h200"], {"any"}),
        ([], {"cpu"}),
    ],
)
def test_a_profile_is_active_by_the_name_of_a_gpu_or_by_the_lack_of_any(
    load, names: Sequence[str], active: set
) -> None:
    assert active_profiles(load(PROFILES), names) == active


def test_a_bracket_in_the_name_of_a_gpu_is_a_bracket(load) -> None:
    file = load("version: 1\nprofiles: {a: {gpu: 'X [PCIe]'}}\n")
    assert (active_profiles(file, ["X [PCIe]"]), active_profiles(file, ["X P"])) == ({"a"}, set())
    assert active_profiles(None, ["X"]) == set()


def test_the_closest_place_says_how_often_a_test_is_called_before_it_is_measured(load) -> None:
    file = load("version: 1\nbudgets:\n- {test: tests, warmup: 3}\n- {test: tests/test_a.py, warmup: 2}\n")
    assert budget_of(file, marker(), marker(warmup=0)).warm_up == 0
    assert (budget_of(file).warm_up, budget_of(None).warm_up) == (2, None)


def test_a_limit_on_tensors_asks_for_their_measurement(load) -> None:
    file = load("version: 1\ndefaults: {gpu_tensors: 7}\n")
    assert budget_of(None, marker(gpu_tensors=5)).gpu_tensors_wanted
    assert budget_of(file).gpu_tensors_wanted
    assert not budget_of(None, marker(gpu=5)).gpu_tensors_wanted


def test_the_closest_place_says_whether_tensors_are_measured(load) -> None:
    file = load(
        "version: 1\ndefaults: {gpu_tensors: true}\nbudgets:\n"
        "- {test: tests, gpu_tensors: false}\n- {test: tests/test_a.py, gpu_tensors: true}\n"
    )
    assert budget_of(file).gpu_tensors_wanted
    assert not budget_of(file, marker(gpu_tensors=False)).gpu_tensors_wanted
    assert budget_of(load("version: 1\ndefaults: {gpu_tensors: true}\n")).gpu_tensors_wanted
    assert not budget_of(load("version: 1\nbudgets:\n- {test: tests, gpu_tensors: false}\n")).gpu_tensors_wanted


@pytest.mark.parametrize("entry", ["gpu_tensors: 5", "rss: 1"])
def test_who_will_not_have_tensors_measured_lifts_the_limits_farther_away(load, entry: str) -> None:
    file = load(f"version: 1\ndefaults: {{gpu_tensors: 7}}\nbudgets:\n- {{test: tests, {entry}}}\n")
    refusing = marker(gpu_tensors=False)
    assert "gpu_tensors" not in budget_of(file, refusing).limits
    (told,) = explain(TEST, [refusing], file, profiles=NOWHERE)["gpu_tensors"]
    assert (told.won, told.why_not) == (False, "it asks that this figure is not measured")
    assert sizes(budget_of(file, marker(gpu_tensors=3), refusing))["gpu_tensors"] == 3
    asking = budget_of(file, marker(gpu_tensors=True))
    assert (sizes(asking)["gpu_tensors"], asking.gpu_tensors_wanted) == (5 if "5" in entry else 7, True)


def test_an_entry_that_will_not_have_tensors_measured_lifts_the_limit_of_one_less_specific(load) -> None:
    file = load(
        "version: 1\nbudgets:\n- {test: tests, gpu_tensors: 5}\n- {test: tests/test_a.py, gpu_tensors: false}\n"
    )
    assert (budget_of(file).limits, budget_of(file).gpu_tensors_wanted) == ({}, False)


WAIVED = "version: 1\ndefaults: {gpu: 5}\nwaivers:\n"


def waiver(test: str, limit: int, expires: str, figure: str = "gpu") -> str:
    return f"- {{test: '{test}', figure: {figure}, limit: {limit}, expires: {expires}, reason: why, issue: '#1'}}\n"


@pytest.mark.parametrize(("expires", "days_left"), [("2027-01-31", 0), ("2027-02-10", 10)])
def test_a_waiver_holds_up_to_and_including_its_day(load, expires: str, days_left: int) -> None:
    budget = budget_of(load(WAIVED + waiver("tests", 9, expires)))
    held = Waiver(bytes=9, expires=expires, days_left=days_left, reason="why", where="budgets.yaml:4", issue="#1")
    assert budget.limits["gpu"] == Limit(bytes=5, where="budgets.yaml:2", waiver=held)
    assert budget.notes == []


def test_an_expired_waiver_holds_no_more_and_is_noted(load) -> None:
    budget = budget_of(load(WAIVED + waiver("tests", 9, "2027-01-30")))
    assert budget.limits["gpu"].waiver is None
    assert budget.notes == ["waiver in budgets.yaml:4 expired on 2027-01-30"]


def test_the_most_specific_live_waiver_holds(load) -> None:
    lines = [
        waiver("tests", 7, "2027-03-01"),
        waiver("tests/test_a.py", 8, "2027-03-01"),
        waiver(TEST, 9, "2026-01-01"),
    ]
    budget = budget_of(load(WAIVED + "".join(lines)))
    assert budget.limits["gpu"].waiver.bytes == 8
    assert budget.notes == []


def test_a_waiver_holds_for_a_markers_limit_too(load) -> None:
    budget = budget_of(load("version: 1\nwaivers:\n" + waiver("tests", 9, "2027-03-01")), marker(gpu=1))
    assert (budget.limits["gpu"].bytes, budget.limits["gpu"].waiver.bytes) == (1, 9)


def test_a_waiver_of_another_test_or_figure_or_of_no_limit_does_nothing(load) -> None:
    lines = [
        waiver("other", 9, "2026-01-01"),
        waiver("tests", 9, "2026-01-01", "rss"),
        waiver("tests", 9, "2027-03-01", "rss"),
    ]
    budget = budget_of(load(WAIVED + lines[0] + lines[1]))
    assert (budget.limits["gpu"].waiver, budget.notes) == (None, [])
    assert list(budget_of(load(WAIVED + lines[2])).limits) == ["gpu"]


def test_what_won_and_why_the_others_did_not_is_explained(load) -> None:
    file = load(
        PROFILES
        + "defaults: {gpu: 9}\n"
        + "budgets:\n"
        + "- {test: tests, gpu: 4}\n"
        + "- {test: tests/test_a.py, gpu: {h200: 5}}\n"
    )
    explained = explain(TEST, [marker(rss=1), marker("tests/test_a.py:3", rss=2)], file, profiles=NOWHERE)
    assert list(explained) == ["rss", "gpu"]
    assert explained["rss"] == [
        Candidate(
            where="tests/test_a.py:7",
            source="a marker",
            limit=Limit(bytes=1, where="tests/test_a.py:7"),
            won=True,
        ),
        Candidate(
            where="tests/test_a.py:3",
            source="a marker",
            limit=Limit(bytes=2, where="tests/test_a.py:3"),
            won=False,
            why_not="a marker in tests/test_a.py:7 comes first",
        ),
    ]
    assert [(found.where, found.source, found.won, found.why_not) for found in explained["gpu"]] == [
        (
            "budgets.yaml:6",
            "the entry 'tests/test_a.py'",
            False,
            "none of its profiles (h200) is active here, and it has no default",
        ),
        ("budgets.yaml:5", "the entry 'tests'", True, ""),
        ("budgets.yaml:3", "the defaults", False, "the entry 'tests' in budgets.yaml:5 comes first"),
    ]


_limit = st.integers(0, 9).map(lambda size: Limit(bytes=size, where="x"))
_by_profile = st.builds(
    LimitByProfile,
    by_profile=st.dictionaries(st.sampled_from("pq"), _limit, min_size=1),
    otherwise=st.none() | _limit,
)
_limits = st.dictionaries(figures, _by_profile, max_size=3)
_entry = st.builds(
    Entry,
    pattern=(patterns() | st.sampled_from(["tests", "t*", "**", "tests/test_a.py"]))
    .filter(lambda text: text.strip("/:") and not text.startswith("./"))
    .map(compile_pattern),
    limits=_limits,
    timeout_seconds=st.none(),
    where=st.integers(1, 99).map("budgets.yaml:{}".format),
)
_files = st.builds(
    BudgetsFile,
    shown=st.just("budgets.yaml"),
    entries=st.lists(_entry, max_size=4).map(tuple),
    defaults=st.builds(Defaults, limits=_limits),
)
_markers = st.lists(
    st.dictionaries(figures, st.integers(0, 9), max_size=2).map(lambda sizes: marker(**sizes)), max_size=3
)


@given(_markers, _files, st.frozensets(st.sampled_from("pq")))
def test_no_place_that_comes_before_the_winner_has_a_limit(markers: list, file: BudgetsFile, active: frozenset) -> None:
    explained = explain(TEST, markers, file, profiles=active)
    limits = budget_of(file, *markers, profiles=active).limits
    for figure, candidates in explained.items():
        with_limit = [candidate for candidate in candidates if candidate.limit]
        assert [candidate.won for candidate in with_limit] == [True, *[False] * (len(with_limit) - 1)][
            : len(with_limit)
        ]
        assert limits.get(figure) == (with_limit[0].limit if with_limit else None)
        assert all(bool(candidate.why_not) != candidate.won for candidate in candidates)
    assert limits.keys() <= explained.keys()


@given(_markers, _files)
def test_a_closer_marker_changes_only_the_figures_that_it_names(markers: list, file: BudgetsFile) -> None:
    before = sizes(budget_of(file, *markers))
    assert sizes(budget_of(file, marker(rss=77), *markers)) == before | {"rss": 77}
