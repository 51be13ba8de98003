"""The verdict in a sentence: what is not fine first, in numbers that agree, with one full stop."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.digest.model import KINDS, Finding
from pytest_tfmem.digest.verdict import as_sentence, listed, verdict_of_gate, verdict_of_run
from tests.made import made_test
from tests.pullrequest.conftest import gate_result, judged

WEIGHTS = ["fails", "undecided", "warns", "fine"]
findings = st.builds(
    Finding, kind=st.sampled_from(KINDS), weight=st.sampled_from(WEIGHTS), nodeid=st.sampled_from("abcd")
)


def run(tests=1, *, limited=(), complete=True, held_against=0, **found):
    """The verdict on so many tests. `found`: by the kind of a finding, its weight and the tests that have it."""
    of = [made_test(f"t{number}", limited=limited, rss=1) for number in range(tests)]
    ones = [
        Finding(kind=kind.replace("_", " "), weight=weight, nodeid=f"t{number}")
        for kind, (weight, numbers) in found.items()
        for number in numbers
    ]
    return verdict_of_run(of, ones, complete=complete, held_against=held_against)


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (run(), "1 test was measured, without a limit."),
        (run(3), "3 tests were measured, without a limit."),
        (run(1, limited=["rss"]), "1 test was measured, and the one limit was kept."),
        (run(3, limited=["rss", "gpu"]), "3 tests were measured, and all 6 limits were kept."),
        (run(2, held_against=1), "2 tests were measured, without a limit, and nothing grew against 1 earlier run."),
        (run(3, near=("fine", [1])), "3 tests were measured, without a limit. 1 test is near its limit."),
        (run(1, over=("fails", [0])), "1 test is over its memory limit."),
        (run(2, over=("fails", [0])), "1 test is over its memory limit. The other test is fine."),
        (run(9, over=("fails", [0, 1])), "2 tests are over their memory limits. The other 7 tests are fine."),
        (
            run(5, over=("fails", [0]), died=("fails", [1, 2]), suspect=("fails", [3])),
            "1 test is over its memory limit, 2 tests died and 1 test is suspect. The other test is fine.",
        ),
        (
            run(9, over=("fails", [0]), waived=("warns", [0, 1]), suspect=("warns", [2])),
            "1 test is over its memory limit. Of the other 8 tests, 2 have warnings and 6 are fine.",
        ),
        (run(2, unmeasured=("warns", [0, 1])), "2 tests ran unmeasured."),
    ],
)
def test_the_sentence_agrees_with_its_numbers(verdict, sentence):
    assert verdict[1] == sentence


def test_a_run_of_nothing_is_not_decided():
    assert run(0) == ("undecided", "Nothing was measured.")


def test_a_run_that_did_not_come_to_its_end_is_not_decided_unless_it_fails():
    assert run(0, complete=False) == ("undecided", "The run did not come to its end. Nothing was measured.")
    assert run(1, complete=False)[0] == "undecided"
    assert run(2, complete=False, waived=("warns", [0]))[0] == "undecided"
    assert run(2, complete=False, over=("fails", [0]))[0] == "fails"


@given(st.lists(findings), st.booleans(), st.integers(0, 3), st.integers(0, 4))
def test_it_is_fine_only_where_something_was_measured_to_its_end_and_nothing_is_the_matter(
    found, complete, held, count
):
    weight, sentence = verdict_of_run(
        [made_test(name, rss=1) for name in "abcd"[:count]], found, complete=complete, held_against=held
    )
    assert (weight == "fine") == (count > 0 and complete and all(one.weight == "fine" for one in found))
    assert sentence[0].isupper() or sentence[0].isdigit()
    assert re.fullmatch(r"[^.]+\.( [^.]+\.)*", sentence)
    assert "1 tests" not in sentence.replace("11 tests", "")


# --- of a gate ----------------------------------------------------------------------------------------------------


def test_a_gates_sentence_is_its_own():
    assert verdict_of_gate(gate_result(judged()), []) == ("fails", "Not passed: 1 test regressed.")


@given(st.lists(findings), st.sampled_from([0, 1, 2, 3, 5]), st.booleans())
def test_a_gate_is_fine_only_where_it_says_so_of_something_and_nothing_is_the_matter(found, status, something):
    ones = [judged(verdict="ok", weight="fine")] if something else []
    weight, _ = verdict_of_gate(gate_result(*ones, status=status), found)
    assert (weight == "fine") == (status == 0 and something and all(one.weight == "fine" for one in found))
    assert weight == "fails" or status != 1


@given(st.text(max_size=20))
def test_a_sentence_has_one_full_stop_and_begins_with_a_capital_letter(text):
    sentence = as_sentence(text)
    assert sentence == as_sentence(sentence)
    assert not sentence.endswith("..") or text.strip().endswith("..")
    assert sentence == "" or sentence[-1] in ".!?…"


def test_parts_are_listed_as_one_says_them():
    assert [listed("abc"[:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
