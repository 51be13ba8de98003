"""The project that a folder is in, as pytest sees it: its root directory and settings, asked of pytest itself."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import msgspec

from pytest_tfmem.check.pytest_process import command, reason
from pytest_tfmem.errors import TfmemError

_SECONDS = 120.0  # a conftest that imports TensorFlow from a slow disk takes its time


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What pytest would run with. `mistake`: the line with which it would refuse to; nothing else is told then.

    `history`: where runs are kept, a path or a URL, None for nowhere. `budgets`: the budgets file, if there is one.
    """

    mistake: str = ""
    root: str = ""
    history: str | None = None
    budgets: str | None = None


def find_project(directory: Path | None = None) -> Project:
    """The project that `directory` is in, by default the current one.

    Runs no test and collects none; conftest files are loaded as for any session, for they may have options. Raises
    TfmemError where pytest would refuse to run.
    """
    with tempfile.TemporaryDirectory(prefix="tfmem-project-") as folder:
        path = Path(folder, "project.json")
        try:
            ended = subprocess.run(  # noqa: S603  our own interpreter, our own statement
                command(["-p", "tfmem", "-p", "pytest_tfmem.check.telling", f"--tfmem-project={path}", "--color=no"]),
                capture_output=True,
                check=False,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired as fault:
            raise TfmemError(f"pytest did not say within {_SECONDS:.0f} s what it would run with") from fault
        project = msgspec.json.decode(path.read_bytes(), type=Project) if path.exists() else None
    if project is None:
        raise TfmemError(f"pytest could not be asked for its settings: {reason(ended)}")
    if project.mistake:
        raise TfmemError(project.mistake)
    return project
