"""A session with measured tests is recorded, whatever becomes of it; any other leaves nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys

import pytest

from pytest_tfmem.history.runfile import read_runs

pytestmark = pytest.mark.of_any_start_method

TESTS = """
    @budget()
    @pytest.mark.parametrize("number", range(3))
    def test_measured(number): assert number != 1

    def test_here(): pass
"""
ALL = [*(f"test_it.py::test_measured[{number}]" for number in range(3)), "test_it.py::test_here"]


@pytest.fixture
def tests(project):
    project.write("test_it.py", TESTS)
    return project


def runs(project, folder=".tfmem/runs"):
    return [run for path in sorted((project.path / folder).glob("*.jsonl")) for run in read_runs(path)]


def the_run(project, folder=".tfmem/runs"):
    (run,) = runs(project, folder)
    return run


def names_of(run):
    return [test.nodeid.rpartition("::")[2] for test in run.tests]


def test_a_session_is_recorded_with_its_tests_and_its_end(tests):
    ran = tests.run("--tfmem-json=run.json")
    run = the_run(tests)
    assert names_of(run) == ["test_measured[0]", "test_measured[1]", "test_measured[2]"]
    assert [test.outcome for test in run.tests] == ["passed", "failed", "passed"]
    assert (run.footer.exit_status, run.footer.tests, run.footer.ended) == (ran.returncode, 3, 4)
    digest = hashlib.sha256("\n".join(sorted(ALL)).encode()).hexdigest()
    assert (run.run.collected.count, run.run.collected.sha256) == (4, digest)
    document = json.loads((tests.path / "run.json").read_text())
    assert document["run"]["id"] == run.run.id
    assert document["environment"]["python"] == run.environment.python
    assert [test["nodeid"] for test in document["tests"]] == [test.nodeid for test in run.tests]


def test_under_xdist_there_is_one_file_and_it_says_the_same(tests):
    tests.run()
    tests.run("-n2", "--dist=loadgroup", "--tfmem-fail-on=regression")
    alone, spread = runs(tests)
    assert sorted(names_of(spread)) == sorted(names_of(alone))
    assert spread.run.collected == alone.run.collected
    assert (spread.footer.tests, spread.footer.ended) == (3, 4)


def test_where_tests_are_grouped_their_ids_are_those_that_they_have_elsewhere(project):
    project.write("test_it.py", "@budget()\n@pytest.mark.xdist_group('a')\ndef test_it(): pass")
    project.run("-n1", "--dist=loadgroup")
    project.run()
    grouped, alone = runs(project)
    assert grouped.run.collected == alone.run.collected
    assert [test.nodeid for test in grouped.tests] == [test.nodeid for test in alone.tests] == ["test_it.py::test_it"]


def test_of_a_test_that_is_run_again_every_attempt_is_written_and_the_last_is_read(project):
    project.write(
        "test_it.py",
        """
        @budget()
        def test_flaky(tmp_path_factory):
            tried = tmp_path_factory.getbasetemp().parents[3] / "tried"
            again = tried.exists()
            tried.touch()
            assert again
        """,
    )
    ran = project.run("--reruns=3")
    run = the_run(project)
    assert ran.outcomes["test_flaky"].endswith("passed"), ran.text
    assert [test.outcome for test in run.tests] == ["passed"]
    assert run.footer.tests == 1
    (path,) = (project.path / ".tfmem" / "runs").glob("*.jsonl")
    assert path.read_text().count('{"nodeid":') == 2


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_run_knows_the_code_that_it_was_of_and_git_ignores_its_file(tests):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, "-C", str(tests.path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--initial-branch=main")
    git("add", "test_it.py")
    git("commit", "--message=first")
    tests.run()
    run = the_run(tests).run
    assert (run.commit, run.branch, run.dirty) == (git("rev-parse", "HEAD"), "main", False)
    assert ".tfmem" not in git("status", "--porcelain", "--untracked-files=all")


@pytest.mark.parametrize(
    ("options", "status", "ended"),
    [
        (["-x"], 1, 2),
        (["-k", "test_measured and 0"], 0, 1),
    ],
)
def test_a_session_that_stops_early_has_an_end_that_says_so(tests, options, status, ended):
    tests.run(*options)
    run = the_run(tests)
    assert (run.footer.exit_status, run.footer.ended) == (status, ended)
    assert run.run.collected.count == (1 if "-k" in options else 4)


def test_ctrl_c_ends_the_record_as_it_ends_the_session(project):
    project.write("test_it.py", "@budget()\ndef test_it(): pass\n\ndef test_stop(): raise KeyboardInterrupt")
    ran = project.run()
    run = the_run(project)
    assert (ran.returncode, run.footer.exit_status, names_of(run)) == (2, 2, ["test_it"])


@pytest.mark.parametrize(
    "options",
    [["-k", "here"], ["--collect-only"], ["--no-tfmem"], ["--setup-plan"], ["--tfmem-history=off"], ["--fixtures"]],
)
def test_a_session_that_measures_nothing_leaves_nothing(tests, options):
    tests.run(*options)
    assert not (tests.path / ".tfmem").exists()


@pytest.mark.parametrize("command", [["check"], ["doctor"]])
def test_commands_that_only_look_leave_nothing(tests, command):
    subprocess.run(
        [sys.executable, "-m", "pytest_tfmem", *command], cwd=tests.path, check=False, capture_output=True, timeout=240
    )
    assert not (tests.path / ".tfmem").exists()


def test_files_go_where_the_ini_file_says_and_an_option_says_otherwise(tests):
    tests.write("pytest.ini", "[pytest]\ntfmem_history = kept/here\n")
    tests.run()
    assert len(runs(tests, "kept/here")) == 1
    tests.run("--tfmem-history=there")
    assert len(runs(tests, "there")) == 1
    assert not (tests.path / ".tfmem").exists()


def test_a_shard_says_which_it_is_and_leaves_a_file_though_it_measures_nothing(tests, monkeypatch):
    tests.run("--tfmem-shard=2/3", "-k", "here")
    run = the_run(tests)
    assert (run.run.shard.index, run.run.shard.count, run.tests) == (2, 3, [])
    monkeypatch.setenv("CIRCLECI", "true")
    monkeypatch.setenv("CIRCLE_NODE_INDEX", "0")
    monkeypatch.setenv("CIRCLE_NODE_TOTAL", "4")
    tests.run("--tfmem-history=circle")
    assert (the_run(tests, "circle").run.shard.index, the_run(tests, "circle").run.shard.count) == (1, 4)
    tests.run("--tfmem-history=none", "--tfmem-shard=1/1")
    assert the_run(tests, "none").run.shard is None
    tests.run("--tfmem-history=nothing", "-k", "here")
    assert not (tests.path / "nothing").exists()
    tests.write("budgets.yaml", "version: 1\nbudgets:\n  - {test: 'test_it.py::test_measured*', rss: 1 GiB}\n")
    tests.run("--tfmem-history=awaited", "-k", "here")
    assert the_run(tests, "awaited").tests == []


def test_the_last_fifty_files_are_kept(tests):
    folder = tests.path / ".tfmem" / "runs"
    folder.mkdir(parents=True)
    for number in range(55):
        (folder / f"20200101T000000.{number:06}Z-0123abcd.jsonl").touch()
    (folder / "main.jsonl").write_text("")
    tests.run("-k", "test_measured and 0")
    kept = sorted(path.name for path in folder.iterdir())
    assert len(kept) == 51
    assert kept[0] == "20200101T000000.000006Z-0123abcd.jsonl"
    assert kept[-1] == "main.jsonl"


def test_with_a_database_the_run_is_in_both(tests):
    pytest.importorskip("sqlalchemy")
    tests.run("--tfmem-history=sqlite:///history.db")
    from pytest_tfmem.history.store import open_store

    store = open_store("sqlite:///history.db", root=tests.path)
    assert [info.id for info in store.infos()] == [the_run(tests).run.id]
    assert list(store.runs([the_run(tests).run.id])) == [the_run(tests)]


def test_a_database_that_is_away_is_one_warning_and_the_file_is_there(tests):
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://me:Open-Sesame@127.0.0.1:1/history"
    ran = tests.run("-q", f"--tfmem-history={url}", "-k", "test_measured and 0")
    assert ran.returncode == 0
    assert names_of(the_run(tests)) == ["test_measured[0]"]
    assert ran.text.count("this run did not reach the history: ") == 1
    assert ran.text.count("connection failed") == 1, "neither stored nor compared, for one reason"
    assert "; nor is it held against earlier runs; 'tfmem" in " ".join(ran.text.split())
    assert "'tfmem history push' sends it later, from .tfmem/runs/2" in " ".join(ran.text.split())
    assert "Open-Sesame" not in ran.text + ran.errors
    assert "Traceback" not in ran.text + ran.errors
