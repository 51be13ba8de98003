"""--tfmem-update: budgets.yaml brought up to date by a real session, and what the user sees of it."""

from __future__ import annotations

import os
import subprocess

import pytest

from pytest_tfmem.budgets.file import load_budgets

pytestmark = pytest.mark.of_any_start_method


@pytest.fixture(autouse=True)
def _not_in_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture(autouse=True)
def _compiled_anew(monkeypatch):
    # Python takes a file that is changed within the second, at the same size, for the one that it has compiled.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


@pytest.fixture
def budgets(project):
    """The budgets file: write it, and read the limits in it in MiB, by test and figure."""
    return Budgets(project.path / "budgets.yaml")


class Budgets:
    def __init__(self, path):
        self.path = path

    def write(self, text):
        self.path.write_bytes(text.encode())
        return text

    @property
    def text(self):
        return self.path.read_bytes().decode()

    @property
    def limits(self):
        return {
            (entry.pattern.text, figure): limits.otherwise.bytes >> 20
            for entry in load_budgets(self.path, shown="budgets.yaml").entries
            for figure, limits in entry.limits.items()
        }


def shown(ran):
    """The lines of the section about the update."""
    _, _, after = ran.text.partition(" memory budgets: update ")
    lines = after.splitlines()[1:]
    return lines[: next((at for at, line in enumerate(lines) if line.startswith("===")), len(lines))]


def test_a_file_is_created_where_there_is_none_and_holds_from_then_on(project, budgets):
    project.write(
        "test_it.py",
        """
        @budget
        def test_small(): pass
        @budget
        @pytest.mark.parametrize("x", ["a b", "é"])
        def test_large(x): bytearray(64 << 20)
        @budget
        def test_fails(): assert False
        @budget(rss_anon="16 GiB")
        def test_has_one(): pass
        def test_is_not_measured(): pass
        """,
    )
    ran = project.run("--tfmem-update=create")
    assert ran.returncode == 1
    named = ["test_it.py::test_small", "test_it.py::test_large[a b]", "test_it.py::test_large[\\xe9]"]
    assert list(budgets.limits) == [(name, "rss_anon") for name in named]
    large = budgets.limits[named[1], "rss_anon"]
    assert 64 < large < 200
    assert budgets.text.startswith("# What tests may use at most: a file")
    assert shown(ran)[-1] == "budgets.yaml: 3 entries created"
    assert f'+  - test: "{named[0]}"' in shown(ran)
    again = project.run("--tfmem-update=create")
    assert shown(again) == ["budgets.yaml: nothing to change"]
    assert again.outcomes["test_large[a b]"] == "passed"


def test_a_limit_that_was_passed_is_raised_and_the_run_stays_red(project, budgets):
    project.write("test_it.py", "def test_it(): bytearray(64 << 20)\ndef test_other(): pass\n")
    budgets.write(
        "# ours\r\nversion: 1\r\nbudgets:\r\n"
        "- {test: 'test_it.py::test_it', rss_anon: \"10 MiB\", rss: {limit: 1 MiB, level: warn}}  # tight\r\n"
        "- {test: test_it.py, rss_anon: 4 GiB}"
    )
    ran = project.run("--tfmem-update=raise")
    assert (ran.returncode, ran.outcomes["test_it"]) == (1, "failed")
    limit = budgets.limits["test_it.py::test_it", "rss_anon"]
    assert 64 < limit < 200
    assert shown(ran)[-1] == "budgets.yaml: 2 limits raised"
    changed = budgets.text
    assert changed.endswith(", level: warn}}  # tight\r\n- {test: test_it.py, rss_anon: 4 GiB}")
    assert changed.startswith("# ours\r\nversion: 1\r\nbudgets:\r\n- {test: 'test_it.py::test_it', rss_anon: \"")
    assert project.run().returncode == 0


def test_a_test_that_failed_otherwise_raises_nothing(project, budgets):
    project.write("test_it.py", "def test_it():\n    bytearray(64 << 20)\n    assert False\n")
    text = budgets.write("version: 1\nbudgets: [{test: test_it.py, rss_anon: 1 MiB}]\n")
    ran = project.run("--tfmem-update=raise")
    assert ran.measured["test_it"]["verdicts"] == {"rss_anon": "over"}
    assert (budgets.text, shown(ran)) == (text, ["budgets.yaml: nothing to change"])


