"""`tfmem combine`, as it is called."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_tfmem.history.runfile import read_runs, run_lines
from tests.history.test_combine import shard


@pytest.fixture
def combine(tmp_path):
    for number in (1, 2, 3):
        (tmp_path / f"job{number}").mkdir()
        (tmp_path / f"job{number}" / "run.jsonl").write_bytes(run_lines(shard(number)))

    def run(*arguments):
        command = [sys.executable, "-m", "pytest_tfmem", "combine", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def test_all_shards_make_one_file(combine, tmp_path):
    done = combine("job3", "job1", "job2", "-o", "run.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "shard 1 of 3: 1 measured test, from job1/run.jsonl",
        "shard 2 of 3: 1 measured test, from job2/run.jsonl",
        "shard 3 of 3: 1 measured test, from job3/run.jsonl",
        "run.jsonl: 3 runs, 3 measured tests",
    ]
    assert read_runs(tmp_path / "run.jsonl") == [shard(1), shard(2), shard(3)]


def test_shards_that_come_later_are_added_and_nothing_changes_if_none_does(combine, tmp_path):
    done = combine("job3", "job1", "-o", "run.jsonl")
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.splitlines()[2:] == [
        "shard 2 of 3 is absent",
        "run.jsonl: 2 runs, 2 measured tests; incomplete",
    ]
    assert combine("run.jsonl", "job2", "-o", "run.jsonl").returncode == 0
    content = (tmp_path / "run.jsonl").read_bytes()
    assert combine(".", "-o", "run.jsonl").returncode == 0
    assert (tmp_path / "run.jsonl").read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing argument 'FILE|FOLDER...'"),
        (("job1",), "Missing option '-o' / '--output'"),
        (("nonesuch.jsonl", "-o", "run.jsonl"), "nonesuch.jsonl: No such file or directory"),
        (("notes.txt", "-o", "run.jsonl"), "notes.txt:1: is not valid JSON: "),
        (("job1", "-o", "notes.txt"), "notes.txt: is there and is not a run file; name another, or remove it"),
        (("job1", "-o", "nonesuch/run.jsonl"), "nonesuch/run.jsonl: No such file or directory"),
        (("job1", "-o", "job2"), "job2: Is a directory"),
        (("job1", "other.jsonl", "-o", "run.jsonl"), "the numbers of shards differ: 4 in "),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(combine, tmp_path, arguments, said):
    (tmp_path / "notes.txt").write_text("mine\n")
    (tmp_path / "other.jsonl").write_bytes(run_lines(shard(2, 4)))
    done = combine(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("ERROR: ")
    assert said.removesuffix("4 in ") in done.stderr
    assert not (tmp_path / "run.jsonl").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine\n"
