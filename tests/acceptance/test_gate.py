"""`tfmem gate` in a real repository with thirty tests and a history: the right verdict on each kind of change."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from tests.acceptance.gated import Repository
from tests.beside import ADDOPTS

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

SESSIONS = 6  # one more than history needs to nominate
ATTEMPTS = "--attempts=2"  # enough for what is not about chance
GROWN = "hold(50 + 84 * 0.03)"  # 3 % of what the whole process holds

FLAKY = """\
import os
import pathlib

from hold import hold


def test_15():
    tries = pathlib.Path(os.environ["TRIES"])
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    assert len(tries.read_text()) % 3 != 1
"""


@pytest.fixture(scope="session")
def origin(tmp_path_factory):
    """The repository with its history: made once, whichever process is the first to need it."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    with FileLock(shared / "gated.lock"):
        path = shared / "gated" / "origin"
        if not (path / ".git" / "made").exists():
            made = Repository.new(path)
            made.record(SESSIONS)
            (path / ".git" / "made").touch()
    return Repository(path)


@pytest.fixture
def repository(origin, tmp_path):
    """A copy of it on a branch, for which temporary files have a place of their own."""
    (tmp_path / "temporary").mkdir()
    copy = origin.copy(tmp_path / "copy")
    copy.environment = {"TMPDIR": str(tmp_path / "temporary")}
    copy.branch()
    return copy


def _left(repository):
    trees = repository.git("worktree", "list").splitlines()
    folders = list(Path(repository.environment["TMPDIR"]).iterdir())
    return trees[1:], [folder.name for folder in folders if "tfmem" in folder.name]


def test_three_percent_more_in_one_of_thirty_tests_is_a_regression_of_that_test(repository):
    repository.replace("tests/test_1.py", "hold(50)", GROWN)
    repository.commit("more")
    decided = repository.gate()
    assert (decided.status, decided.verdicts()) == (1, {"test_15": "regressed"})
    plan, found = decided.result["plan"], decided.of("test_15")
    assert (plan["attempts"], plan["series"], plan["bound"] < 0.01) == (6, 30, True)
    sides = [one["side"] for one in found["attempts"]]
    assert sides == ["base", "head", "head", "base"] * 3
    values = {side: [one["bytes"] for one in found["attempts"] if one["side"] == side] for side in ("base", "head")}
    assert min(values["head"]) > max(values["base"])
    assert decided.text.startswith("not passed: 1 test regressed\n")
    assert "k = 6 attempts; chance of any false alarm at most 0." in decided.text
    assert "deciding 1 test of 30: attempt 5 of 12 (base)" in decided.errors
    assert _left(repository) == ([], [])


def test_a_commit_that_adds_nothing_passes_without_a_second_run(repository):
    repository.write("README", "nothing that a test would see")
    repository.commit("nothing")
    decided = repository.gate()
    assert (decided.status, decided.verdicts(), decided.result["sessions"]) == (0, {}, 1)
    assert decided.text.startswith("passed: 30 tests were judged, and none needs more than it may\n")


def test_a_machine_that_reads_higher_throughout_makes_suspects_and_nothing_red(repository):
    repository.write("README", "nothing that a test would see")
    repository.commit("nothing")
    decided = repository.gate(ATTEMPTS, "tests/test_1.py", BALLAST="0.02")
    assert decided.status == 0
    assert set(decided.verdicts().values()) == {"suspect"}
    assert "up against history, not against the base" in decided.text
    assert "readings are up throughout, in the base too: the machine, not the change" in decided.text.splitlines()


def test_what_a_change_allows_itself_is_judged_by_the_bases_limits_and_listed(repository):
    repository.replace("budgets.yaml", "150 MiB", "250 MiB")
    repository.replace("tests/test_1.py", "hold(50)", "hold(170)")
    commit = repository.git("rev-parse", "--short=9", "HEAD").strip()
    repository.commit("more of both")
    decided = repository.gate(ATTEMPTS, "tests/test_1.py")
    assert (decided.status, decided.verdicts()) == (1, {"test_15": "regressed"})
    assert "RAISED rss_anon of tests/**: 150.0 MiB -> 250.0 MiB (budgets.yaml:5)" in decided.text
    assert f"over the base's limit (budgets.yaml:5 at {commit})" in decided.of("test_15")["notes"]
    agreed = repository.gate(ATTEMPTS, "--allow-raises", "tests/test_1.py", "-k", "test_15")
    assert (agreed.status, agreed.of("test_15")["weight"]) == (0, "warns")
    assert "RAISED" in agreed.text


