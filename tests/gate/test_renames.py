"""Which tests are the same under a new id."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.gate.renames import renamed

_IDS = st.sets(st.from_regex(r"[ab]\.py(::[CD])?::t[0-3](\[[xy]\])?", fullmatch=True), max_size=8)


def test_tests_of_a_renamed_file_are_those_of_the_old_one():
    before = ["a.py::t", "a.py::C::t[a::b/c]"]
    now = ["b.py::t", "b.py::C::t[a::b/c]"]
    assert renamed(before, now, moved={"a.py": "b.py"}) == dict(zip(now, before, strict=True))


def test_one_function_that_is_gone_and_one_that_is_new_in_a_class_are_one():
    before = ["a.py::C::t[x]", "a.py::C::t[y]", "a.py::other"]
    now = ["a.py::C::u[x]", "a.py::C::u[z]", "a.py::other"]
    assert renamed(before, now, moved={}) == {"a.py::C::u[x]": "a.py::C::t[x]"}


def test_a_function_may_be_renamed_together_with_its_file():
    assert renamed(["a.py::t"], ["b.py::u"], moved={"a.py": "b.py"}) == {"b.py::u": "a.py::t"}


def test_where_more_changed_nobody_can_tell():
    assert renamed(["a.py::t", "a.py::u"], ["a.py::v", "a.py::w"], moved={}) == {}
    assert renamed(["a.py::t"], ["a.py::v", "a.py::w"], moved={}) == {}
    assert renamed(["a.py::t"], ["a.py::C::u"], moved={}) == {}
    assert renamed(["a.py::t"], ["b.py::u"], moved={}) == {}


def test_where_only_some_tests_are_known_files_alone_tell():
    ids = ["a.py::t", "c.py::x"], ["b.py::t", "c.py::y"]
    assert renamed(*ids, moved={"a.py": "b.py"}, are_all=False) == {"b.py::t": "a.py::t"}


@given(before=_IDS, now=_IDS)
def test_only_what_is_new_was_renamed_and_only_from_what_is_gone_and_each_once(before, now):
    found = renamed(before, now, moved={"a.py": "b.py"})
    assert set(found) <= now - before
    assert set(found.values()) <= before - now
    assert len(set(found.values())) == len(found)
