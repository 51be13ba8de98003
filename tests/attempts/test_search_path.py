"""Where a work tree's modules are found, and which files are a checkout's own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_tfmem.attempts.own_files import foreign_modules, is_own
from pytest_tfmem.attempts.search_path import mapped, python_path, rewritten


@pytest.fixture
def places(tmp_path):
    top, tree = tmp_path.resolve() / "checkout", tmp_path.resolve() / "tree"
    for folder in (top / "src", top / ".venv/lib/site-packages", tree / "src"):
        folder.mkdir(parents=True)
    return top, tree


def test_places_in_the_checkout_become_those_of_the_work_tree_and_others_stay(places):
    top, tree = places
    paths = [str(top), "/usr/lib/python3", str(top / "src"), str(top / ".venv/lib/site-packages"), ""]
    assert mapped(paths, top, tree) == [str(tree), "/usr/lib/python3", str(tree / "src"), paths[3], ""]


def test_a_place_that_leads_into_the_checkout_by_a_link_is_one(places, tmp_path):
    top, tree = places
    (tmp_path / "link").symlink_to(top)
    assert mapped([str(tmp_path / "link" / "src")], top, tree) == [str(tree / "src")]


def test_pythonpath_has_what_the_user_gave_and_the_work_trees_own_places(places):
    top, tree = places
    given = os.pathsep.join([str(top / "src"), "/opt/more"])
    found = python_path([str(top / "src"), str(top), "/usr/lib"], top, tree, given=given)
    assert found.split(os.pathsep) == [str(tree / "src"), "/opt/more", str(tree)]


def test_arguments_that_name_the_checkout_by_its_whole_path_name_the_work_tree(places):
    top, tree = places
    words = [f"{top}/tests/test_a.py::test_a[/x]", f"--rootdir={top}", "tests", "-k", "a/b", "/elsewhere"]
    assert rewritten(words, top, tree) == [
        f"{tree}/tests/test_a.py::test_a[/x]",
        f"--rootdir={tree}",
        "tests",
        "-k",
        "a/b",
        "/elsewhere",
    ]


def test_what_is_installed_in_an_environment_in_the_checkout_is_not_its_own(places):
    top, _ = places
    assert is_own(str(top / "src" / "a.py"), top)
    assert not is_own(str(top / ".venv/lib/site-packages/a.py"), top)
    assert not is_own(f"{top}-other/a.py", top)


def test_a_module_of_the_checkout_is_foreign_to_the_work_tree_and_one_of_the_work_tree_is_not(places, monkeypatch):
    top, tree = places
    for folder, name in ((top, "tfmem_ours"), (tree, "tfmem_theirs")):
        (folder / "src" / f"{name}.py").write_text("")
        monkeypatch.syspath_prepend(str(folder / "src"))
        monkeypatch.setitem(sys.modules, name, __import__(name))
    assert foreign_modules(top, tree) == [("tfmem_ours", str(top / "src" / "tfmem_ours.py"))]


def test_the_witness_brings_nothing_into_a_tests_process_that_the_plugin_has_not():
    loaded = "import sys, pytest, pytest_tfmem.plugin; before = set(sys.modules); import pytest_tfmem.attempts.witness;"
    done = subprocess.run(
        [sys.executable, "-c", f"{loaded} print(*sorted(set(sys.modules) - before))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        "pytest_tfmem.attempts",
        "pytest_tfmem.attempts.own_files",
        "pytest_tfmem.attempts.witness",
    ]
