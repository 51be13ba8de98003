"""`tfmem history`: runs are listed, and carried between folders and databases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from pytest_tfmem.figures import Reading
from pytest_tfmem.history.store import open_store
from tests.beside import WITHOUT
from tests.databases import PASSWORD, postgres, postgres_url, sqlite_url
from tests.history.stored import ENVIRONMENT, ids, measured, of_gpus, opened, recorded

__all__ = ["postgres", "postgres_url", "sqlite_url"]

SECRET = "Sesame"


def history(folder, *arguments, width=80, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TFMEM_", "PG"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest_tfmem", "history", *map(str, arguments)],
        cwd=folder,
        env=kept | {"COLUMNS": str(width), "PYTHONPATH": str(Path(__file__).parents[1])} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert SECRET not in done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return done


@pytest.fixture
def project(tmp_path):
    """A project with three runs, in none of which pytest's own settings are changed."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    runs = [
        recorded(1, of_size(100 << 20), branch="main", dirty=False),
        recorded(2, of_size(104 << 20), branch="topic", dirty=True),
        recorded(3, of_size(104 << 20), branch="main", dirty=False, complete=False),
    ]
    open_store(".tfmem/runs", root=folder).push(runs)
    return folder


def of_size(size, **more):
    return measured(readings={"rss": Reading(bytes=size, exactness="lower-bound", source="VmHWM")}, **more)


def said(done):
    return done.returncode, done.stdout, done.stderr


def test_runs_are_listed_the_oldest_first(project):
    done = history(project, "show")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "when (UTC)        commit      tests            branch",
        "2026-03-01 13:30  000000000       1  complete  main",
        "2026-03-01 14:30  000000000+      1  complete  topic",
        "2026-03-01 15:30  000000000       1  cut off   main",
    ]
    last = history(project, "show", "--last", "1").stdout
    assert last.splitlines()[1].split() == done.stdout.splitlines()[3].split()


def test_the_readings_of_a_test_are_listed_over_runs(project):
    done = history(project, "show", "test_a.py::test_a")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "test_a.py::test_a",
        "  rss",
        "    when (UTC)        commit          bytes    change",
        "    2026-03-01 13:30  000000000   100.0 MiB                    lower-bound",
        "    2026-03-01 14:30  000000000+  104.0 MiB  +4.0 MiB  +4.0 %  lower-bound",
        "    2026-03-01 15:30  000000000   104.0 MiB                    lower-bound",
    ]


def test_what_changed_the_conditions_stands_between_the_readings(project):
    moved = msgspec.structs.replace(ENVIRONMENT, packages={"numpy": "3.0"}, gpus=["H200"])
    gpus = measured("test_g.py::test_g[\x1b[31m-é]", readings={"gpu": of_gpus(5 << 30, 6 << 30)})
    open_store(".tfmem/runs", root=project).push(
        [recorded(4, of_size(200 << 20), gpus, environment=moved), recorded(5, gpus)]
    )
    lines = history(project, "show", "test_a.py").stdout.splitlines()
    assert lines[6:] == [
        "    under other conditions: NumPy 2.5.5 -> 3.0, GPUs none -> H200",
        "    when (UTC)        commit         bytes  change",
        "    2026-03-01 16:30  000000000  200.0 MiB            lower-bound",
    ]
    lines = history(project, "show", "test_g.py", "--figure=gpu").stdout.splitlines()
    assert lines[0] == r"test_g.py::test_g[\x1b[31m-é]"
    assert [line for line in lines if "GPU" in line] == [
        "  gpu on GPU 0",
        "    under other conditions: NumPy 3.0 -> 2.5.5, GPUs H200 -> none",
        "  gpu on GPU 1",
        "    under other conditions: NumPy 3.0 -> 2.5.5, GPUs H200 -> none",
    ]


@pytest.mark.parametrize("width", [40, 80, 160])
def test_no_line_is_wider_than_the_terminal(project, width):
    long = of_size(1 << 30, nodeid="tests/" + "very_" * 40 + "long.py::test")
    names = {"branch": "branch/" + "é" * 200, "environment": msgspec.structs.replace(ENVIRONMENT, kernel="9" * 200)}
    open_store(".tfmem/runs", root=project).push([recorded(4, long, **names), recorded(5, long)])
    for arguments in (["show"], ["show", "**"]):
        done = history(project, *arguments, width=width)
        assert done.returncode == 0
        assert max(map(len, done.stdout.splitlines())) <= width


