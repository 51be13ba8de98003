"""Text of others in Markdown: read back from what two renderers make of it, one of them GitHub's own."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_tfmem.errors import one_line
from pytest_tfmem.pullrequest.escaping import code, nodeid, prose
from tests.pullrequest.conftest import hostile
from tests.pullrequest.rendered import by_github, by_markdown_it, calls_someone

RENDERERS = [by_github, by_markdown_it]


@pytest.mark.parametrize("render", RENDERERS)
@settings(max_examples=200, deadline=None)
@given(hostile)
@example("a\\|b\\\\|c")
@example(" ` ")
@example("|")
def test_a_code_span_in_a_cell_shows_the_text_and_nothing_else_of_it(render, text):
    page = render(f"| a | b |\n|---|---|\n| {code(text)} | z |\n")
    shown = one_line(text, most=250)
    (_, (cell, last)) = page.rows
    assert last.text == "z"
    assert page.tags <= {"table", "thead", "tbody", "tr", "th", "td", "code"}
    assert cell.text == shown
    assert "".join(cell.spans) == shown


@pytest.mark.parametrize("render", RENDERERS)
@settings(max_examples=200, deadline=None)
@given(hostile | st.lists(hostile | st.sampled_from(["renamed", "from", "77.0", "MiB"]), max_size=6).map(" ".join))
@example("+ a")
@example("1. a")
@example(" 1. ")
def test_a_sentence_shows_the_text_as_prose_and_code_and_nothing_else(render, text):
    page = render(f"- {prose(text)}\n\n{prose(text)}\n")
    assert page.tags <= {"ul", "li", "p", "code"}
    assert not calls_someone(page.outside_code)
    shown = "".join(one_line(text, most=500).split())
    assert "".join(page.text.split()) == shown * 2


def test_plain_words_are_not_code():
    told = prose("steady since 2026-03-01 (3f2a1b0c9); renamed from tests/a.py::test_a, 3 of 7 (1.5 GiB).")
    assert told == ("steady since 2026-03-01 `(3f2a1b0c9);` renamed from `tests/a.py::test_a,` 3 of 7 (1.5 GiB).")


def test_a_long_id_is_shortened_in_its_middle():
    assert nodeid(f"tests/test_a.py::{'x' * 1000}[end]").endswith("x[end]`")
    assert len(nodeid("x" * 1000)) == 252


def test_a_mark_that_turns_the_direction_of_writing_is_shown():
    assert code("a\u202eb") == "`a\\u202eb`"
