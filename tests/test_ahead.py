"""What is made ready while a test runs, by what is known to come."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from pytest_tfmem.ahead import Ahead
from pytest_tfmem.errors import TfmemError


class RecordingStarter:
    """A starter that notes what is asked of it, and does nothing."""

    def __init__(self):
        self.asked = []

    def warm_up(self, order):
        self.asked.append(("warm up", order))

    def open_file(self, order):
        self.asked.append(("open", order))

    def expect(self, order):
        self.asked.append(("expect", order))

    def close_file(self, path):
        self.asked.append(("close", os.path.basename(os.fsdecode(path))))


class Looking:
    """An Ahead, and what it has asked for since it was last asked; an order is the name of its test."""

    def __init__(self):
        self.starter = RecordingStarter()
        self.starters = 0
        self.unwanted = ()
        self.error = None
        self.ahead = Ahead(
            self._starter, wants=self._wants, order_for=self._order_for, early_order_for=self._early_order_for
        )

    def asked(self):
        asked, self.starter.asked = self.starter.asked, []
        return asked

    def _starter(self):
        self.starters += 1
        return self.starter

    def _wants(self, item):
        return item.name not in self.unwanted

    def _order_for(self, item):
        if self.error is not None:
            raise self.error
        return item.name

    def _early_order_for(self, item):
        return f"early {self._order_for(item)}"


@pytest.fixture
def looking():
    return Looking()


@pytest.fixture
def tests(pytester, monkeypatch):
    """Collected tests of which two are in the first file, one is in the second, and two are in the third."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        test_a="def test_a1(): pass\ndef test_a2(): pass",
        test_b="def test_b1(): pass",
        test_c="def test_c1(): pass\ndef test_c2(): pass",
    )
    items, _ = pytester.inline_genitems()
    return SimpleNamespace(**{item.name.removeprefix("test_"): item for item in items}, all=items)


def test_a_server_is_started_when_the_first_test_for_it_is_collected(looking, tests):
    looking.unwanted = ("test_a1",)
    looking.ahead.collected([tests.a1.parent, tests.a1])
    assert (looking.asked(), looking.starters) == ([], 0)
    looking.ahead.collected([tests.a1, tests.a2, tests.b1])
    assert looking.asked() == [("warm up", "early test_a2")]


def test_no_second_server_is_started(looking, tests):
    looking.ahead.collected([tests.a1])
    looking.asked()
    looking.ahead.collected([tests.b1])
    assert looking.asked() == []


def test_the_first_file_is_opened_when_all_tests_are_known(looking, tests):
    looking.unwanted = ("test_a1", "test_a2")
    looking.ahead.all_collected(tests.all)
    assert looking.asked() == [("open", "test_b1")]


def test_the_next_test_of_the_same_file_has_a_process_and_the_next_file_is_opened(looking, tests):
    looking.ahead.all_collected(tests.all)
    looking.asked()
    looking.ahead.started(tests.a1, tests.a2)
    assert looking.asked() == [("expect", "test_a2"), ("open", "test_b1")]


def test_the_first_test_of_another_file_has_none_but_its_file_is_opened(looking, tests):
    looking.ahead.all_collected(tests.all)
    looking.asked()
    looking.ahead.started(tests.a2, tests.b1)
    assert looking.asked() == [("open", "test_b1")]


def test_in_the_last_file_no_other_is_opened(looking, tests):
    looking.ahead.all_collected(tests.all)
    looking.asked()
    looking.ahead.started(tests.c1, tests.c2)
    assert looking.asked() == [("expect", "test_c2")]


def test_for_the_last_test_nothing_is_made_ready(looking, tests):
    looking.ahead.all_collected(tests.all)
    looking.asked()
    looking.ahead.started(tests.c2, None)
    assert looking.asked() == []


def test_tests_that_run_in_pytests_own_process_are_looked_past(looking, tests):
    looking.unwanted = ("test_a2", "test_b1", "test_c1")
    looking.ahead.all_collected(tests.all)
    looking.asked()
    looking.ahead.started(tests.a1, tests.a2)
    assert looking.asked() == [("open", "test_c2")]