def test_a_renamed_test_is_held_against_its_old_self(repository):
    repository.replace("tests/test_1.py", "def test_15", "def test_renamed")
    repository.git("mv", "tests/test_2.py", "tests/test_moved.py")
    repository.commit("renamed")
    decided = repository.gate()
    assert (decided.status, decided.verdicts(), decided.result["gone"]) == (0, {}, [])
    assert "tests/test_moved.py::test_20 (was tests/test_2.py::test_20)" in " ".join(decided.text.split())
    repository.replace("tests/test_1.py", "hold(50)", GROWN)
    repository.replace("tests/test_moved.py", "hold(50)", GROWN)
    repository.commit("renamed, and more")
    decided = repository.gate(ATTEMPTS)
    assert (decided.status, decided.verdicts()) == (1, {"test_renamed": "regressed", "test_25": "regressed"})
    assert decided.of("test_renamed")["renamed_from"] == "tests/test_1.py::test_15"


def test_a_deleted_test_is_named(repository):
    repository.replace("tests/test_1.py", "def test_15():\n    hold(50)\n", "")
    repository.commit("deleted")
    decided = repository.gate()
    assert (decided.status, decided.result["gone"]) == (0, ["tests/test_1.py::test_15"])
    assert "gone: tests/test_1.py::test_15" in decided.text


def test_a_test_that_fails_now_and_then_is_measured_when_it_does_not(repository, tmp_path):
    text = FLAKY + repository.file_of_tests(1).replace("def test_15():\n    hold(50)\n", "").partition("\n")[2]
    repository.write("tests/test_1.py", text.replace("% 3 != 1\n", "% 3 != 1\n    hold(50)\n"))
    repository.commit("flaky")
    decided = repository.gate("--attempts=3", "tests/test_1.py", TRIES=str(tmp_path / "tries"))
    assert (decided.status, decided.verdicts()) == (0, {})
    assert "its test failed in 2 of 5 attempts (head)" in decided.text


def test_shards_that_were_run_before_are_judged_if_all_are_there(repository):
    repository.replace("tests/test_1.py", "hold(50)", GROWN)
    repository.commit("more")
    halves = ["tests/test_0.py", "tests/test_1.py"], ["tests/test_2.py"]
    for number, half in enumerate(halves, 1):
        repository.run("-m", "pytest", "-q", f"--tfmem-shard={number}/2", "--tfmem-history=shards", *half)
    first, second = sorted((repository.path / "shards").glob("*.jsonl"))
    shutil.move(second, repository.path.parent / "second.jsonl")
    shutil.move(first, repository.path.parent / "first.jsonl")
    missing = repository.gate(f"--run={repository.path.parent / 'first.jsonl'}")
    assert (missing.status, missing.text) == (3, "")
    assert "not decided: the head's run is not whole: shard 2 of 2 is absent" in missing.errors
    files = [f"--run={repository.path.parent / name}.jsonl" for name in ("first", "second")]
    decided = repository.gate(ATTEMPTS, *files)
    assert (decided.status, decided.verdicts(), decided.result["tests"]) == (1, {"test_15": "regressed"}, 30)
    assert decided.result["sessions"] == 4


def test_it_may_be_called_below_the_root_with_arguments_of_pytest(repository):
    repository.replace("tests/test_1.py", "hold(50)", GROWN)
    repository.commit("more")
    decided = repository.gate(ATTEMPTS, "test_1.py", "-k", "15 or 16", cwd="tests")
    assert (decided.status, decided.verdicts(), decided.result["tests"]) == (1, {"test_15": "regressed"}, 2)
    assert decided.result["gone"] == []


def test_without_history_limits_alone_are_judged_unless_all_is_to_be_decided(repository):
    shutil.rmtree(repository.path / ".tfmem")
    repository.replace("tests/test_1.py", "hold(50)", GROWN)
    repository.commit("more")
    decided = repository.gate("tests/test_1.py")
    assert (decided.status, set(decided.verdicts().values())) == (0, {"new"})
    assert "--all decides every test against the base" in " ".join(decided.text.split())
    decided = repository.gate(ATTEMPTS, "--all", "tests/test_1.py", "-k", "test_15 or test_16")
    assert (decided.status, decided.of("test_15")["verdict"]) == (1, "regressed")
    assert decided.of("test_16")["verdict"] != "regressed"


def test_the_history_is_found_where_the_variable_says_that_it_is_kept(repository, tmp_path):
    kept = shutil.move(repository.path / ".tfmem" / "runs", tmp_path / "kept")
    repository.replace("tests/test_1.py", "hold(50)", GROWN)
    repository.commit("more")
    decided = repository.gate(ATTEMPTS, "tests/test_1.py", TFMEM_HISTORY=str(kept))
    assert (decided.status, decided.verdicts()) == (1, {"test_15": "regressed"})


