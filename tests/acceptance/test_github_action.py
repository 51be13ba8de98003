"""The action for GitHub: its scripts, run as the runner runs them, on a branch and on pull requests."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.acceptance.gated import Repository
from tests.acceptance.on_github import Runner
from tests.beside import ADDOPTS

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or shutil.which("bash") is None, reason="needs git and bash"
)

HOSTILE = "<b>::error::x|`y`"  # what a test may be called
TESTS = f"""\
import pytest


@pytest.mark.memory_budget(rss_growth="400 MiB")
@pytest.mark.parametrize("size", [120], ids=["{HOSTILE}"])
def test_step(size):
    print("\\n::warning::printed by a test")
    assert len(bytearray(b"x") * (size << 20)) == size << 20
"""
ANOTHER = """\
import pytest


@pytest.mark.memory_budget(rss_growth="64 MiB")
def test_load():
    assert len(bytearray(b"x") * (8 << 20)) == 8 << 20
"""
GROWN_TEST = f"tests/test_train.py::test_step[{HOSTILE}]"
GROWN = TESTS.replace("[120]", "[150]")
FLAME = "20260301T000000.000000Z-0123abcd.flame.svg"


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A repository whose main branch the action has recorded once, and five times more to the same effect."""
    repository = Repository(tmp_path_factory.mktemp("origin") / "project")
    repository.path.mkdir()
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.write("pytest.ini", f"[pytest]\naddopts = {ADDOPTS}\n")
    repository.write(".gitignore", "__pycache__/\n.pytest_cache/\n")
    repository.write("tests/test_train.py", TESTS)
    repository.write("tests/test_other.py", ANOTHER)
    repository.commit("two tests")
    done = on_github(repository, base="").action(pytest_args="-s")
    assert done.status == 0, done.log
    (recorded,) = (repository.path / ".tfmem" / "runs").glob("*.jsonl")
    first, *lines = recorded.read_text(encoding="utf-8").splitlines()
    for day in range(1, 6):
        header = json.loads(first)
        header["run"] |= {"id": f"{day:032x}", "started_at": f"2026-11-{day:02}T08:00:00Z"}
        recorded.with_name(f"earlier-{day}.jsonl").write_text("\n".join([json.dumps(header), *lines, ""]))
    repository.git("update-ref", "refs/remotes/origin/main", "HEAD")
    return repository, done


@pytest.fixture
def change(origin, tmp_path):
    """A branch of it, which is to become a pull request."""
    copy = origin[0].copy(tmp_path / "project")
    copy.branch("change")
    return copy


@pytest.fixture(scope="module")
def red(origin, tmp_path_factory):
    """A pull request in which a test grew: two shards, what comes of joining the first alone, and of both."""
    copy = origin[0].copy(tmp_path_factory.mktemp("red") / "project")
    copy.branch("change")
    copy.write("tests/test_train.py", GROWN)
    copy.commit("more")
    done = []
    for number, file in enumerate(("tests/test_train.py", "'tests/test_other.py'"), 1):
        shard = on_github(copy).action(shard=f"{number}/2", artifact=f"tfmem-{number}", pytest_args=file)
        target = copy.path / "shards" / f"tfmem-{number}" / "run.jsonl"
        target.parent.mkdir(parents=True)
        target.write_bytes(shard.artifacts[f"tfmem-{number}"]["run.jsonl"])
        target.with_name(FLAME).write_text("<svg/>", encoding="utf-8")
        joined = on_github(copy).action(runs="shards", gate_args="--attempts 1")
        done += [shard, joined]
    return done[0], done[2], done[1], done[3]


def on_github(repository, *, base="main", **variables):
    """A runner for it: for a pull request into `base`, or for a push if that is empty."""
    number = len(list(repository.path.parent.glob("temp*")))
    return Runner(
        repository.path,
        repository.path.parent / f"temp{number}",
        environment=repository.variables(GITHUB_BASE_REF=base, **variables),
        contexts={"github": {"base_ref": base, "ref_name": "main", "run_id": "7", "run_attempt": "1"}},
    )


def judged(done, figure="rss_anon"):
    return {one["nodeid"]: one["verdict"] for one in gate_of(done)["judged"] if one["figure"] == figure}


def gate_of(done):
    return json.loads(Path(done.outputs["action"]["gate"]).read_text(encoding="utf-8"))


def test_a_push_is_recorded_and_its_history_is_kept_by_branch(origin):
    _, done = origin
    (restored, given), (saved, kept) = [one for one in done.used if one[0].startswith("actions/cache")]
    assert (restored, saved) == ("actions/cache/restore", "actions/cache/save")
    assert given["key"] == kept["key"] == "tfmem-of-main-run-7-1"
    assert kept["key"].startswith(given["restore-keys"])
    assert given["path"] == kept["path"] == "./.tfmem/runs"
    assert (done.outputs["action"]["status"], done.outputs["action"]["gate"]) == ("0", "")
    assert "run.jsonl" in done.artifacts["tfmem"]


