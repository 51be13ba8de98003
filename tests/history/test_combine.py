"""Shards joined: which runs belong together, and what is missing."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.history.combine import Part, combine, gather, missing
from pytest_tfmem.history.recorded import Footer
from pytest_tfmem.history.rundocument import Collected, Shard
from pytest_tfmem.history.runfile import run_lines
from tests.history.stored import measured, recorded

COMMIT = "c" * 40


def shard(index, count=3, *, number=None, complete=True, ended=None, exit_status=0, sha=None, commit=COMMIT):
    """Shard `index` of a run of 10 tests each, of which one is measured."""
    run = recorded(number or index, measured(f"test_a.py::test_{index}"), complete=complete)
    collected = Collected(count=10, sha256=sha or f"{index:064}")
    changed = msgspec.structs.replace(
        run.run, shard=Shard(index=index, count=count), collected=collected, commit=commit
    )
    footer = Footer(duration_seconds=1.0, tests=1, exit_status=exit_status, ended=10 if ended is None else ended)
    return msgspec.structs.replace(run, run=changed, footer=footer if complete else None)


def joined(*runs):
    return combine([Part(run, f"{run.run.id}.jsonl") for run in runs])


def refusal(*runs):
    with pytest.raises(TfmemError) as refused:
        joined(*runs)
    return str(refused.value)


def test_shards_are_joined_in_their_order():
    one, two, three = shard(1, number=9), shard(2), shard(3)
    for order in itertools.permutations([one, two, three]):
        found = joined(*order)
        assert found.runs == [one, two, three]
        assert found.missing == []
    assert joined(three, one, two).said == [
        "shard 1 of 3: 1 measured test, from run9.jsonl",
        "shard 2 of 3: 1 measured test, from run2.jsonl",
        "shard 3 of 3: 1 measured test, from run3.jsonl",
    ]


def test_a_run_by_itself_is_whole():
    assert joined(recorded(1)).missing == []


def test_what_is_joined_may_be_joined_again_with_its_parts():
    parts = [shard(3), shard(1), shard(1, number=7), shard(2, complete=False)]
    once = joined(*parts).runs
    assert joined(*once, *parts).runs == joined(*parts, *once).runs == joined(*once).runs == once


def test_a_run_that_stands_in_several_files_is_taken_where_most_is_known_of_it():
    whole = shard(1)
    cut = msgspec.structs.replace(whole, footer=None, tests=[])
    for order in itertools.permutations([whole, cut, msgspec.structs.replace(whole, footer=None)]):
        assert joined(*order, shard(2), shard(3)).runs[0] == whole


@pytest.mark.parametrize(
    ("runs", "lines"),
    [
        ([shard(1), shard(3)], ["shard 2 of 3 is absent"]),
        ([shard(2)], ["shards 1, 3 of 3 are absent"]),
        ([shard(1), shard(2, complete=False), shard(3)], ["shard 2 of 3 did not come to its end"]),
        (
            [shard(1), shard(2, ended=4, exit_status=1), shard(3)],
            ["shard 2 of 3 stopped after 4 of 10 tests (exit status 1)"],
        ),
        ([shard(1), shard(2), shard(3, exit_status=2)], ["shard 3 of 3 was cut short (exit status 2)"]),
        (
            [shard(1), shard(2, sha="0" * 64), shard(3, sha="0" * 64)],
            ["shard 3 of 3 ran the same 10 tests as shard 2 of 3: they were not split"],
        ),
        (
            [recorded(1), recorded(2, complete=False)],
            [
                "2 of 2 runs do not say which shard they are (--tfmem-shard): whether one is absent is not known",
                "the run of 2026-03-01 14:30:00 UTC did not come to its end",
            ],
        ),
    ],
)
def test_what_is_missing_is_told(runs, lines):
    assert missing(runs) == lines


def test_a_test_that_failed_makes_no_run_less_whole():
    assert missing([shard(1, 1, exit_status=1)]) == []


def test_shards_that_have_no_tests_at_all_are_no_copies_of_each_other():
    empty = [
        msgspec.structs.replace(
            run, run=msgspec.structs.replace(run.run, collected=Collected(count=0, sha256="0" * 64))
        )
        for run in (shard(1, 2, exit_status=5, ended=0), shard(2, 2, exit_status=5, ended=0))
    ]
    assert missing(empty) == []


def test_of_two_runs_of_one_shard_the_newer_whole_one_counts():
    others = [shard(2), shard(3)]
    old, new, cut = shard(1, number=4), shard(1, number=5), shard(1, number=6, complete=False)
    stopped = shard(1, number=7, ended=3)
    for order in itertools.permutations([old, new, cut, stopped]):
        found = joined(*order, *others)
        assert found.runs == [new, *others]
        assert found.missing == []
    said = joined(old, new, *others).said[-1]
    assert said == "shard 1 of 3: left out the run of 2026-03-01 16:30:00 UTC in run4.jsonl: another has its place"
    assert joined(cut, stopped, *others).runs[0] == stopped


def test_what_is_not_one_whole_is_refused():
    assert refusal(shard(1), shard(2, commit="d" * 40)) == (
        "the runs are of different commits: cccccccccccc in run1.jsonl, dddddddddddd in run2.jsonl;"
        " combine shards of one run"
    )
    assert refusal(shard(1), shard(2, 4)) == (
        "the numbers of shards differ: 3 in run1.jsonl, 4 in run2.jsonl; combine shards of one run"
    )
    assert refusal(shard(5)) == "run5.jsonl: there is no shard 5 of 3"


def test_runs_without_a_commit_may_be_joined():
    assert joined(shard(1, 2, commit=None), shard(2, 2)).missing == []


def test_folders_are_searched_for_run_files(tmp_path):
    files = {"a/one.jsonl": shard(1), "a/deep/two.jsonl": shard(2), "three.json": shard(3)}
    for name, run in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(run_lines(run))
    (tmp_path / "a" / "notes.txt").write_text("mine")
    (tmp_path / "a" / "empty").mkdir()
    parts = gather([tmp_path / "a", tmp_path / "three.json"])
    assert sorted(part.run.run.id for part in parts) == ["run1", "run2", "run3"]
    with pytest.raises(TfmemError, match="there is no run in what was named"):
        gather([tmp_path / "a" / "empty"])
    with pytest.raises(TfmemError, match="nonesuch: No such file"):
        gather([tmp_path / "nonesuch"])
    (tmp_path / "a" / "four.jsonl").write_text("broken\n")
    with pytest.raises(TfmemError, match=r"four\.jsonl:1: is not valid JSON"):
        gather([tmp_path])