def test_a_pattern_and_figures_choose_series(project):
    open_store(".tfmem/runs", root=project).push([recorded(4, measured("tests/b.py::test_b[1]"), of_size(5))])
    shown = history(project, "show", "tests/**").stdout
    assert "tests/b.py::test_b[1]" in shown
    assert "test_a" not in shown
    none = history(project, "show", "tests", "--figure", "gpu")
    assert said(none) == (1, "", f"no readings of tests in the last 4 runs in {project}/.tfmem/runs\n")
    wrong = history(project, "show", "tests", "--figure", "vram")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("ERROR: --figure: unknown figure 'vram'; did you mean 'gpu'?")


def test_the_same_as_json(project, tmp_path):
    runs = json.loads(history(project, "show", "--json", "-").stdout)
    assert [run["id"] for run in runs["runs"]] == ["run1", "run2", "run3"]
    assert runs["runs"][0]["started_at"] == "2026-03-01T13:30:00.000250Z"
    shown = history(project, "show", "test_a.py", "--json", tmp_path / "series.json")
    assert "100.0 MiB" in shown.stdout
    listed = json.loads((tmp_path / "series.json").read_text())
    (series,) = listed["series"]
    assert [point["bytes"] for point in series["points"]] == [100 << 20, 104 << 20, 104 << 20]
    assert listed["conditions"][series["conditions"]]["NumPy"] == "2.5.5"


def test_runs_travel_to_a_database_and_back(project, postgres_url, tmp_path):
    shown = opened(postgres_url).shown
    assert said(history(project, "push", "--to", postgres_url)) == (0, f"3 runs stored in {shown}\n", "")
    again = history(project, "push", TFMEM_HISTORY=postgres_url)
    assert said(again) == (0, f"0 runs stored in {shown}, 3 were there already\n", "")
    assert ids(opened(postgres_url)) == ["run1", "run2", "run3"]

    out = tmp_path / "out"
    pulled = history(project, "pull", "--to", out, "--last", "1", "--branch", "main", TFMEM_HISTORY=postgres_url)
    assert said(pulled) == (0, f"1 run stored in {out}\n", "")
    pulled = history(project, "pull", "--from", postgres_url, "--to", out)
    assert said(pulled) == (0, f"2 runs stored in {out}, 1 was there already\n", "")
    assert list(opened(out.as_posix()).runs(["run1"])) == list(opened(postgres_url).runs(["run1"]))
    assert history(project, "show", "--history", postgres_url).stdout == history(project, "show").stdout


def test_files_and_folders_are_pushed_and_what_is_no_run_file_is_told(project, sqlite_url, tmp_path):
    more = tmp_path / "more"
    open_store("more", root=tmp_path).push([recorded(7), recorded(8)])
    (more / "bad.jsonl").write_text("nothing of ours\n")
    one = min((project / ".tfmem" / "runs").glob("*.jsonl"))
    done = history(tmp_path, "push", one, more, "--to", sqlite_url)
    assert (done.returncode, done.stdout) == (1, f"3 runs stored in {sqlite_url}\n")
    assert done.stderr.startswith(f"WARNING: {more}/bad.jsonl")
    assert ids(opened(sqlite_url)) == ["run1", "run7", "run8"]


def test_what_cannot_be_read_in_the_folder_that_runs_go_to_is_told_too(project, tmp_path):
    source, target = project / ".tfmem" / "runs", tmp_path / "target"
    target.mkdir()
    (target / "bad.jsonl").write_text("nothing of ours\n")
    for arguments in (["push", "--to", target], ["pull", "--from", source, "--to", target]):
        done = history(project, *arguments)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert done.stderr.startswith(f"WARNING: {target}/bad.jsonl")
    assert ids(opened(str(target))) == ["run1", "run2", "run3"]


def test_the_database_of_the_project_is_the_one_that_its_ini_file_names(project):
    (project / "pytest.ini").write_text("[pytest]\ntfmem_history = sqlite:///kept/runs.db\n")
    (project / "tests").mkdir()
    done = history(project / "tests", "push")
    assert said(done) == (0, "3 runs stored in sqlite:///kept/runs.db\n", "")
    assert (project / "kept" / "runs.db").exists()
    assert history(project / "tests", "show").stdout.count("\n") == 4


