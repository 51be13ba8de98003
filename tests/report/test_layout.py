from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pytest_tfmem.report.layout import align, plain, shorten_end, shorten_middle, wrap


def test_a_long_node_id_keeps_its_file_and_the_end_of_its_name():
    shown = shorten_middle("tests/models/test_resnet.py::TestFit::test_one_epoch[mixed_float16]", 40)
    assert shown == "tests/models/test_r…epoch[mixed_float16]"


def test_wide_characters_are_shortened_by_their_cells():
    assert shorten_middle("世界" * 10, 9) == "世界…世界"


def test_what_fits_is_not_shortened():
    assert shorten_middle("test_step", 9) == "test_step"
    assert shorten_end("test_step", 9) == "test_step"


def test_an_end_that_does_not_fit_is_cut_visibly():
    assert shorten_end("1.62 GiB", 6) == "1.62 …"


def test_escape_sequences_are_shown_and_nothing_is_cut_off():
    assert plain("\x1b[31m\udc80" + "x" * 1000) == r"\x1b[31m\udc80" + "x" * 1000


def test_text_is_wrapped_at_spaces_and_indented():
    assert wrap("one two three four", 9) == ["one two", "  three", "  four"]


def test_a_word_wider_than_a_line_is_cut_in_pieces():
    assert wrap("abcdefghij", 6) == ["abcd", "  efgh", "  ij"]


def test_columns_are_aligned_by_cells():
    assert align([("figure", "size"), ("世界", "1")], "<>") == ["figure  size", "世界       1"]


@pytest.mark.parametrize("shorten", [shorten_middle, shorten_end])
@given(text=st.text() | st.text("a世❤\ufe0f🏽", min_size=20), width=st.integers(4, 40))
def test_shortened_text_fits(shorten, text, width):
    assert cell_len(shorten(plain(text), width)) <= width


@given(text=st.text("ab 世❤\ufe0f"), width=st.integers(6, 40))
def test_wrapped_text_fits_and_loses_nothing_but_spaces(text, width):
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
