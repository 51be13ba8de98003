"""The command `tfmem` itself."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest


def _tfmem(*arguments):
    command = [str(Path(sys.executable).with_name("tfmem")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_without_a_command_the_commands_are_listed():
    done = _tfmem()
    assert (done.returncode, done.stdout) == (2, "")
    assert "  check " in done.stderr
    assert "  doctor " in done.stderr


def test_the_version_is_that_of_the_package():
    done = _tfmem("--version")
    assert (done.returncode, done.stdout) == (0, f"tfmem, version {importlib.metadata.version('pytest-tfmem')}\n")


@pytest.mark.parametrize("arguments", [("-h",), ("check", "-h"), ("compare", "-h"), ("doctor", "--help")])
def test_help_is_there_for_every_command(arguments):
    done = _tfmem(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: tfmem ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("chek",), "ERROR: No such command 'chek'"),
        (("--nonesuch",), "ERROR: No such option"),
        (("doctor", "--jsn"), "ERROR: No such option"),
        (("doctor", "\x1b[2J"), "ERROR: Got unexpected extra argument"),
    ],
)
def test_a_command_line_that_is_wrong_is_one_line_with_status_2(arguments, line):
    done = _tfmem(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(line)
    assert "\x1b" not in done.stderr


def test_python_m_runs_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "pytest_tfmem", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, _tfmem("--version").stdout)


def test_the_plugin_loads_nothing_of_the_command():
    code = "import sys, pytest_tfmem.plugin; print(sorted({'click', 'rich', 'pytest_tfmem.cli'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
