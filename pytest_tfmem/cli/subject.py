"""The run that a command tells of, and what it is held against: shared by `report` and `export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_tfmem.cli.project import project_here, tolerance
from pytest_tfmem.errors import TfmemError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tfmem.digest.model import Digest
    from pytest_tfmem.gate.result import GateResult
    from pytest_tfmem.history.recorded import RecordedRun
    from pytest_tfmem.history.store import Store


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The argument RUN, and the option that says where it is."""
    helped = "Where runs are (default: where the project keeps them)."
    return click.argument("run", required=False)(click.option("--history", metavar="URL|DIR", help=helped)(function))


def find_run(name: str | None, history: str | None) -> RecordedRun:
    """The run that was named: of a file or folder, or of a store by its id, the latest. By default the project's.

    A shard is taken with the others that were named, as one run.

    Raises TfmemError where there is none.
    """
    from pytest_tfmem.history.named import find_named  # noqa: PLC0415  --help is to be quick
    from pytest_tfmem.history.whole import latest_whole  # noqa: PLC0415

    if name is None:
        return _latest(history)
    named = find_named(name, directory=Path.cwd(), history=lambda: _store(history))
    for fault in named.faults:
        click.echo(f"WARNING: {one_line(fault, most=1000)}", err=True)
    if not named.runs:
        raise TfmemError("the history has no run of this commit", where=one_line(name))
    return latest_whole(named.runs)


def digest_here(run: RecordedRun, *, history: str | None, last: int, gate: GateResult | None = None) -> Digest:
    """The run, held against the last so many of its history that began before it."""
    from pytest_tfmem.digest.build import digest_of  # noqa: PLC0415  --help is to be quick
    from pytest_tfmem.history.baseline import Earlier, load_baseline  # noqa: PLC0415

    root, location = (Path.cwd(), history) if history else _of_project()
    before = Earlier()
    if last and location:
        # Not `named`: --history says where runs are, not that those of any branch are to be held against.
        before = load_baseline([location], run.run, root=root, named=False, most=last, until=run.run.started_at)
    return digest_of(run, before, directory=Path.cwd(), tolerance=tolerance(), gate=gate)


def flames_of(name: str | None, history: str | None) -> Path | None:
    """The folder with the flame graphs of the run that was named: beside it, or where the project keeps run files."""
    from pytest_tfmem.history.flames import SUFFIX  # noqa: PLC0415  --help is to be quick
    from pytest_tfmem.history.store import is_url  # noqa: PLC0415  the same
    from pytest_tfmem.settings.options import DEFAULT_HISTORY  # noqa: PLC0415  the same

    if name and Path(name).exists():
        beside = Path(name) if Path(name).is_dir() else Path(name).parent
        if any(beside.glob(f"*{SUFFIX}")):
            return beside
    root, location = (Path.cwd(), history) if history else _of_project()
    if location is None:
        return None
    return root / (DEFAULT_HISTORY if is_url(location) else location)


def root_here() -> Path:
    """The folder that the places of tests and limits are counted from: the current one, where pytest knows of none."""
    try:
        return Path(project_here().root)
    except TfmemError:
        return Path.cwd()


def _latest(history: str | None) -> RecordedRun:
    store = _store(history)
    infos = store.infos(last=1) if store else []
    run = next(iter(store.runs([infos[0].id])), None) if store and infos else None
    if run is None:
        where = one_line(store.shown) if store else "this project keeps no runs"
        raise TfmemError("there is no run to report", where=where, hint="run pytest first, or name a run file")
    return run


def _store(history: str | None) -> Store | None:
    from pytest_tfmem.history.store import is_url, open_store  # noqa: PLC0415  --help is to be quick

    if history and not is_url(history) and not Path(history).exists():
        raise click.UsageError(f"--history: {one_line(history)}: no such folder")
    root, location = (Path.cwd(), history) if history else _of_project()
    return open_store(location, root=root) if location else None


def _of_project() -> tuple[Path, str | None]:
    project = project_here()
    return Path(project.root), project.history
