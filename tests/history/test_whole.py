"""The shards of a suite are told of as one run."""

from __future__ import annotations

import msgspec

from pytest_tfmem.history.recorded import Footer
from pytest_tfmem.history.rundocument import Shard
from pytest_tfmem.history.whole import latest_whole
from tests.made import ENVIRONMENT, made_run, made_test

ENDED = Footer(duration_seconds=2.0, tests=1, exit_status=0)


def _shard(number, index, *, count=2, footer=ENDED, commit="a" * 40, environment=ENVIRONMENT):
    shard = Shard(index=index, count=count)
    run = made_run(
        number, made_test(f"t.py::test_{number}", rss=number), shard=shard, commit=commit, environment=environment
    )
    return msgspec.structs.replace(run, footer=footer)


def _tests(run):
    return [test.nodeid for test in run.tests]


def test_a_run_that_is_no_shard_is_the_latest_alone():
    first, last = made_run(1), made_run(2)
    assert latest_whole([last, first]) == last


def test_shards_are_joined_in_their_order():
    whole = latest_whole([_shard(2, 1), _shard(1, 2)])
    assert _tests(whole) == ["t.py::test_2", "t.py::test_1"]
    assert (whole.run.shard, whole.footer.tests) == (None, 2)
    assert whole.environment == ENVIRONMENT


def test_what_lacks_a_shard_has_not_come_to_its_end():
    assert latest_whole([_shard(1, 1)]).footer is None
    assert latest_whole([_shard(1, 1), _shard(2, 2, footer=None)]).footer is None


def test_shards_of_other_suites_are_left_out():
    others = [_shard(1, 1, commit="b" * 40), _shard(2, 1, count=3), made_run(3)]
    assert _tests(latest_whole([*others, _shard(4, 2), _shard(5, 1)])) == ["t.py::test_5", "t.py::test_4"]


def test_environments_that_differ_are_like_neither():
    other = msgspec.structs.replace(
        ENVIRONMENT, kernel="6.18.45", cores=4, gpus=["H200"], packages={"tensorflow": "2.21.0", "keras": "3.9"}
    )
    whole = latest_whole([_shard(1, 1), _shard(2, 2, environment=other)])
    assert whole.environment == msgspec.structs.replace(
        ENVIRONMENT,
        kernel="6.18.44 / 6.18.45",
        cores=None,
        gpus=["H200 / none"],
        packages={"tensorflow": "2.20.0 / 2.21.0", "keras": "3.9 / none"},
    )
