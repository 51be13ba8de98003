"""The data of a page stand in it as JSON that nothing can end or change."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.page.island import PageData, TestData, island


def of_test(nodeid, **rest):
    return PageData(figures=[], runs=[], tests=[TestData(id=nodeid, outcome="passed", **rest)])


@given(st.text())
def test_any_text_comes_back_as_it_was(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert json.loads(island(of_test(text)))["tests"][0]["id"] == text


def test_nothing_in_it_ends_the_script_or_begins_a_comment():
    written = island(of_test("</script><!--<script>&amp;\u2028\u2029"))
    assert not set("<>&\u2028\u2029") & set(written)


def test_it_says_which_version_it_is():
    assert msgspec.json.decode(island(of_test("a")))["schema"] == "tfmem.page/1"
