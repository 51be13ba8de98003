"""The verdict on the whole, in a sentence."""

from __future__ import annotations

import pytest

from pytest_tfmem.gate.result import Judged
from pytest_tfmem.gating.summing import sentence, status_of


def judged(**verdicts):
    return [
        Judged(nodeid=nodeid, figure="rss_anon", verdict=verdict, weight="fails" if verdict == "over" else "fine")
        for nodeid, verdict in verdicts.items()
    ]


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        ({"a": "ok"}, "passed: 1 test was judged, and none needs more than it may"),
        ({"a": "ok", "b": "new"}, "passed: 2 tests were judged, and none needs more than it may"),
        (
            {"a": "ok", "b": "incomparable"},
            "passed: 2 tests were judged, 1 by limits alone, for earlier runs were made under other conditions",
        ),
        (
            {"a": "incomparable", "b": "incomparable"},
            "passed: 2 tests were judged, all by limits alone, for earlier runs were made under other conditions",
        ),
        ({"a": "over", "b": "incomparable"}, "not passed: 1 test over the limit"),
        ({}, "not decided: nothing was judged"),
    ],
)
def test_the_sentence_says_by_what_tests_were_judged(verdicts, told):
    assert sentence(judged(**verdicts)) == told
    assert status_of(judged(**verdicts)) == {"p": 0}.get(told[0], 1 if "over" in told else 3)
