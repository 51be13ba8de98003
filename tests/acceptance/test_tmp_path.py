"""Temporary folders: each test has its own, where the user wants them and for as long as pytest keeps them."""

from __future__ import annotations

from pathlib import Path

MODULE = """
    @budget()
    def test_passes(tmp_path):
        (tmp_path / "left").write_text("here"); note(tmp_path)

    @budget()
    def test_fails(tmp_path):
        (tmp_path / "left").write_text("here"); note(tmp_path)
        assert 0

    def test_here(tmp_path):
        (tmp_path / "left").write_text("here"); note(tmp_path)
"""


def test_what_a_failing_test_left_is_kept_and_what_a_passing_one_left_is_removed(project):
    project.write("test_it.py", MODULE)
    ran = project.run()
    passed, failed, here = map(Path, ran.notes)
    assert passed.name == "test_passes0"
    assert not passed.exists()
    assert (failed / "left").read_text() == "here"
    assert here.exists()
    assert len({passed.parent, failed.parent, here.parent}) == 3


def test_folders_lie_beside_the_users_basetemp_which_pytest_empties(project):
    project.write("test_it.py", MODULE)
    ran = project.run("--basetemp=kept", "-o", "tmp_path_retention_policy=none")
    passed, failed, here = map(Path, ran.notes)
    assert project.path / "kept-tfmem" in failed.parents
    assert (failed / "left").read_text() == "here"
    assert not passed.exists()
    assert project.path / "kept" in here.parents
    assert list((project.path / "tmp").iterdir()) == []


def test_nothing_is_left_where_no_test_failed(project):
    project.write("test_it.py", MODULE)
    project.run("-k", "passes")
    assert list((project.path / "tmp").iterdir()) == []
