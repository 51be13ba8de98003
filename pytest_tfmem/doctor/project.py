"""The current directory: its budgets file, and variables that change what pytest does in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_tfmem.budgets.file import load_budgets
from pytest_tfmem.doctor.diagnosis import Check
from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.settings.options import DEFAULT_BUDGETS
from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    from pathlib import Path


def project_checks(project: Path) -> list[Check]:
    return [_budgets(project), *_variables()]


def _budgets(project: Path) -> Check:
    path = project / DEFAULT_BUDGETS
    if not path.exists():
        said = f"none in {one_line(str(project), most=200)}: only markers set limits"
        help_ = f"pytest looks for {DEFAULT_BUDGETS} in its root directory, or where --tfmem-budgets says"
        return Check(name=DEFAULT_BUDGETS, state="ok", said=said, help=help_)
    try:
        file = load_budgets(path, shown=DEFAULT_BUDGETS)
    except TfmemError as error:
        help_ = "pytest refuses to run in this directory until it is mended"
        return Check(name=DEFAULT_BUDGETS, state="bad", said=str(error), help=help_)
    said = f"right: {count_of(len(file.entries), 'budget')}, {count_of(len(file.waivers), 'waiver')}"
    return Check(name=DEFAULT_BUDGETS, state="ok", said=said, help="tfmem check holds it against the tests")


def _variables() -> list[Check]:
    checks = []
    if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        said = "PYTEST_DISABLE_PLUGIN_AUTOLOAD is set: pytest loads this plugin only where it is told to"
        checks.append(Check(name="plugins", state="note", said=said, help="pytest -p tfmem"))
    if options := os.environ.get("PYTEST_ADDOPTS"):
        said = f"PYTEST_ADDOPTS is set, and the trial was made without it: {one_line(options, most=100)}"
        checks.append(Check(name="options", state="note", said=said))
    return checks
