"""`tfmem report`: which run is told of, what it is held against, and what is said of a mistake."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest

from pytest_tfmem.cli.project import project_here
from pytest_tfmem.cli.subject import find_run, flames_of
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.gate.result import GateResult
from pytest_tfmem.gate.result import Judged as GateJudged
from pytest_tfmem.history.flames import flame_name
from pytest_tfmem.history.recorded import Footer
from pytest_tfmem.history.rundocument import RunDocument, write_run_document
from pytest_tfmem.history.runfile import run_lines
from pytest_tfmem.history.store import open_store
from tests.made import START, made_run, made_test

MIB = 1 << 20
PAGE = ("--format", "html")


def report(folder, *arguments, width=80):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TFMEM_", "PG"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest_tfmem", "report", *map(str, arguments)],
        cwd=folder,
        env=kept | {"COLUMNS": str(width), "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )


def refused(done):
    """Its status, and the one line that it says."""
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return done.returncode, line


def trend(page):
    """What the page has of the only figure of the only test, in MiB, the oldest first."""
    data = re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1]
    ((figure,),) = [test["figures"] for test in json.loads(data)["tests"]]
    first, step, *differences = figure["trend"]
    values = [first]
    for difference in differences[1:]:
        values.append(values[-1] + difference * step)
    return [value // MIB for value in values]


def run_of(number, mib, **rest):
    run = made_run(number, made_test("test_a", rss_anon=mib * MIB), **rest)
    return msgspec.structs.replace(run, footer=Footer(duration_seconds=1.0, tests=1))


def git(folder, *arguments):
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Three commits of main, and one of another branch before the last of them, with a run each of 10, 20, 30, 99."""
    folder = tmp_path_factory.mktemp("reported")
    (folder / "pytest.ini").write_text("[pytest]\n")
    git(folder, "init", "-q", "-b", "main")
    commits = []
    for name in ("one", "two", "other", "three"):
        if name == "other":
            git(folder, "switch", "-q", "-c", "other")
        if name == "three":
            git(folder, "switch", "-q", "main")
        git(folder, "commit", "-q", "--allow-empty", "-m", name)
        commits.append(git(folder, "rev-parse", "HEAD"))
    runs = [
        run_of(number, mib, commit=commit, dirty=False, id=f"{number}abcd{number:027}")
        for number, (mib, commit) in enumerate(zip([10, 20, 99, 30], commits, strict=True), 1)
    ]
    open_store(".tfmem/runs", root=folder).push(runs)
    open_store("sqlite:///runs.db", root=folder).push(runs[:2])
    (folder / "second.jsonl").write_bytes(run_lines(runs[1]))
    (folder / "two_runs.jsonl").write_bytes(run_lines(runs[1]) + run_lines(runs[0]))
    write_run_document(
        folder / "document.json",
        RunDocument(run=runs[1].run, environment=runs[1].environment, tests=runs[1].tests),
    )
    return folder


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("second.jsonl", 2),
        ("document.json", 2),
        ("two_runs.jsonl", 2),
        (".tfmem/runs", 4),
        ("sqlite:///runs.db", 2),
        ("3abcd", 3),
        (f"1abcd{1:027}", 1),
        ("main~1", 2),
        ("other", 3),
    ],
)
def test_a_run_is_found_by(name, number, project, monkeypatch):
    monkeypatch.chdir(project)
    assert find_run(name, ".tfmem/runs").run.id == f"{number}abcd{number:027}"


@pytest.mark.parametrize("history", [".tfmem/runs", "sqlite:///runs.db", "second.jsonl"])
def test_where_none_is_named_it_is_the_latest_of_the_history(history, project, monkeypatch):
    monkeypatch.chdir(project)
    assert find_run(None, history).run.id[0] == ("4" if history == ".tfmem/runs" else "2")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no-such-thing", "no-such-thing: no such file, run or revision"),
        ("nowhere.jsonl", "nowhere.jsonl: no such file, run or revision"),
        ("ffff", "ffff: no such file, run or revision"),
        ("pytest.ini", "pytest.ini:1: is not "),
        ("empty", "empty: there are no runs in it"),
        ("sqlite:///none.db", "sqlite:///none.db: there are no runs in it"),
    ],
)
def test_what_is_no_run_is_said_in_a_line(name, said, project, monkeypatch):
    monkeypatch.chdir(project)
    (project / "empty").mkdir(exist_ok=True)
    with pytest.raises(TfmemError) as refused:
        find_run(name, ".tfmem/runs")
    assert str(refused.value).removeprefix(f"{project}/").startswith(said)
    assert "\n" not in str(refused.value)


def test_a_revision_of_which_there_is_no_run_is_said_to_have_none(project, monkeypatch):
    monkeypatch.chdir(project)
    with pytest.raises(TfmemError, match=r"main: the history has no run of this commit"):
        find_run("main", "sqlite:///runs.db")


def test_a_history_that_is_not_there_is_a_mistake(project, monkeypatch):
    monkeypatch.chdir(project)
    with pytest.raises(click.UsageError, match="--history: nowhere: no such folder"):
        find_run(None, "nowhere")


@pytest.fixture
def _another_project():
    """The project is asked for once in a process, which is a command's everywhere else."""
    project_here.cache_clear()
    yield
    project_here.cache_clear()