def test_where_all_are_known_what_pytest_says_comes_next_is_not_asked_for_its_own_sake(looking, tests):
    looking.ahead.all_collected([tests.a1, tests.c1])
    looking.asked()
    looking.ahead.started(tests.a1, tests.a2)
    assert looking.asked() == [("open", "test_c1")]


def test_a_file_whose_tests_come_in_turns_with_anothers_stays_open_to_its_last(looking, tests):
    in_turns = [tests.a1, tests.c1, tests.a2, tests.c2]
    looking.ahead.all_collected(in_turns)
    looking.asked()
    for test in in_turns:
        looking.ahead.ended(test)
    assert looking.asked() == [("close", "test_a.py"), ("close", "test_c.py")]


def test_a_file_whose_tests_are_over_is_not_opened_again(looking, tests):
    looking.ahead.all_collected([tests.a1, tests.c1, tests.a2, tests.b1])
    looking.asked()
    looking.ahead.started(tests.a2, tests.b1)
    assert looking.asked() == [("open", "test_b1")]


def test_a_file_is_closed_after_its_last_test(looking, tests):
    looking.ahead.all_collected(tests.all)
    looking.asked()
    looking.ahead.ended(tests.a1)
    assert looking.asked() == []
    looking.ahead.ended(tests.a2)
    assert looking.asked() == [("close", "test_a.py")]


def test_tests_that_are_not_for_it_keep_no_file_open(looking, tests):
    looking.unwanted = ("test_a2",)
    looking.ahead.all_collected(tests.all)
    looking.asked()
    looking.ahead.ended(tests.a1)
    assert looking.asked() == [("close", "test_a.py")]


def test_where_nobody_knows_all_tests_what_pytest_says_comes_next_is_made_ready(looking, tests):
    looking.ahead.started(tests.a1, tests.a2)
    assert looking.asked() == [("expect", "test_a2")]
    looking.ahead.started(tests.a2, tests.b1)
    assert looking.asked() == [("open", "test_b1")]
    looking.ahead.started(tests.b1, None)
    assert looking.asked() == []


def test_where_nobody_knows_all_tests_no_file_is_closed(looking, tests):
    looking.ahead.started(tests.a1, tests.b1)
    looking.asked()
    looking.ahead.ended(tests.a1)
    assert looking.asked() == []


@pytest.mark.parametrize("error", [TfmemError("no such figure"), OSError(24, "Too many open files")])
def test_what_is_wrong_with_a_test_is_not_said_before_its_turn(looking, tests, error):
    looking.error = error
    looking.ahead.collected(tests.all)
    looking.ahead.all_collected(tests.all)
    looking.ahead.started(tests.a1, tests.a2)
    looking.ahead.ended(tests.a1)
    looking.ahead.ended(tests.a2)
    assert looking.asked() == [("close", "test_a.py")]


@pytest.mark.parametrize("error", [TfmemError("refused"), OSError(11, "Resource temporarily unavailable")])
def test_nor_is_what_the_system_refuses(looking, tests, error):
    def refuse(order):
        raise error

    looking.starter.warm_up = looking.starter.open_file = looking.starter.expect = refuse
    looking.ahead.collected(tests.all)
    looking.ahead.all_collected(tests.all)
    looking.ahead.started(tests.a1, tests.a2)
    assert looking.asked() == []


def test_a_mistake_of_ours_is_not_hidden(looking, tests):
    looking.error = KeyError("ours")
    with pytest.raises(KeyError):
        looking.ahead.all_collected(tests.all)


def test_nothing_is_asked_of_the_starter_when_nothing_is_wanted(looking, tests):
    looking.unwanted = tuple(item.name for item in tests.all)
    looking.ahead.collected(tests.all)
    looking.ahead.all_collected(tests.all)
    looking.ahead.started(tests.a1, tests.a2)
    looking.ahead.started(tests.a2, tests.b1)
    assert (looking.asked(), looking.starters) == ([], 0)
