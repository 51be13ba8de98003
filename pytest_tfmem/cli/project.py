"""The project that a command is called in: asked of pytest once, when something of it is needed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_tfmem.budgets.model import Tolerance
    from pytest_tfmem.check.project import Project


@cache
def project_here() -> Project:
    """The project of the current directory. Raises TfmemError where pytest would refuse to run."""
    from pytest_tfmem.check.project import find_project  # noqa: PLC0415  --help is to be quick

    return find_project()


def tolerance(budgets: Path | None = None) -> Tolerance | None:
    """The tolerance that the budgets file gives, if there is one and it does: this file, or the project's."""
    from pytest_tfmem.budgets.file import load_budgets  # noqa: PLC0415  the same

    named = str(budgets) if budgets else project_here().budgets
    return load_budgets(Path(named), shown=named).defaults.tolerance if named else None
