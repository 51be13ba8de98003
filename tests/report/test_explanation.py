"""What held the memory, as a person reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pytest_tfmem.explanations import Explanation, Holder
from pytest_tfmem.report.explanation import explanation_lines

MIB = 1 << 20
TEXT = st.text(max_size=60)
HOLDERS = st.lists(
    st.builds(
        Holder,
        bytes=st.integers(0, 1 << 40),
        what=TEXT,
        where=TEXT,
        detail=st.text(max_size=300),
        path=st.lists(TEXT, max_size=3),
        kind=st.just("python"),
        new=st.sampled_from([None, True, False]),
    ),
    max_size=20,
)


def holder(size, what, where, **more):
    return Holder(bytes=size, what=what, where=where, kind="python", **more)


def explained(*holders, **more):
    total = sum(one.bytes for one in holders)
    return Explanation(
        figure="rss_growth", peak_bytes=total, holders=list(holders), source="memray", seconds=6.04, **more
    )


@given(HOLDERS, st.lists(TEXT, max_size=3), TEXT, st.sampled_from([40, 79, 159]))
def test_it_is_ten_lines_at_the_most_each_within_its_width_and_plain(holders, notes, against, width):
    lines = explanation_lines(explained(*holders, notes=notes, against=against), width=width)
    assert len(lines) <= 10
    assert all(cell_len(line) <= width and line.isprintable() for line in lines)


def test_it_says_how_much_by_what_count_and_what_that_cost():
    assert explanation_lines(explained(holder(3 * MIB, "load", "a.py:4")), width=159) == [
        "alive at the peak of rss_growth: 3.0 MiB by memray's count, explained by a second run of 6.0 s",
        "  3.0 MiB  a.py:4 load",
    ]


@pytest.mark.parametrize(
    ("count", "detail", "said"),
    [(1, "float32[8]", "float32[8]"), (1200, "float32[8]", "1,200 x float32[8]"), (3, "", "3 tensors"), (1, "", "")],
)
def test_of_tensors_it_says_how_many_there_are(count, detail, said):
    held = Holder(bytes=3 * MIB, count=count, what="AddV2", where="a.py:4", detail=detail, kind="tensor")
    assert explanation_lines(explained(held), width=159)[1] == f"  3.0 MiB  a.py:4 AddV2  {said}".rstrip()


def test_what_is_new_comes_first_and_is_summed_up():
    lines = explanation_lines(
        explained(
            holder(64 * MIB, "load", "a.py:4", new=False, before_bytes=64 * MIB),
            holder(32 * MIB, "copy", "a.py:9", new=True, before_bytes=0),
            holder(16 * MIB, "step", "a.py:7", new=True, before_bytes=8 * MIB),
            against="commit 1234567",
        ),
        width=159,
    )
    assert lines[0].endswith("explained by a second run of 6.0 s; 40.0 MiB of it is new since commit 1234567")
    assert lines[1:] == [
        "    new 32.0 MiB  a.py:9 copy",
        "  grown 16.0 MiB  a.py:7 step",
        "        64.0 MiB  a.py:4 load",
    ]


def test_a_helper_is_told_with_who_called_it():
    path = ["test_a a.py:9", "load a.py:4"]
    assert "from test_a a.py:9" in explanation_lines(explained(holder(MIB, "load", "a.py:4", path=path)), width=159)[1]


def test_what_is_too_small_to_matter_is_summed_up():
    small = [holder(MIB // 100, f"f{at}", "a.py:1") for at in range(5)]
    lines = explanation_lines(explained(holder(99 * MIB, "load", "a.py:4"), *small), width=159)
    assert [line.split()[-2:] for line in lines[1:]] == [["a.py:4", "load"], ["the", "rest"]]


def test_of_many_the_rest_is_summed_up_and_no_line_is_left_out():
    lines = explanation_lines(explained(*(holder(MIB, f"f{at}", "a.py:1") for at in range(30))), width=159)
    assert len(lines) == 10
    assert lines[-1].split() == ["22.0", "MiB", "the", "rest"]


@pytest.mark.parametrize("width", [79, 159])
def test_why_there_is_none_is_one_sentence(width):
    failed = Explanation(figure="rss", failed="memray is not installed (pip install 'pytest-tfmem[explain]')")
    text = " ".join(line.strip() for line in explanation_lines(failed, width=width))
    assert text == (
        "alive at the peak of rss: not explained: memray is not installed (pip install 'pytest-tfmem[explain]')"
    )


@pytest.mark.parametrize("width", [8, 14, 20])
def test_a_terminal_that_is_too_narrow_gets_lines_of_forty_cells(width):
    one = explained(holder(3 * MIB, "load", "tests/test_a.py:4", detail="numeric.ones " * 9), notes=["a " * 50])
    assert explanation_lines(one, width=width) == explanation_lines(one, width=40)
