"""Which test is which, from one collection to the next."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.isolate.identity import collected_id, escaped, find, not_found, ordinal, remember

WHY = " a test's id has to be the same at every collection: no random numbers, times, addresses or process ids in it"


def collected(*nodeids):
    """Items of one session, as far as their ids go."""
    session = SimpleNamespace(stash=pytest.Stash(), items=[])
    for nodeid in nodeids:
        session.items.append(SimpleNamespace(nodeid=nodeid, stash=pytest.Stash(), session=session))
        remember(session.items[-1])
    return session.items


def test_a_test_is_known_by_the_id_that_it_was_collected_with():
    (item,) = collected("test_a.py::test_b")
    item.nodeid += "@gpu0"  # as pytest-xdist's loadgroup does
    assert collected_id(item) == "test_a.py::test_b"


def test_a_test_that_was_never_collected_is_known_by_its_id():
    assert collected_id(SimpleNamespace(nodeid="test_a.py::\udcff", stash=pytest.Stash())) == r"test_a.py::\udcff"


def test_tests_of_the_same_id_are_told_apart_by_their_order():
    items = collected("a", "b", "a", "a")
    assert [ordinal(item) for item in items] == [0, 0, 1, 2]


def test_their_order_outlives_a_plugin_that_drops_tests():
    items = collected("a", "a", "b")
    orders = {id(item): ordinal(item) for item in items}
    assert [orders[id(item)] for item in items] == [ordinal(item) for item in items] == [0, 1, 0]


@given(st.lists(st.sampled_from(["a", "b", "\udcff", "é"]), min_size=1))
def test_a_second_collection_finds_every_test_of_the_first(nodeids):
    first, second = collected(*nodeids), collected(*nodeids)
    found = [find(second, collected_id(item), ordinal(item)) for item in first]
    assert [id(item) for item in found] == [id(item) for item in second]


def test_where_there_are_fewer_of_an_id_the_last_is_taken():
    items = collected("a", "b")
    assert find(items, "a", 3) is items[0]


def test_an_id_that_is_not_there_is_not_found():
    assert find(collected("a"), "b", 0) is None
    assert find([], "b", 0) is None


def test_what_is_not_found_is_told_with_the_nearest_that_was():
    items = collected("test_a.py::test_x[0.123]", "test_a.py::test_y")
    assert not_found(items, "test_a.py::test_x[0.456]") == (
        "test_a.py::test_x[0.456] was not there when its file was collected again in a fresh process"
        f" (the nearest found now is test_a.py::test_x[0.123]);{WHY}"
    )


def test_what_is_like_nothing_that_was_found_is_told_with_their_number():
    assert not_found(collected("zzz", "yyy"), "test_a") == (
        f"test_a was not there when its file was collected again in a fresh process (2 other tests were found);{WHY}"
    )


def test_an_id_of_any_length_is_told_in_a_line():
    message = not_found(collected("x" * 100_000), "x\n" * 100_000)
    assert len(message) < 1000
    assert "\n" not in message


@given(st.text())
def test_what_is_escaped_can_be_encoded_and_is_escaped_once(text):
    once = escaped(text)
    once.encode()
    assert escaped(once) == once