def test_a_database_that_is_named_is_relative_to_the_current_directory(repository):
    pytest.importorskip("sqlalchemy")
    pushed = repository.run("-m", "pytest_tfmem", "history", "push", "--to=sqlite:///kept.db", cwd="tests")
    assert pushed.returncode == 0, pushed.stderr
    shutil.rmtree(repository.path / ".tfmem")
    decided = repository.gate("--history=sqlite:///kept.db", "test_1.py", "-k", "test_15", cwd="tests")
    assert (decided.status, decided.result["runs"]) == (0, SESSIONS)


def test_a_base_that_cannot_be_made_ready_leaves_history_which_only_warns(repository):
    repository.replace("tests/test_1.py", "hold(50)", GROWN)
    repository.commit("more")
    decided = repository.gate("--base-setup=echo the wheel is missing; exit 7")
    assert (decided.status, decided.verdicts()) == (0, {"test_15": "suspect"})
    assert "passed: 30 tests were judged, but 1 test that history makes suspect could not be" in decided.text
    text = " ".join(decided.text.split())
    assert decided.result["sessions"] == 1
    assert "history alone only warns: its setup ended with status 7: the wheel is missing" in text
    repository.replace("budgets.yaml", "150 MiB", "60 MiB")
    repository.commit("a limit that nothing keeps")
    decided = repository.gate("--base-setup=exit 7", "tests/test_1.py", "-k", "test_15")
    assert (decided.status, decided.verdicts(), decided.result["sessions"]) == (1, {"test_15": "over"}, 3)


def test_the_environment_that_the_bases_setup_makes_is_the_one_it_runs_in(repository):
    repository.replace("tests/test_1.py", "hold(50)", GROWN)
    repository.commit("more")
    seen = repository.path.parent / "seen"
    (repository.path.parent / "python").write_text(f'#!/bin/sh\necho ran >> {seen}\nexec {sys.executable} "$@"\n')
    setup = f"mkdir -p .venv/bin; cp {repository.path.parent}/python .venv/bin/; chmod +x .venv/bin/python"
    decided = repository.gate(ATTEMPTS, f"--base-setup={setup}", "tests/test_1.py")
    assert (decided.status, decided.verdicts()) == (1, {"test_15": "regressed"})
    assert seen.read_text().count("ran\n") >= 3  # one collects


def test_changes_that_are_not_committed_are_not_judged_and_that_is_said(repository):
    repository.replace("tests/test_1.py", "hold(50)", "hold(500)")
    decided = repository.gate("tests/test_1.py", "-k", "test_15")
    assert decided.status == 0
    assert "warning: the checkout has changes that are not committed: they are not judged" in decided.text


@pytest.mark.parametrize(
    ("arguments", "base", "said"),
    [
        ((), "nowhere", "--base: git knows no commit as 'nowhere'; name a branch"),
        (("--nonsense",), "main", "unrecognized arguments: --nonsense"),
        (("tests/none.py",), "main", "file or directory not found: tests/none.py"),
        (("--history=nowhere",), "main", "there is no such history; name a folder"),
        (("--run=nowhere.jsonl",), "main", "nowhere.jsonl: No such file or directory"),
    ],
)
def test_what_the_user_can_mend_is_one_line(repository, arguments, base, said):
    decided = repository.gate(*arguments, base=base)
    assert (decided.status, decided.text) == (2, "")
    assert said in decided.errors.splitlines()[-1]
    assert "Traceback" not in decided.errors