def test_a_relative_path_in_the_variable_is_taken_as_sessions_take_it(project):
    (project / "tests").mkdir()
    done = history(project / "tests", "push", TFMEM_HISTORY="sqlite:///kept/runs.db")
    assert said(done) == (0, "3 runs stored in sqlite:///kept/runs.db\n", "")
    assert (project / "kept" / "runs.db").exists()
    assert history(project / "tests", "show", TFMEM_HISTORY="../.tfmem/runs").stdout.count("\n") == 4


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("push",), "the project names no database: name one with --to, or in TFMEM_HISTORY"),
        (("pull", "--to", "out"), "the project names no database: name one with --from, or in TFMEM_HISTORY"),
        (("show",), "this project keeps no runs: name a store with --history"),
    ],
)
def test_off_in_the_variable_is_no_store(project, arguments, line):
    assert said(history(project, *arguments, TFMEM_HISTORY="off")) == (2, "", f"ERROR: {line}\n")
    assert sorted(path.name for path in project.iterdir()) == [".tfmem", "pytest.ini"]


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (("push",), 2, "the project names no database: name one with --to, or in TFMEM_HISTORY"),
        (("pull", "--to", "out"), 2, "the project names no database: name one with --from, or in TFMEM_HISTORY"),
        (("pull",), 2, "Missing option '--to'."),
        (("show", "--history", f"mysql://me:{SECRET}@host/db"), 4, "mysql://...: no database that runs are kept in"),
        (("show", "--history", f"postgresql://me:{SECRET}@/db?host=/nonesuch"), 4, "postgresql:///db?host=/nonesuch: "),
        (("show", "--history", "gone.jsonl"), 4, ""),
        (("show", "/absolute"), 4, "NODEID: '/absolute' names no test"),
        (("show", "--last", "0"), 2, "Invalid value for '--last'"),
    ],
)
def test_what_cannot_be_done_is_one_line(project, arguments, status, line):
    done = history(project, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)
    assert done.stderr.startswith(f"ERROR: {line}")


def test_a_password_in_the_variable_is_shown_nowhere(project):
    url = f"postgresql://me:{SECRET}%2F%40{SECRET}@/db?host=/nonesuch&sslpassword={SECRET}"
    for arguments in (["push"], ["pull", "--to", "out"], ["show"], ["show", "**"], ["--help"], ["push", "--help"]):
        done = history(project, *arguments, TFMEM_HISTORY=url)
        assert done.returncode == (0 if "--help" in arguments else 4)


def test_a_store_with_nothing_in_it_says_so(tmp_path):
    done = history(tmp_path, "show", "--history", "sqlite:///none.db")
    assert said(done) == (1, "", "no runs in sqlite:///none.db\n")
    assert list(tmp_path.iterdir()) == []


def test_without_a_command_its_commands_are_listed(tmp_path):
    done = history(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    for command in ("push", "pull", "show"):
        assert f"\n  {command}  " in done.stderr


def test_neither_output_nor_files_of_a_session_hold_the_password(pytester, monkeypatch, postgres):
    # With a password that is right, and with one that is wrong, so that there is something to complain of.
    pytester.makeini("[pytest]\n")
    pytester.makepyfile("import pytest\n@pytest.mark.memory_budget(rss='8 GiB')\ndef test_it(): pass\n")
    for url in (postgres.new_database(), postgres.url("postgres", password=f"{SECRET} wrong")):
        monkeypatch.setenv("TFMEM_HISTORY", url)
        ran = pytester.runpytest_subprocess("-v", *WITHOUT, "--tfmem-json=run.json", "-rA")
        assert ran.ret == 0
        written = [path.read_bytes() for path in pytester.path.rglob("*") if path.is_file()]
        assert any(b"test_it" in content for content in written)
        shown = [ran.stdout.str().encode(), ran.stderr.str().encode(), *written]
        secrets = [word.encode() for word in (PASSWORD, quote(PASSWORD, safe=""), SECRET)]
        assert [secret for secret in secrets for content in shown if secret in content] == []
