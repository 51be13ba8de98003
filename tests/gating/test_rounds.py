"""Base and head in turn, each attempt a session of its own."""

from __future__ import annotations

import msgspec
import pytest

from pytest_tfmem.attempts.pytest_session import Attempt
from pytest_tfmem.attempts.revision import CannotBeBuiltError
from pytest_tfmem.gating.rounds import Chosen, Rounds
from tests.made import made_run, made_test


class _Side:
    """Stands in for a revision: of each session the outcome of each test, "passed" if nothing is said of it."""

    def __init__(self, name, log, outcomes=None):
        self.name = name
        self._log = log
        self._outcomes = outcomes or {}

    def chosen(self, nodeids):
        self._log.append((self.name, list(nodeids)))
        sessions = sum(name == self.name for name, _ in self._log)
        told = [(nodeid, self._outcomes.get(nodeid, [])) for nodeid in nodeids]
        tests = [
            made_test(nodeid, outcome=dict(enumerate(said, 1)).get(sessions, "passed"), rss=1) for nodeid, said in told
        ]
        return Attempt(run=made_run(1, *tests), exit_status=0)


def _chosen(nodeid="t::a", base_id="same", needed=3):
    return Chosen(nodeid=nodeid, base_id=nodeid if base_id == "same" else base_id, needed=needed)


def _ran(*chosen, head=None, base=None, said=None):
    log = []
    rounds = Rounds(
        _Side("head", log, head),
        _Side("base", log, base),
        chosen,
        of=9,
        say=lambda text, *_: (said if said is not None else []).append(text),
    )
    rounds.run()
    return rounds, log


def test_the_order_within_a_pair_alternates():
    _, log = _ran(_chosen())
    assert [name for name, _ in log] == ["base", "head", "head", "base", "base", "head"]


def test_a_session_has_only_the_tests_that_need_one_more():
    _, log = _ran(_chosen("t::a"), _chosen("t::b", needed=2))
    assert [ids for _, ids in log] == [["t::a", "t::b"]] * 4 + [["t::a"]] * 2


def test_a_test_has_its_old_id_in_the_base_and_a_new_one_is_not_run_there():
    _, log = _ran(_chosen("t::a", "t::old", 1), _chosen("t::new", None, 1))
    assert log == [("base", ["t::old"]), ("head", ["t::a", "t::new"])]


def test_a_test_that_failed_is_run_again_on_the_side_that_lacks_a_value():
    rounds, log = _ran(_chosen(), head={"t::a": ["passed", "failed", "passed", "failed"]})
    assert [name for name, _ in log][6:] == ["head", "head"]
    assert sum(done.gave_values for done in rounds.tries if done.side == "head") == 3
    assert [done.said for done in rounds.tries if not done.gave_values] == ["it failed", "it failed"]


def test_a_test_that_never_passes_is_not_run_for_ever():
    _, log = _ran(_chosen(), head={"t::a": ["failed"] * 99})
    assert len(log) == 6
    _, log = _ran(_chosen(), head={"t::a": ["passed", *["failed"] * 99]})
    assert len(log) == 9


def test_attempts_are_counted_and_not_looked_through_for_every_test(monkeypatch):
    asked = []
    monkeypatch.setattr("pytest_tfmem.gating.rounds.counts", lambda test: asked.append(test.nodeid) or True)
    _ran(*[_chosen(f"t::{number}", needed=4) for number in range(5)])
    assert len(asked) <= 2 * 5 * 8  # of 8 attempts at each of 5: whether it gave a value, and if not, why


def test_what_is_decided_is_told():
    said = []
    _ran(_chosen(needed=1), said=said)
    assert said == ["deciding 1 test of 9: attempt 1 of 2 (base)", "deciding 1 test of 9: attempt 2 of 2 (head)"]


def test_a_base_that_cannot_be_run_ends_its_part_and_a_head_that_cannot_ends_all():
    class Broken(_Side):
        def chosen(self, nodeids):
            raise CannotBeBuiltError("it is broken")

    log = []
    rounds = Rounds(_Side("head", log), Broken("base", log), [_chosen()], of=1, say=lambda *_: None)
    rounds.run()
    assert (rounds.why_no_base, [name for name, _ in log]) == ("it is broken", ["head"] * 3)
    with pytest.raises(CannotBeBuiltError):
        Rounds(Broken("head", log), None, [_chosen()], of=1, say=lambda *_: None).run()


def test_a_session_that_measured_nothing_gives_no_values_and_says_why():
    class Silent(_Side):
        def chosen(self, nodeids):
            return msgspec.structs.replace(super().chosen(nodeids), run=None, said="unrecognized arguments: --x")

    log = []
    rounds = Rounds(Silent("head", log), None, [_chosen(needed=1)], of=1, say=lambda *_: None)
    rounds.run()
    assert [done.said for done in rounds.tries] == ["unrecognized arguments: --x"]
    rounds = Rounds(_Side("head", log), Silent("base", log), [_chosen(needed=1)], of=1, say=lambda *_: None)
    rounds.run()
    assert rounds.why_no_base == "unrecognized arguments: --x"