def test_outside_a_repository_it_says_so(tmp_path):
    (tmp_path / "here").mkdir()
    decided = Repository(tmp_path / "here").gate(GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert (decided.status, decided.errors) == (
        2,
        "ERROR: this is no git repository, or there is no git here; run it in a checkout\n",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for what is left by way of /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_it_leaves_nothing(repository, number):
    repository.write("tests/test_3.py", "import time\n\ndef test_waits():\n    time.sleep(1000)\n")
    repository.commit("one that takes long")
    words = [sys.executable, "-m", "pytest_tfmem", "gate", "--base=main", "tests/test_3.py"]
    process = subprocess.Popen(
        words, cwd=repository.path, env=repository.variables(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert b"running the head" in process.stderr.readline()
    deadline = time.monotonic() + 60
    while not _runs_the_test(repository) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert _left(repository) == ([], [])
    assert not _runs_the_test(repository)


def _runs_the_test(repository):
    """Whether a process of the attempt is there: it has its work tree as its working directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            found.append(os.readlink(entry / "cwd") if entry.name.isdecimal() else "")
        except OSError:
            continue
    return sum(path.startswith(repository.environment["TMPDIR"]) for path in found) > 1


# --- code of the checkout in the base's work tree -----------------------------------------------------------------

_PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "mypkg"
version = "1"
"""
# As small as PEP 660 allows: a wheel with a .pth file that leads to the sources.
_BACKEND = """\
import os, zipfile

INFO = "mypkg-1.dist-info"

def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(os.path.join(folder, "mypkg-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("mypkg.pth", os.path.join(os.path.dirname(os.path.abspath(__file__)), "src"))
        wheel.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\\nName: mypkg\\nVersion: 1\\n")
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{INFO}/RECORD", "")
    return "mypkg-1-py3-none-any.whl"
"""
_TEST = """\
import mypkg

def test_it():
    assert mypkg.hold()
"""
_FINDER = """\
import importlib.util, sys

class Finder:
    def find_spec(name, path=None, target=None):
        if name == "mypkg":
            return importlib.util.spec_from_file_location(name, {file!r})

sys.meta_path.insert(0, Finder)
"""


@pytest.fixture
def package(tmp_path):
    """A project whose tests import a package of its own, which needs more on the branch."""
    (tmp_path / "temporary").mkdir()
    made = Repository(tmp_path / "package", environment={"TMPDIR": str(tmp_path / "temporary")})
    made.path.mkdir()
    made.git("init", "--quiet", "--initial-branch=main")
    made.write("pyproject.toml", _PYPROJECT)
    made.write("backend.py", _BACKEND)
    made.write(".gitignore", "__pycache__\n.tfmem\n.venv\n")
    made.write("pytest.ini", f"[pytest]\naddopts = {ADDOPTS} --import-mode=importlib\n")
    made.write("budgets.yaml", 'version: 1\nbudgets: [{test: "tests/**", rss_anon: 1 GiB}]\n')
    made.write("tests/test_it.py", _TEST)
    made.write("src/mypkg/__init__.py", "def hold():\n    return b'x' * (40 << 20)\n")
    made.commit("a package")
    made.branch()
    made.replace("src/mypkg/__init__.py", "40", "60")
    made.commit("more")
    return made


def test_the_base_runs_its_own_code_where_the_checkout_is_installed_as_editable(package):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", package.path / ".venv"], check=True)
    python = package.path / ".venv" / "bin" / "python"
    (site,) = (package.path / ".venv" / "lib").glob("python*/site-packages")
    others = [path for path in sys.path if path.endswith("site-packages")]
    # Not the folders alone: what is installed there as editable is found by their own .pth files.
    (site / "others.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in others))
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-e", str(package.path)]
    subprocess.run([python, "-m", "pip", *install], check=True, env=package.variables())
    target = package.path.parent / "result.json"
    words = [python, "-m", "pytest_tfmem", "gate", "--base=main", "--all", "--attempts=2", f"--json={target}"]
    done = subprocess.run(words, cwd=package.path, env=package.variables(), capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    (found,) = [one for one in json.loads(target.read_text())["judged"] if one["verdict"] == "regressed"]
    assert found["head_bytes"] - found["base_bytes"] > 15 << 20


def test_a_base_that_loads_the_checkouts_code_all_the_same_is_not_believed(package, tmp_path):
    (tmp_path / "site").mkdir()
    file = str(package.path / "src" / "mypkg" / "__init__.py")
    (tmp_path / "site" / "sitecustomize.py").write_text(_FINDER.format(file=file))
    paths = os.pathsep.join([str(tmp_path / "site"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    decided = package.gate("--all", "--attempts=2", PYTHONPATH=paths)
    assert decided.status == 3
    text = " ".join(decided.text.split())
    assert f"its tests load the module mypkg from {file}, which is the checkout and not the work tree" in text
    assert "--base-setup makes an environment of its own for it" in text


def test_a_limit_that_is_raised_in_a_marker_is_listed_for_a_test_that_the_base_was_run_for(package):
    marker = "import pytest\n\n@pytest.mark.memory_budget(rss_anon='{}')\ndef test_it"
    package.replace("tests/test_it.py", "\ndef test_it", marker.format("200 MiB"))
    package.commit("a limit")
    package.git("branch", "--force", "main")
    package.replace("tests/test_it.py", "200 MiB", "300 MiB")
    package.replace("src/mypkg/__init__.py", "60", "230")
    package.commit("more of both")
    decided = package.gate("--all", "--attempts=2", PYTHONPATH=_with_sources(package))
    assert (decided.status, decided.verdicts()) == (1, {"test_it": "regressed"})
    assert "RAISED rss_anon of tests/test_it.py::test_it: 200.0 MiB -> 300.0 MiB (tests/test_it.py:4)" in decided.text


def _with_sources(package):
    return os.pathsep.join([str(package.path / "src"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
