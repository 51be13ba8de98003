"""What tests' processes share: made when the first of them needs it, and gone at the session's end."""

from __future__ import annotations

import pytest

from pytest_tfmem.resources import Resources
from pytest_tfmem.settings import read_settings


@pytest.fixture
def resources(pytester):
    """Those of a session with these arguments, whose tests' folders lie in `base-tfmem`."""

    def resources_of(*arguments, **of_config):
        config = pytester.parseconfig("--basetemp=base", "--tfmem-start-method=spawn", "--tfmem-gpu=off", *arguments)
        vars(config).update(of_config)
        return Resources(config, read_settings(config))

    return resources_of


def test_a_session_that_needs_nothing_has_nothing_to_close(resources, pytester):
    ones = resources()
    ones.discard(pytester.path / "nobodys")
    ones.run_is_over()
    ones.close()
    assert list(pytester.path.iterdir()) == []


def test_each_is_made_once(resources):
    ones = resources()
    assert ones.starter is ones.starter
    assert ones.gpus is ones.gpus
    ones.close()


def test_folders_lie_beside_the_sessions_and_only_what_is_kept_stays(resources, pytester):
    ones = resources()
    kept, discarded = ones.new_folder(), ones.new_folder()
    for folder in (kept, discarded):
        folder.mkdir()
        (folder / "left").touch()
    ones.discard(discarded)
    ones.close()
    assert list(pytester.path.glob("base-tfmem/*/*/*")) == [kept / "left"]


@pytest.mark.parametrize("of_config", [{}, {"workerinput": {}}], ids=["without a terminal", "in a worker of xdist"])
def test_that_a_test_waits_is_said_in_one_line_where_a_user_can_see_it(resources, capsys, of_config):
    resources(**of_config)._say("test_a waits\nfor 1 GPU")
    assert capsys.readouterr() == ("", "test_a waits\\nfor 1 GPU\n")
