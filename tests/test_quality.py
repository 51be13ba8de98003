"""The checkout is as its tools want it: linted, formatted and typed, at their strictest."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=" ".join,
)
def test_nothing_is_found_by(command):
    tool, *arguments = command
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed: pip install --group test")
    found = subprocess.run(
        [sys.executable, "-m", tool, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 0, f"{found.stdout}\n{found.stderr}"