def test_what_tests_print_is_no_command_to_the_runner(origin):
    _, done = origin
    assert "\n::warning::printed by a test\n" in done.log
    assert "::warning::printed by a test" not in done.commands


def test_a_pull_request_that_needs_no_more_is_green(change):
    change.write("README", "nothing that a test would see")
    change.commit("nothing")
    branch = "$(touch${IFS}mark)`touch${IFS}mark`"  # as good a name as any, to git
    change.git("update-ref", f"refs/remotes/origin/{branch}", "main")
    done = on_github(change, base=branch).action()
    assert (done.status, done.outputs["action"]["status"]) == (0, "0")
    assert not (change.path / "mark").exists()
    assert gate_of(done)["status"] == 0
    assert gate_of(done)["runs"] == 6
    assert "passed" in done.summary
    assert [line for line in done.commands if line.startswith("::error")] == []
    assert "actions/cache/save" not in dict(done.used)
    assert {"run.jsonl", "gate.json"} <= set(done.artifacts["tfmem"])


def test_a_test_that_fails_for_another_reason_is_red_though_its_memory_is_not(change):
    change.write("tests/test_train.py", TESTS + "\n\ndef test_plain():\n    assert False\n")
    change.commit("wrong")
    done = on_github(change).action()
    assert (done.status, gate_of(done)["status"]) == (1, 0)
    assert "::error title=pytest::pytest ended with status 1: see its output above" in done.commands


def test_shards_are_decided_together_and_one_that_is_missing_is_no_decision(red):
    first, second, alone, _ = red
    for number, done in enumerate((first, second), 1):
        assert (done.status, done.outputs["action"]["gate"], done.summary) == (0, "", "")
        assert {name: [*files] for name, files in done.artifacts.items()} == {f"tfmem-{number}": ["run.jsonl"]}
    assert (alone.status, alone.outputs["action"]["status"], alone.outputs["action"]["gate"]) == (3, "3", "")
    said = "the head's run is not whole: shard 2 of 2 is absent"
    assert f"::error title=tfmem could not decide::{said}" in alone.commands
    assert alone.summary.startswith(f"### Not decided\n\n<pre>{said}</pre>\n\n")
    assert "run.jsonl" in alone.artifacts["tfmem"]


def test_a_pull_request_in_which_a_test_grew_is_red_after_all_is_written(red):
    done = red[-1]
    assert (done.status, done.outputs["action"]["status"]) == (1, "1")
    assert judged(done) == {GROWN_TEST: "regressed", "tests/test_other.py::test_load": "ok"}
    assert "regressed" in done.summary
    assert [line for line in done.commands if line.startswith("::error file=tests/test_train.py,line=")]
    assert [line for line in done.commands if not re.match("::(error|warning|notice|stop-commands) ?", line)] == []
    assert {"run.jsonl", "gate.json", "report.html", FLAME} == set(done.artifacts["tfmem"])


def test_a_pull_request_with_nothing_to_measure_is_not_decided(change):
    change.git("rm", "--quiet", "tests/test_other.py")
    change.write("tests/test_train.py", "def test_plain():\n    pass\n")
    change.commit("nothing is measured")
    done = on_github(change).action()
    assert (done.status, done.outputs["action"]["run"]) == (3, "")
    assert "### Not decided" in done.summary
    assert done.artifacts == {}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"pytest_args": "tests 'open"}, "::error title=tfmem::pytest-args: a quote is not closed"),
        ({"gate": "yes"}, "::error title=tfmem::gate: write auto, true or false"),
        (
            {"shard": "1/2", "runs": "x"},
            "::error title=tfmem::shard and runs: a job runs a shard, or joins all of them",
        ),
    ],
    ids=["a quote", "gate", "both"],
)
def test_inputs_that_are_wrong_are_refused_before_anything_runs(change, inputs, said):
    done = on_github(change).action(**inputs)
    assert (done.status, done.commands, done.summary) == (2, [said], "")


def test_no_input_is_run_by_a_shell(change):
    mark = change.path.parent / "mark"
    hostile = f"$(touch {mark})`touch {mark}`;touch {mark}"
    words = dict.fromkeys(("pytest_args", "gate_args", "base", "budgets", "history"), hostile)
    done = on_github(change).action(gate="true", **words)
    assert (done.status, done.outputs["action"]["run"]) == (3, "")
    assert not mark.exists()
