from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.exports.names import named
from tests.strategies import hostile_texts, nodeids

texts = hostile_texts | nodeids() | st.text("ab世", min_size=1000, max_size=1100)


def test_an_id_that_can_be_kept_is_kept():
    nodeid = "tests/test_a.py::TestB::test_c[1-x y-é]"
    assert named(nodeid, without="#|", most_bytes=1024) == nodeid


def test_what_cannot_be_kept_is_escaped_as_python_writes_it_and_marked():
    assert re.fullmatch(r"a\\x23b\\x0a~[0-9a-f]{12}", named("a#b\n", without="#"))
    assert named("\u202e\udc80\U000e0001").startswith("\\u202e\\udc80\\U000e0001~")


def test_a_long_id_is_cut_and_marked_and_told_from_one_with_the_same_beginning():
    one, other = (named("世" * 400 + end, most_bytes=1024) for end in "ab")
    assert one != other
    assert one.startswith("世" * 337 + "~")
    assert len(one.encode()) == 1024


def test_an_id_cannot_pass_itself_off_as_the_name_of_another():
    name = named("a\nb")
    assert named(name) != name


@given(texts, st.sampled_from(["", "#", "`|"]), st.none() | st.just(1024))
def test_a_name_is_one_line_that_any_tool_can_hold(text, without, most):
    name = named(text, without=without, most_bytes=most)
    assert name
    assert name.isprintable()
    assert not set(without) & set(name)
    assert most is None or len(name.encode()) <= most
    assert named(text, without=without, most_bytes=most) == name


@given(st.lists(texts, unique=True), st.sampled_from(["", "#"]), st.none() | st.just(1024))
def test_two_tests_never_have_one_name(ids, without, most):
    assert len({named(one, without=without, most_bytes=most) for one in ids}) == len(ids)
