from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_tfmem.report.sizes import format_apart, format_excess, format_mib, format_pairs, format_share

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
sizes = st.integers(0, 1 << 50)


def test_a_column_has_the_unit_that_shows_its_smallest_size():
    assert format_pairs([(GIB, 2 * GIB), (300 * MIB, 0)]) == [
        ("1024.0 MiB", "2048.0 MiB"),
        ("300.0 MiB", "0 B"),
    ]


def test_a_column_of_large_sizes_has_a_large_unit():
    assert format_pairs([(GIB, 3 * GIB // 2)]) == [("1.00 GiB", "1.50 GiB")]


def test_sizes_too_far_apart_for_one_unit_have_one_pair_by_pair():
    assert format_pairs([(2 * KIB, 4 * KIB), (990 * MIB, GIB)]) == [
        ("2 KiB", "4 KiB"),
        ("990.0 MiB", "1024.0 MiB"),
    ]


def test_small_sizes_among_large_ones_are_parts_of_their_unit_and_never_nothing():
    assert format_pairs([(MIB, 38 * MIB), (0, 52 * KIB), (300 * KIB, MIB)]) == [
        ("1.00 MiB", "38.00 MiB"),
        ("0 B", "0.05 MiB"),
        ("0.29 MiB", "1.00 MiB"),
    ]
    assert format_pairs([(11 * KIB, 9 * MIB)]) == [("11 KiB", "9216 KiB")]


@given(st.lists(st.tuples(sizes, sizes), min_size=1))
def test_no_size_but_nothing_prints_as_nothing(pairs):
    shown = [text for texts in format_pairs(pairs) for text in texts]
    assert [float(text.split()[0]) > 0 for text in shown] == [size > 0 for pair in pairs for size in pair]


def test_a_pair_too_far_apart_for_one_unit_has_two():
    assert format_pairs([(1, GIB)]) == [("1 B", "1.00 GiB")]


@pytest.mark.parametrize(("size", "shown"), [(0, "0"), (1, "0.0"), (3 * MIB // 2, "1.5"), (2 * GIB, "2048.0")])
def test_only_nothing_is_shown_as_nothing_in_mib(size, shown):
    assert format_mib(size) == shown


def test_sizes_that_would_print_alike_are_told_apart_by_their_bytes():
    assert format_apart(GIB + 1, GIB) == ("1,073,741,825 B", "1,073,741,824 B")


@given(first=sizes, second=sizes)
def test_sizes_that_differ_print_differently(first, second):
    assume(first != second)
    shown = format_apart(first, second)
    assert shown[0] != shown[1]


def test_an_excess_is_a_percentage_of_the_limit():
    assert format_excess(108 * MIB, 100 * MIB) == "+8.0 %"


def test_an_excess_too_small_for_a_percentage_is_shown_in_bytes():
    assert format_excess(GIB + 4, GIB) == "+4 B"


@pytest.mark.parametrize(
    ("reading", "limit", "shown"),
    [
        (934, 1000, "93.4 %"),
        (GIB, GIB, "100.0 %"),
        (GIB + 1, GIB, ">100 %"),
        (GIB - 1, GIB, "<100 %"),
        (0, 5, "0.0 %"),
        (5, 0, ""),
    ],
)
def test_a_share_is_rounded_but_never_onto_the_limit(reading, limit, shown):
    assert format_share(reading, limit) == shown
