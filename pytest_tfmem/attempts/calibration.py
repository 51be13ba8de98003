"""pytest run again and again, each time from nothing, to learn how far its readings move by themselves."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.attempts.pytest_session import attempt
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.history.recorded import Footer, RecordedRun
from pytest_tfmem.history.store import open_store
from pytest_tfmem.settings.options import DEFAULT_HISTORY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_tfmem.attempts.pytest_session import Attempt


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that were made, and what is to be said of those that were not, or could not be kept, each in a line."""

    runs: list[RecordedRun] = []
    said: list[str] = []


def repeat(
    arguments: Sequence[str], count: int, *, directory: Path, root: Path, history: str | None, told: Callable[[], None]
) -> Repeated:
    """Run pytest `count` times with these arguments, and keep each run in the project's history as it ends.

    `history` is where the project keeps its runs, None for nowhere. `told` is called after each run. The first run
    that comes to nothing is the last.
    """
    runs: list[RecordedRun] = []
    said: dict[str, None] = {}
    for _ in range(count):
        done = attempt(arguments, directory=directory, search_path=sys.path)
        told()
        if done.said:
            said[done.said] = None
        if done.run is None or not done.run.tests:
            break
        run = _ended(done.run, done)
        runs.append(run)
        if history is not None and (failure := _keep(run, history, root)):
            said[failure] = None
    return Repeated(runs=runs, said=list(said))


def _ended(run: RecordedRun, done: Attempt) -> RecordedRun:
    """The run with its footer: what comes of a session's document has none."""
    seconds = run.run.duration_seconds or 0.0
    footer = Footer(duration_seconds=seconds, exit_status=done.exit_status, tests=len(run.tests))
    return msgspec.structs.replace(run, footer=run.footer or footer)


def _keep(run: RecordedRun, history: str, root: Path) -> str:
    """Put the run into the history; why it could not be, in one line."""
    folder = Path(history) if "://" not in history else root / DEFAULT_HISTORY
    for location in dict.fromkeys([str(folder), history]):
        try:
            with closing(open_store(location, root=root)) as store:
                store.push([run])
        except TfmemError as error:
            return f"not kept: {error}"
    return ""