def test_a_limit_is_trimmed_once_there_is_a_history(project, budgets):
    project.write("test_it.py", "def test_it(): bytearray(32 << 20)\n")
    budgets.write("version: 1\nbudgets: [{test: 'test_it.py::test_it', rss_anon: 4 GiB}]\n")
    for _ in range(3):
        project.run()
    early = project.run("--tfmem-update=trim")
    assert shown(early) == ["budgets.yaml: nothing to change"]
    ran = project.run("--tfmem-update=trim")
    assert shown(ran)[-1] == "budgets.yaml: 1 limit trimmed"
    assert 32 < budgets.limits["test_it.py::test_it", "rss_anon"] < 200
    assert project.run().returncode == 0


def test_runs_of_the_very_same_commit_count_too(project, budgets):
    project.write("test_it.py", "def test_it(): bytearray(32 << 20)\n")
    project.write(".gitignore", "__pycache__\n")
    budgets.write("version: 1\nbudgets: [{test: 'test_it.py::test_it', rss_anon: 4 GiB}]\n")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "test_it.py", "budgets.yaml"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], cwd=project.path, check=True)
    for _ in range(4):
        project.run()
    assert shown(project.run("--tfmem-update=trim"))[-1] == "budgets.yaml: 1 limit trimmed"


STALE = """\
version: 1
budgets:
  - test: test_it.py
    rss: 16 GiB
  # of a test that was renamed
  - test: test_gone.py
    rss: 16 GiB
waivers:
  - {test: test_gone.py, figure: rss, limit: 17 GiB, expires: 2020-01-01, reason: x}
"""
PRUNED = STALE[: STALE.index("  # of")] + "waivers:\n"


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "xdist"])
def test_entries_of_no_test_are_pruned_after_a_run_of_the_whole_suite(project, budgets, workers):
    project.write("test_it.py", "def test_it(): pass\ndef test_fails(): assert False\n")
    budgets.write(STALE)
    ran = project.run("--tfmem-update=prune", *workers)
    assert budgets.text == PRUNED
    assert shown(ran)[-1] == "budgets.yaml: 1 entry removed, 1 waiver removed"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-k", "test_it"], "-k may leave tests out"),
        (["-k", "test_it", "-n2"], "-k may leave tests out"),
        (["-m", "not slow"], "-m may leave tests out"),
        (["test_it.py"], "only test_it.py was asked for"),
        (["test_it.py::test_it"], "only test_it.py::test_it was asked for"),
        (["--lf"], "--last-failed may leave tests out"),
        (["--deselect=test_it.py::test_b"], "--deselect may leave tests out"),
        (["--ignore=test_b.py"], "--ignore may leave tests out"),
        (["--tfmem-shard=1/2"], "this is shard 1 of 2"),
        (["-x"], "the session did not come to its end"),
        (["--collect-only"], "--collect-only may leave tests out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_nothing_is_pruned_after_a_run_of_a_part_and_the_reason_is_told(project, budgets, arguments, reason):
    project.write("test_it.py", "def test_it(): pass\ndef test_fails(): assert False\ndef test_z(): pass\n")
    budgets.write(STALE)
    ran = project.run("--tfmem-update=prune", *arguments)
    assert budgets.text == STALE
    assert shown(ran) == [f"not pruned: {reason}", "budgets.yaml: nothing to change"]


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "xdist"])
def test_what_a_plugin_deselects_makes_the_run_one_of_a_part(project, budgets, workers):
    project.write("test_it.py", "def test_it(): pass\ndef test_b(): pass\n")
    project.write(
        "conftest.py",
        """
        def pytest_collection_modifyitems(config, items):
            config.hook.pytest_deselected(items=items[1:])
            del items[1:]
        """,
    )
    budgets.write(STALE)
    assert shown(project.run("--tfmem-update=prune", *workers))[0] == "not pruned: 1 test was deselected"


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "xdist"])
def test_a_file_that_cannot_be_collected_makes_the_run_one_of_a_part(project, budgets, workers):
    project.write("test_it.py", "def test_it(): pass\n")
    project.write("test_wrong.py", "import there_is_no_such_module\n")
    budgets.write(STALE)
    ran = project.run("--tfmem-update=prune", "--continue-on-collection-errors", *workers)
    assert shown(ran)[0] == "not pruned: test_wrong.py could not be collected"


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "xdist"])
def test_entries_of_a_file_that_is_skipped_as_a_whole_stay(project, budgets, workers):
    project.write("test_it.py", "def test_it(): pass\n")
    project.write("test_gone.py", "pytest.importorskip('there_is_no_such_module')\n")
    budgets.write(STALE)
    assert shown(project.run("--tfmem-update=prune", *workers)) == ["budgets.yaml: nothing to change"]