@pytest.mark.usefixtures("_another_project")
@pytest.mark.parametrize(
    ("name", "history", "folder"),
    [
        ("kept/run.json", None, "kept"),
        ("kept", None, "kept"),
        ("empty/run.json", None, ".tfmem/runs"),
        (None, None, ".tfmem/runs"),
        ("empty", "sqlite:///runs.db", ".tfmem/runs"),
    ],
)
def test_flame_graphs_are_beside_the_run_or_where_the_project_keeps_its_runs(
    name, history, folder, tmp_path, monkeypatch
):
    (tmp_path / "pytest.ini").touch()
    for made in ("kept", "empty", ".tfmem/runs"):
        (tmp_path / made).mkdir(parents=True)
        (tmp_path / made / "run.json").touch()
    for found in ("kept", ".tfmem/runs"):
        (tmp_path / found / flame_name(START, "0123abcd")).write_text("<svg/>")
    monkeypatch.chdir(tmp_path)
    assert flames_of(name, history).resolve() == tmp_path / folder


def test_a_file_that_cannot_be_read_is_passed_over_and_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.jsonl").write_bytes(run_lines(run_of(1, 10)))
    (tmp_path / "b.jsonl").write_text('{"schema":"tfmem.run/99"}\n')
    monkeypatch.chdir(tmp_path)
    assert find_run(".", None).run.id == f"{1:032x}"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("WARNING: ")
    assert "b.jsonl" in line


def test_the_latest_run_of_the_project_is_held_against_those_that_it_came_from(project):
    done = report(project, "-o", "latest.html")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert trend((project / "latest.html").read_text()) == [10, 20, 30]


def test_a_run_that_is_told_of_later_is_held_against_those_before_it(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    open_store(".tfmem/runs", root=tmp_path).push([run_of(number, 10 * number) for number in (1, 2, 3)])
    assert trend(report(tmp_path, f"{2:032x}", *PAGE).stdout) == [10, 20]


def test_the_runs_of_another_branch_are_not_its_past_wherever_they_are(project):
    for history in (".tfmem/runs", f"{project}/.tfmem/runs"):
        done = report(project, "main", "--history", history, *PAGE)
        assert trend(done.stdout) == [10, 20, 30]


@pytest.mark.parametrize(("last", "values"), [(0, [30]), (1, [20, 30])])
def test_the_trend_goes_back_as_many_runs_as_are_asked_for(last, values, project):
    assert trend(report(project, "--last", last, *PAGE).stdout) == values


def test_a_project_without_runs_has_nothing_to_report(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    status, line = refused(report(tmp_path, *PAGE))
    assert status == 4
    assert re.fullmatch(
        r"ERROR: \S+/\.tfmem/runs: there is no run to report; run pytest first, or name a run file", line
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("second.jsonl",), "say with --format what to write: html, markdown, github"),
        (("second.jsonl", "-o", "report.pdf"), "say with --format what to write: html, markdown, github"),
        (("--history", "nowhere", *PAGE), "--history: nowhere: no such folder"),
        (("--last", "-1", *PAGE), "Invalid value for '--last'"),
        (("second.jsonl", "more", *PAGE), "Got unexpected extra argument (more)"),
    ],
)
def test_arguments_that_are_wrong_are_said_in_a_line(arguments, said, project):
    status, line = refused(report(project, *arguments))
    assert status == 2
    assert line.startswith(f"ERROR: {said}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        ("", "is not what `tfmem gate --json` wrote: "),
        ("[]", "is not what `tfmem gate --json` wrote: "),
        ('{"schema": "tfmem.run/1"}', "is not what `tfmem gate --json` wrote: "),
    ],
)
def test_a_gate_file_that_is_none_is_said_in_a_line(content, said, tmp_path):
    path = tmp_path / "gate.json"
    if content is not None:
        path.write_text(content)
    status, line = refused(report(tmp_path, "--gate", path, *PAGE))
    assert status == 4
    assert line.startswith(f"ERROR: {path}: {said}")


def gated(path):
    one = GateJudged(nodeid="test_a", figure="rss_anon", verdict="regressed", weight="fails", now_bytes=30 * MIB)
    result = GateResult(
        status=1,
        sentence="1 of 1 test needs more memory than the base.",
        base="main",
        head="HEAD",
        merge_base="b" * 40,
        tests=1,
        runs=7,
        sessions=1,
        decided=0,
        plan=None,
        judged=[one],
    )
    path.write_bytes(msgspec.json.encode(result))
    return result


def test_what_the_gate_found_is_told_without_a_run(tmp_path):
    result = gated(tmp_path / "gate.json")
    done = report(tmp_path, "--gate", "gate.json", *PAGE)  # not even a project is there to be asked
    assert (done.returncode, done.stderr) == (0, "")
    assert result.sentence in html.unescape(done.stdout)


def test_what_the_gate_found_is_the_verdict_on_the_run_that_is_told_with_it(project, tmp_path):
    result = gated(tmp_path / "gate.json")
    done = report(project, "main", "--gate", tmp_path / "gate.json", *PAGE)
    assert (done.returncode, done.stderr) == (0, "")
    assert result.sentence in html.unescape(done.stdout)
    assert trend(done.stdout) == [10, 20, 30]
