"""pytest in a process of its own: how it is called, and the line in which it says what went wrong."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from pytest_tfmem.errors import one_line

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

# -P, and our own sys.path: `tfmem` then finds what `pytest` finds, and `python -m pytest_tfmem` what
# `python -m pytest` finds, the current directory included.
_RUN = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); import pytest; sys.exit(pytest.main())"
_INTERNAL = "INTERNALERROR> "
_CONFTEST = "ImportError while loading conftest"  # of whatever an import of it raises


def command(
    arguments: Sequence[str], *, python: str = sys.executable, search_path: Sequence[str] | None = None
) -> list[str]:
    """The command that runs pytest with these arguments.

    Modules are found on `search_path`, by default where we find them; another interpreter finds them in its own way.
    """
    if python != sys.executable:
        return [python, "-P", "-m", "pytest", *arguments]
    return [python, "-P", "-c", _RUN, json.dumps(list(sys.path if search_path is None else search_path)), *arguments]


def reason(ended: subprocess.CompletedProcess[bytes]) -> str:
    """The line of its output that says why pytest refused, by pytest's own habits."""
    said = [*_lines(ended.stderr), *_lines(ended.stdout)]
    # argparse: "ERROR: usage: ..." and, below it, "PROGRAM: error: unrecognized arguments: ..."
    telling = [line.partition(": error: ")[2] for line in said if ": error: " in line]
    telling += [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
    raised = [line.removeprefix("E ").strip() for line in said if line.startswith("E ")]
    telling += [" ".join([line, *raised[:1]]) for line in said if line.startswith(_CONFTEST)]
    telling += [line.removeprefix(_INTERNAL) for line in said if line.startswith(_INTERNAL)][-1:]
    telling += said[-1:]
    return one_line(telling[0]) if telling else f"it ended with status {ended.returncode} and said nothing"


def _lines(output: bytes) -> list[str]:
    return [line.strip() for line in output.decode("utf-8", "backslashreplace").splitlines() if line.strip()]
