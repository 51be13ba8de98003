from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.report.terminal import sparkline


def test_values_become_blocks_from_the_lowest_to_the_highest():
    assert sparkline([0, 10, 20, 30, 40, 50, 60, 70], 8) == "▁▂▃▄▅▆▇█"


def test_no_peak_is_lost_where_values_share_a_character():
    assert sparkline([100, 100, 900, 100, 100, 100, 100, 100], 4) == "▁█▁▁"


def test_few_values_are_not_stretched():
    assert sparkline([1, 2], 10) == "▁█"


def test_noise_is_drawn_level():
    assert sparkline([500_000, 500_100, 500_000], 3) == "▁▁▁"


def test_nothing_makes_nothing():
    assert sparkline([], 10) == ""
    assert sparkline([1, 2, 3], 0) == ""


@given(values=st.lists(st.integers(0, 1 << 60)), width=st.integers(-1, 50))
def test_a_sparkline_is_never_wider_than_its_width(values, width):
    assert len(sparkline(values, width)) == max(0, min(len(values), width))


def test_what_was_not_read_stands_as_it_was_read_last():
    assert sparkline([None, None, 0, None, 7, None], 6) == "  ▁▁██"
    assert sparkline([None, None, 0, 0, None, 7], 3) == " ▁█"


def test_what_was_never_read_has_no_shape():
    assert sparkline([None, None], 6) == ""
