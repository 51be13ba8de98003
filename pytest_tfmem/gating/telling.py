"""What is being done, told while it is done: a bar on a terminal, else a line each."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_tfmem.gating.asked import Say


@contextmanager
def telling() -> Iterator[Say]:
    """On standard error; standard output is for the result."""
    if not sys.stderr.isatty():
        yield _line
        return
    from rich.console import Console  # noqa: PLC0415  only where somebody looks on
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def say(text: str, done: int, total: int) -> None:
            progress.update(task, description=text, completed=done, total=total or None)

        yield say


def _line(text: str, done: int, total: int) -> None:
    del done, total  # the text says as much
    print(text, file=sys.stderr, flush=True)  # noqa: T201