def test_the_whole_suite_may_be_named(project, budgets):
    project.write("tests/test_it.py", "def test_it(): pass\n")
    project.write("pytest.ini", "[pytest]\ntestpaths = tests\n")
    for arguments in ([], ["tests"], ["."]):
        budgets.write(STALE.replace("test_it.py", "tests/test_it.py"))
        assert shown(project.run("--tfmem-update=prune", *arguments))[-1].endswith("1 entry removed, 1 waiver removed")
    budgets.write(STALE)
    assert shown(project.run("--tfmem-update=prune", cwd="tests"))[-1].endswith(
        "removed"
    )  # it is all that testpaths names


def test_a_limit_in_a_marker_is_told_to_be_raised_by_hand(project, budgets):
    project.write("test_it.py", "@budget(\n    rss_anon='1 MiB',\n)\ndef test_it(): pass\n")
    ran = project.run("--tfmem-update=raise")
    assert [line.rpartition(" to ")[0] for line in shown(ran)[:-1]] == ["test_it.py:5: raise rss_anon"]
    assert not budgets.path.exists()


def test_a_preview_writes_nothing(project, budgets):
    project.write("test_it.py", "@budget\ndef test_it(): pass\n")
    ran = project.run("--tfmem-update=create,preview")
    assert shown(ran)[-1] == "budgets.yaml: 1 entry created (a preview: nothing was written)"
    assert not budgets.path.exists()


def test_in_ci_nothing_begins(project, budgets, monkeypatch):
    monkeypatch.setenv("CI", "true")
    project.write("test_it.py", "@budget\ndef test_it(): pass\n")
    ran = project.run("--tfmem-update=create")
    assert ran.returncode == 4
    assert "--tfmem-update: budgets are not changed in CI (the variable CI is set)" in ran.errors


def test_the_workers_of_xdist_share_one_file(project, budgets):
    project.write("test_a.py", "@budget\n@pytest.mark.parametrize('x', range(4))\ndef test_it(x): pass\n")
    project.write("test_b.py", "@budget\n@pytest.mark.xdist_group('one')\ndef test_it(): pass\n")
    ran = project.run("--tfmem-update=create,prune", "-n2", "--dist=loadgroup")
    assert shown(ran)[-1] == "budgets.yaml: 5 entries created"
    assert {test for test, _ in budgets.limits} == {
        *(f"test_a.py::test_it[{x}]" for x in range(4)),
        "test_b.py::test_it",
    }


def test_a_file_that_was_changed_while_tests_ran_is_left_as_it_is(project, budgets):
    text = budgets.write("version: 1\nbudgets: [{test: test_it.py, rss_anon: 1 MiB}]\n")
    project.write("test_it.py", f"def test_it():\n    open({str(budgets.path)!r}, 'a').write('# theirs')\n")
    ran = project.run("--tfmem-update=raise")
    what = "this file was changed while tests ran, and is left as it is; run them again"
    assert shown(ran) == [f"budgets.yaml: {what}"]
    assert (ran.returncode, budgets.text) == (1, text + "# theirs")


def test_a_value_that_cannot_be_changed_in_place_is_one_line_and_no_failure(project, budgets):
    text = budgets.write("version: 1\nbudgets:\n- {test: test_it.py, rss_anon: &x {limit: 1 MiB, level: warn}}\n")
    project.write("test_it.py", "def test_it(): pass\n")
    ran = project.run("--tfmem-update=raise")
    (line,) = shown(ran)
    assert line.startswith("budgets.yaml:3: an anchor (&) or an alias (*) stands here")
    assert (ran.returncode, budgets.text) == (0, text)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_file_that_cannot_be_written_is_one_line_and_no_failure(project, budgets):
    budgets.write("version: 1\nbudgets: [{test: test_it.py, rss_anon: {limit: 1 MiB, level: warn}}]\n")
    project.write("test_it.py", "def test_it(): pass\n")
    project.path.chmod(0o500)
    ran = project.run("--tfmem-update=raise", "-p", "no:cacheprovider")
    project.path.chmod(0o700)
    assert ran.returncode == 0
    assert shown(ran) == ["budgets.yaml: this file cannot be written: Permission denied"]


def test_an_update_may_be_asked_for_in_the_ini_file(project, budgets):
    project.write("pytest.ini", "[pytest]\ntfmem_update = create\n")
    project.write("test_it.py", "@budget\ndef test_it(): pass\n")
    assert shown(project.run())[-1] == "budgets.yaml: 1 entry created"
