"""Numbers in a row are the same when they are unpacked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.page.packed import packed, unpacked


@given(st.lists(st.none() | st.integers(0, 1 << 62)))
def test_unpacked_are_the_values_that_were_packed(values):
    assert unpacked(packed(values)) == values


def test_pages_of_memory_are_counted_in_pages():
    assert packed([8192, 12288, None, 4096]) == [8192, 4096, 0, 1, None, -2]


def test_values_that_are_all_the_same_take_no_steps():
    assert packed([7, 7, 7]) == [7, 1, 0, 0, 0]
