"""How the figures of a run's tests went over the runs before it."""

from __future__ import annotations

import shutil
import subprocess

import msgspec
import pytest

from pytest_tfmem.budgets.model import Tolerance
from pytest_tfmem.digest.trends import joined, latest, past_of, trends_of
from pytest_tfmem.history.series import history_of
from tests.made import ENVIRONMENT, START, made_run, made_test

MIB = 1 << 20
NEWER = msgspec.structs.replace(ENVIRONMENT, packages={"tensorflow": "2.21.0"})
FLAT, HIGHER = (100, 101, 100, 100, 101, 100), (120, 121, 120, 120, 120, 121)


def runs_of(*sizes, **rest):
    return [made_run(number, made_test("test_a", rss_anon=size * MIB), **rest) for number, size in enumerate(sizes)]


def trends(runs, folder, *, tolerance=None):
    """Of the last of these runs, held against the others."""
    whole = joined(history_of(runs[:-1]), history_of(runs[-1:]))
    return trends_of(whole, past_of(whole), folder, tolerance=tolerance)


def ids(past):
    return [int(one.id, 16) for one in past]


def test_a_trend_has_the_value_of_each_run_and_the_place_of_the_run(tmp_path):
    (trend,) = trends(runs_of(100, 101, 99), tmp_path)["test_a"]
    assert (trend.figure, trend.gpu, trend.exactness) == ("rss_anon", 0, "lower-bound")
    assert list(trend.bytes) == [100 * MIB, 101 * MIB, 99 * MIB]
    assert list(trend.runs) == [0, 1, 2]


def test_a_test_that_was_not_in_every_run_has_gaps_and_places_that_say_where(tmp_path):
    always, now_and_then = made_test("test_a", rss=MIB), made_test("test_b", rss=2 * MIB)
    runs = [made_run(0, always, now_and_then), made_run(1, always), made_run(2, always, now_and_then)]
    found = trends(runs, tmp_path)
    assert list(found["test_a"][0].runs) == [0, 1, 2]
    assert list(found["test_b"][0].runs) == [0, 2]


def test_a_test_that_is_gone_has_no_trend_and_its_runs_are_not_among_those_of_the_past():
    gone, here = made_run(0, made_test("test_old", rss=MIB)), made_run(1, made_test("test_a", rss=MIB))
    whole = joined(history_of([gone]), history_of([here]))
    assert {key.nodeid for key in whole.points} == {"test_a"}
    assert ids(past_of(whole)) == [1]


def test_each_gpu_has_a_trend_of_its_own(tmp_path):
    runs = [made_run(number, made_test("test_a", gpu=[100 + number, 200])) for number in range(2)]
    found = {one.gpu: list(one.bytes) for one in trends(runs, tmp_path)["test_a"]}
    assert found == {0: [100, 101], 1: [200, 200]}


def test_what_was_measured_under_other_conditions_is_not_of_the_trend(tmp_path):
    before = runs_of(100, 101, 102)
    now = made_run(3, made_test("test_a", rss_anon=90 * MIB), environment=NEWER)
    (trend,) = trends([*before, now], tmp_path)["test_a"]
    assert (list(trend.bytes), list(trend.runs)) == ([90 * MIB], [0])


def test_a_run_that_is_in_its_history_already_counts_once(tmp_path):
    runs = runs_of(100, 101, 102)
    whole = joined(history_of(runs), history_of(runs[-1:]))
    assert ids(past_of(whole)) == [0, 1, 2]
    (trend,) = trends_of(whole, past_of(whole), tmp_path, tolerance=None)["test_a"]
    assert list(trend.bytes) == [100 * MIB, 101 * MIB, 102 * MIB]


def test_the_past_knows_of_each_run_when_it_was_and_of_what():
    run = made_run(3, made_test("test_a", rss=MIB), commit="c" * 40, branch="topic", dirty=True)
    (one,) = past_of(history_of([run]))
    assert (one.id, one.started_at, one.commit, one.branch, one.dirty) == (
        run.run.id,
        run.run.started_at,
        "c" * 40,
        "topic",
        True,
    )


def test_the_past_is_in_the_order_of_time_whatever_order_runs_were_read_in():
    runs = runs_of(1, 2, 3, 4)
    history = history_of(runs[::-1])
    assert ids(past_of(history)) == [0, 1, 2, 3]
    assert [point.bytes // MIB for points in history.points.values() for point in points] == [1, 2, 3, 4]
    assert past_of(history)[0].started_at == START


def test_the_latest_runs_are_the_same_ones_of_every_series():
    a, b = made_test("test_a", rss=MIB), made_test("test_b", rss=MIB)
    history = history_of([made_run(0, a, b), made_run(1, a, b), made_run(2, a), made_run(3, a)])
    kept = {key.nodeid: [int(one.run_id, 16) for one in ones] for key, ones in latest(history, 3).points.items()}
    assert kept == {"test_a": [1, 2, 3], "test_b": [1]}
    assert {key.nodeid for key in latest(history, 2).points} == {"test_a"}
    assert latest(history, 4).points == history.points


def test_a_step_belongs_to_the_trend_that_it_is_in(tmp_path):
    tests = [
        (made_test("test_a", rss_anon=size * MIB), made_test("test_b", rss_anon=100 * MIB)) for size in FLAT + HIGHER
    ]
    found = trends([made_run(number, *ones) for number, ones in enumerate(tests)], tmp_path)
    (step,) = found["test_a"][0].steps
    assert (step.before_bytes, step.after_bytes, int(step.first.run_id, 16)) == (100 * MIB, 120 * MIB, 6)
    assert not found["test_b"][0].steps


@pytest.mark.parametrize(("figure", "stepped"), [("rss_anon", True), ("rss", False), ("rss_tree", False)])
def test_steps_are_looked_for_in_what_the_gate_goes_by(figure, stepped, tmp_path):
    runs = [made_run(at, made_test("test_a", **{figure: size * MIB})) for at, size in enumerate(FLAT + HIGHER)]
    assert bool(trends(runs, tmp_path)["test_a"][0].steps) is stepped


def test_a_step_within_the_tolerance_is_none(tmp_path):
    runs = runs_of(*FLAT, *HIGHER)
    assert not trends(runs, tmp_path, tolerance=Tolerance(bytes=20 * MIB))["test_a"][0].steps


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_step_knows_the_commits_in_between(tmp_path):
    sizes = FLAT + HIGHER
    runs = [
        made_run(number, made_test("test_a", rss_anon=size * MIB), commit=commit)
        for number, (size, commit) in enumerate(zip(sizes, _commits(tmp_path, len(sizes)), strict=True))
    ]
    (step,) = trends(runs, tmp_path)["test_a"][0].steps
    assert (step.between.count, [one.subject for one in step.between.commits]) == (1, ["number 6"])


def _commits(folder, count):
    def git(*arguments, said=""):
        done = subprocess.run(["git", *arguments], cwd=folder, input=said, capture_output=True, text=True, check=True)
        return done.stdout

    git("init", "--quiet", "--initial-branch=main")
    lines = [
        f"commit refs/heads/main\ncommitter A <a@example.com> {1_700_000_000 + number} +0000\n"
        f"data <<END\nnumber {number}\nEND\n"
        for number in range(count)
    ]
    git("fast-import", "--quiet", said="\n".join(lines))
    return git("rev-list", "--reverse", "main").split()
