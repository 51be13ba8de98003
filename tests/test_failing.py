"""Which figures fail which phase of a test."""

from __future__ import annotations

import pytest

from pytest_tfmem.failing import Failing
from pytest_tfmem.figures import Limit
from pytest_tfmem.settings import read_settings

LIMITS = {figure: Limit(bytes=8, where="a marker") for figure in ("rss", "rss_growth", "gpu")}


@pytest.fixture
def failing(pytester, monkeypatch):
    """What is to fail an attempt of a session with these arguments."""
    monkeypatch.delenv("CI", raising=False)
    return lambda *arguments: Failing(read_settings(pytester.parseconfig(*arguments)))


def test_a_figure_fails_the_first_phase_that_shows_it_and_no_other(failing):
    one = failing()
    assert one.looks("call")
    assert one.figures("call", LIMITS, {"rss": "over", "rss_growth": "ok"}) == ["rss"]
    assert one.looks("teardown")
    assert one.figures("teardown", LIMITS, {"rss": "over", "rss_growth": "over"}) == ["rss_growth"]
    assert one.phases == {"call", "teardown"}


def test_what_is_within_its_limit_fails_nothing(failing):
    one = failing()
    assert one.figures("call", LIMITS, dict.fromkeys(LIMITS, "near")) == []
    assert one.phases == set()


def test_a_setup_fails_for_no_limit_nor_does_a_teardown_after_a_call_that_did_not_pass(failing):
    one = failing()
    assert [one.looks("setup"), one.looks("teardown")] == [False, False]


def test_limits_that_are_to_fail_nothing_are_not_looked_at(failing):
    assert failing("--tfmem-fail-on=nothing").looks("call") is False


@pytest.mark.parametrize(
    ("arguments", "level", "expected"),
    [
        (["--tfmem-gpu=require"], "error", ["gpu"]),
        (["--tfmem-gpu=require"], "warn", []),
        ([], "error", []),
    ],
)
def test_a_figure_of_a_gpu_that_was_not_measured_fails_where_it_is_required(failing, arguments, level, expected):
    limits = {"rss": LIMITS["rss"], "gpu": Limit(bytes=8, where="a marker", level=level)}
    unread = {"rss": "not-measured", "gpu": "not-measured"}
    assert failing(*arguments).figures("call", limits, unread) == expected
