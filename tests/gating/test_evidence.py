"""What was measured, put together for the verdict."""

from __future__ import annotations

from pytest_tfmem.gating.evidence import Court
from pytest_tfmem.gating.head import Head
from pytest_tfmem.gating.rounds import Try
from pytest_tfmem.gating.suspects import nominate
from pytest_tfmem.history.series import History, history_of
from tests.gating.test_suspects import ALLOWED, FACTS
from tests.made import made_run, made_test

_MIB = 1 << 20


class _Counted(list):
    """Counts how often it is gone through."""

    times = 0

    def __iter__(self):
        self.times += 1
        return super().__iter__()


def _court(sizes, tests=("t::a",)):
    """All is decided; `sizes`: what every test read, by side."""
    now = [made_test(nodeid, rss_anon=100 * _MIB) for nodeid in tests]
    series = history_of([made_run(99, *now)])
    head = Head(
        tests={test.nodeid: test for test in now}, series=series, facts=FACTS, gpu_names=[], chosen_by_user=False
    )
    tries = _Counted(
        Try(side=side, number=number, nodeid=nodeid, measurement=made_test(nodeid, rss_anon=size), conditions={})
        for side, read in sizes.items()
        for number, size in enumerate(read, 1)
        for nodeid in tests
    )
    return Court(
        head=head,
        suspects=nominate(head, History(), ALLOWED, {}, decide_all=True, attempts=2),
        allowed=ALLOWED,
        tries=tries,
        old_ids={},
        base_ids=frozenset(tests),
        allow_raises=False,
    )


def test_the_medians_that_are_shown_are_those_that_decide():
    (judged,) = _court({"base": [10 * _MIB, 20 * _MIB], "head": [100 * _MIB, 120 * _MIB]}).verdicts()
    assert (judged.verdict, judged.base_bytes, judged.head_bytes) == ("regressed", 15 * _MIB, 110 * _MIB)


def test_attempts_are_gone_through_once_however_many_tests_there_are():
    court = _court({"base": [1, 2], "head": [1, 2]}, tests=[f"t::{number}" for number in range(9)])
    assert [len(one.attempts) for one in court.verdicts()] == [4] * 9
    assert court.tries.times == 1
