"""What a GPU is called where there is little room, and why a figure of it has no reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pytest_tfmem.figures import NotMeasured, Reading
from pytest_tfmem.report.gpus import names_in, short_names, told_apart, why_not
from tests.strategies import gpu_labels

FIRST = "GPU-6f2c41ab-1111-2222-3333-444455556666"
SECOND = "GPU-0a1b2c3d-1111-2222-3333-444455556666"
ALIKE = "GPU-6f2c41ab-9999-2222-3333-444455556666"
PART = "MIG-6f2c41ab-1111-2222-3333-444455556666"


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([f"{FIRST} (GPU:0)"], ["GPU:0"]),
        (["GPU:0"], ["GPU:0"]),
        ([FIRST, PART], ["GPU-6f2c41ab", "MIG-6f2c41ab"]),
        ([f"{FIRST} (GPU:0)", f"{SECOND} (GPU:1)"], ["GPU:0", "GPU:1"]),
        ([f"{FIRST} (GPU:0)", f"{FIRST} (GPU:1)", FIRST], ["GPU:0", "GPU:1", "GPU-6f2c41ab"]),
        ([f"{FIRST} (GPU:0)", FIRST, SECOND], ["GPU:0", "GPU:0", "GPU-0a1b2c3d"]),
        ([f"{FIRST} (GPU:0)", f"{SECOND} (GPU:0)"], ["GPU-6f2c41ab (GPU:0)", "GPU-0a1b2c3d (GPU:0)"]),
        (["\x1b[2J (GPU:0)", "x" * 60], ["GPU:0", "xxxxxxxxxxx…xxxxxxxxxxxx"]),
    ],
)
def test_a_gpu_is_called_by_the_shortest_name_that_no_other_has(labels, names):
    assert short_names(labels) == dict(zip(labels, names, strict=True))


def test_cards_that_short_names_do_not_tell_apart_keep_their_own():
    assert short_names([FIRST, f"{ALIKE} (GPU:1)", SECOND]) == {
        FIRST: "GPU-6f2c41ab",
        f"{ALIKE} (GPU:1)": "GPU:1",
        SECOND: "GPU-0a1b2c3d",
    }
    assert short_names([FIRST, ALIKE]) == {FIRST: FIRST, ALIKE: ALIKE}


def test_a_card_has_one_name_in_all_figures():
    read = Reading(bytes=5, exactness="exact", source="x", device=f"{FIRST} (GPU:0)")
    assert names_in({"gpu": [read], "gpu_footprint": [NotMeasured("lost", FIRST)], "rss": NotMeasured("x")}) == {
        f"{FIRST} (GPU:0)": "GPU:0",
        FIRST: "GPU:0",
    }


@given(st.lists(gpu_labels(st.text())))
def test_a_short_name_fits_and_can_be_printed(labels):
    for name in short_names(labels).values():
        assert cell_len(name) <= 50
        assert name.isprintable()


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        (NotMeasured("no GPU"), "no GPU"),
        (NotMeasured(""), "no reason given"),
        ([NotMeasured("lost"), NotMeasured("late"), NotMeasured("lost")], "lost; late"),
        ([], "the test used no GPU"),
        (None, "nothing"),
        (Reading(bytes=5, exactness="exact", source="x"), "nothing"),
    ],
)
def test_each_reason_is_given_once(reading, reason):
    assert why_not(reading, otherwise="nothing") == reason


def test_gpus_that_are_unmeasured_for_one_reason_are_not_told_apart():
    lost, late = NotMeasured("lost", FIRST), NotMeasured("late", SECOND)
    assert told_apart([lost, NotMeasured("lost", SECOND)]) == [NotMeasured("lost")]
    assert told_apart([lost, late]) == [lost, late]
    assert told_apart([lost]) == [lost]
    assert told_apart(lost) == [lost]
    assert told_apart([]) == []
