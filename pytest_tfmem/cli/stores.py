"""The stores that commands work on: those that were named, and those of the project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_tfmem.cli.project import project_here
from pytest_tfmem.settings.options import DEFAULT_HISTORY, HISTORY_VARIABLE

if TYPE_CHECKING:
    from pytest_tfmem.history.store import Store

VARIABLE = HISTORY_VARIABLE


def opened(location: str) -> Store:
    """The store that was named; a path is relative to the current directory."""
    from pytest_tfmem.history.store import open_store  # noqa: PLC0415  --help is to be quick

    return open_store(location, root=Path.cwd())


def store_of_project(option: str) -> Store:
    """Where the project keeps its runs, by its settings. `option` is what to name another with."""
    from pytest_tfmem.history.store import open_store  # noqa: PLC0415

    project = project_here()
    if project.history is None:
        raise click.ClickException(f"this project keeps no runs: name a store with {option}")
    return open_store(project.history, root=Path(project.root))


def database_of_project(option: str) -> Store:
    """The database that the project keeps its runs in."""
    from pytest_tfmem.history.store import is_url, open_store  # noqa: PLC0415

    project = project_here()
    if project.history is None or not is_url(project.history):
        raise click.ClickException(f"the project names no database: name one with {option}, or in {VARIABLE}")
    return open_store(project.history, root=Path(project.root))


def folder_of_project() -> Store:
    """The folder in which the project's run files are."""
    from pytest_tfmem.history.store import is_url, open_store  # noqa: PLC0415

    project = project_here()
    named = project.history if project.history and not is_url(project.history) else DEFAULT_HISTORY
    return open_store(named, root=Path(project.root))
