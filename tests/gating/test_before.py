from __future__ import annotations

from pathlib import Path

import pytest

from pytest_tfmem.attempts.facts import Facts
from pytest_tfmem.gating.asked import Asked
from pytest_tfmem.gating.before import location

ROOT = Path("/project")
URL = "postgresql://ci@db.example/memory"


def _location(*, asked=None, ini="", inifile=None):
    facts = Facts(
        rootdir="/tree",
        inifile=inifile,
        arguments=[],
        nodeids=[],
        deselected=0,
        budgets=None,
        history=ini,
        gpu_off=False,
    )
    return location(Asked(base="main", directory=ROOT / "below", history=asked), facts, Path("/tree"), ROOT)


@pytest.mark.parametrize(
    ("asked", "variable", "ini", "expected"),
    [
        (None, None, "", "/project/.tfmem/runs"),
        (None, "", "", "/project/.tfmem/runs"),
        (None, None, "off", "/project/.tfmem/runs"),
        (None, None, "kept", "/project/kept"),
        (None, None, URL, URL),
        (None, "of_variable", "kept", "/project/below/of_variable"),
        (None, "/of_variable", "kept", "/of_variable"),
        (None, URL, "kept", URL),
        (None, "off", "kept", "/project/.tfmem/runs"),
        ("named", URL, "kept", "/project/below/named"),
        (URL, "of_variable", "kept", URL),
    ],
)
def test_the_history_is_where_we_are_told_else_where_sessions_keep_it(asked, variable, ini, expected, monkeypatch):
    monkeypatch.delenv("TFMEM_HISTORY", raising=False)
    if variable is not None:
        monkeypatch.setenv("TFMEM_HISTORY", variable)
    assert _location(asked=asked, ini=ini) == expected


def test_a_folder_of_the_ini_file_is_relative_to_that_file_in_the_checkout(monkeypatch):
    monkeypatch.delenv("TFMEM_HISTORY", raising=False)
    assert _location(ini="kept", inifile="/tree/config/pytest.ini") == "/project/config/kept"
