"""`tfmem history`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_tfmem.cli.output import json_option, show, width, write_json
from pytest_tfmem.cli.statuses import FOUND, OK, USAGE
from pytest_tfmem.cli.stores import VARIABLE, database_of_project, folder_of_project, opened, store_of_project
from pytest_tfmem.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tfmem.history.recorded import RunInfo
    from pytest_tfmem.history.series import History
    from pytest_tfmem.history.store import Store

_DEFAULT_LAST = 20
_STEPS_LAST = 200


def _location(*flags: str, help_text: str) -> Callable[[Any], Any]:
    # Not click's envvar=: it knows no `off`, and no paths that are relative to pytest's root directory.
    return click.option(*flags, metavar="URL|DIR", help=f"{help_text} [env: {VARIABLE}]")


def _last(help_text: str, default: int | None = None) -> Callable[[Any], Any]:
    kind = click.IntRange(min=1)
    return click.option("--last", metavar="N", type=kind, default=default, show_default=True, help=help_text)


@click.group(name="history", short_help="Look at earlier runs, and carry them about.", invoke_without_command=True)
@click.pass_context
def history(context: click.Context) -> int:
    """Look at earlier runs, and carry them between folders and databases.

    A store is a folder of run files, one such file, or a database: sqlite:///FILE or
    postgresql+psycopg://USER:PASSWORD@HOST/DATABASE. A password need not stand on the command line: the URL may be
    in the variable TFMEM_HISTORY, and PGPASSWORD and the like are taken as by any client of PostgreSQL.
    """
    if context.invoked_subcommand is not None:
        return OK
    click.echo(context.get_help(), err=True)
    return USAGE


@history.command()
@click.argument("sources", metavar="[FILES|FOLDERS]...", nargs=-1)
@_location("--to", "target", help_text="Where to store them (default: the database of the project's tfmem_history).")
def push(*, sources: tuple[str, ...], target: str | None) -> int:
    """Store runs in a database or folder.

    By default those in the project's folder, each whole or not at all. A run that is there already stays as it is,
    unless it was cut off and more is known of it now.

    Ends with status 0, with 1 if a file could not be read, here or there, with 4 if the store cannot be reached.
    """
    from pytest_tfmem.history.transfer import transfer  # noqa: PLC0415  --help is to be quick

    store = opened(target) if target else database_of_project("--to")
    stored = known = 0
    faults: list[str] = []
    for source in map(opened, sources) if sources else [folder_of_project()]:
        done = transfer(source, store, source.infos())
        stored, known, faults = stored + done.stored, known + done.known, [*faults, *source.faults]
    click.echo(_said(stored, known, store))
    return _tell([*faults, *store.faults])


@history.command()
@_location("--from", "source", help_text="Where they are (default: the database of the project's tfmem_history).")
@click.option("--to", "target", metavar="DIR", required=True, help="The folder that their files are written into.")
@_last("Only so many of the latest.")
@click.option("--branch", metavar="NAME", help="Only those of this branch.")
def pull(*, source: str | None, target: str, last: int | None, branch: str | None) -> int:
    """Write runs of a store into a folder.

    Each into a file of its own; those that are there already are left out.

    Ends with status 0, with 1 if a run could not be read, of the store or of those in the folder, with 4 if the store
    cannot be reached.
    """
    from pytest_tfmem.history.transfer import chosen, transfer  # noqa: PLC0415

    store = opened(source) if source else database_of_project("--from")
    folder = opened(target)
    done = transfer(store, folder, chosen(store.infos(), last=last, branch=branch))
    click.echo(_said(done.stored, done.known, folder))
    return _tell([*store.faults, *folder.faults])


@history.command(name="show")
@click.argument("pattern", metavar="[NODEID]", required=False)
@_location("--history", "location", help_text="Where they are (default: where the project keeps them).")
@click.option("--steps", is_flag=True, help="Where series went to another level, and what was committed in between.")
@click.option("--figure", "figures", metavar="FIGURE", multiple=True, help="Only this figure; may be repeated.")
@_last(f"Of so many of the latest runs (default: {_DEFAULT_LAST}; with --steps {_STEPS_LAST}).")
@json_option("Write the same as JSON")
def show_(
    *,
    pattern: str | None,
    location: str | None,
    steps: bool,
    figures: tuple[str, ...],
    last: int | None,
    json_file: str | None,
) -> int:
    """List runs; with a NODEID, readings over them; with --steps, where readings went to another level.

    NODEID is a pattern as in budgets.yaml: a test with all of its parameters, a class, a file, a folder, with * and **
    for any characters. Readings count of tests that passed, or failed for their limits alone.

    Steps are looked for in the runs of the commit that is checked out here and of those that it came from, and in the
    figures that the gate goes by, if --figure names no others.

    Ends with status 0, with 1 if there is nothing to list, with 4 if the store cannot be reached.
    """
    store = opened(location) if location else store_of_project("--history")
    if steps:
        return _show_steps(store, last or _STEPS_LAST, pattern, _known(figures), json_file)
    infos = store.infos(last=last or _DEFAULT_LAST)
    if pattern is None:
        return _show_runs(store, infos, json_file)
    return _show_series(store, infos, pattern, _known(figures), json_file)


def _show_runs(store: Store, infos: list[RunInfo], json_file: str | None) -> int:
    from pytest_tfmem.history.listing import ListedRuns  # noqa: PLC0415
    from pytest_tfmem.report.history import run_lines  # noqa: PLC0415

    listed = ListedRuns(store=store.shown, runs=infos)
    if json_file:
        write_json(listed, json_file)
    if json_file != "-":
        show(run_lines(listed, width=width()) if infos else [])
    return _tell(store.faults, nothing="" if infos else f"no runs in {store.shown}")


def _show_series(store: Store, infos: list[RunInfo], text: str, figures: tuple[str, ...], json_file: str | None) -> int:
    from pytest_tfmem.budgets.pattern import compile_pattern  # noqa: PLC0415
    from pytest_tfmem.history.listing import list_series  # noqa: PLC0415
    from pytest_tfmem.report.history import history_lines  # noqa: PLC0415

    pattern = compile_pattern(text, where="NODEID")
    listed = list_series(store.shown, store.history([info.id for info in infos]), pattern, figures)
    if json_file:
        write_json(listed, json_file)
    if json_file != "-":
        show(history_lines(listed, width=width()))
    nothing = f"no readings of {text} in the last {len(infos)} runs in {store.shown}"
    return _tell(store.faults, nothing="" if listed.series else nothing)


def _show_steps(store: Store, last: int, text: str | None, figures: tuple[str, ...], json_file: str | None) -> int:
    from pytest_tfmem.cli.project import tolerance  # noqa: PLC0415
    from pytest_tfmem.gate.stepped import document_of, looked_at, stepped, with_commits  # noqa: PLC0415
    from pytest_tfmem.history.past import past_of  # noqa: PLC0415
    from pytest_tfmem.report.steps import step_lines  # noqa: PLC0415

    infos = store.infos()  # all of them: the latest of a store may be other branches'
    of_here = past_of(Path.cwd(), infos)
    past = of_here[-last:]
    history = looked_at(_covered(store.history([info.id for info in past]), text), figures=figures)
    found = with_commits(stepped(history, tolerance=tolerance()), Path.cwd())
    if json_file:
        document = document_of(store.shown, history, found, runs=len(past), series=len(history.points))
        write_json(document, json_file)
    if json_file != "-":
        counts = {"series": len(history.points), "runs": len(past), "others": len(infos) - len(of_here)}
        show(step_lines(found, **counts, width=width()))
    return _tell(store.faults)


def _covered(history: History, text: str | None) -> History:
    """The series of the tests that a pattern covers: all, if there is none."""
    if text is None:
        return history
    from msgspec.structs import replace  # noqa: PLC0415

    from pytest_tfmem.budgets.pattern import compile_pattern  # noqa: PLC0415

    pattern = compile_pattern(text, where="NODEID")
    return replace(history, points={key: one for key, one in history.points.items() if pattern.covers(key.nodeid)})


def _known(figures: tuple[str, ...]) -> tuple[str, ...]:
    from pytest_tfmem.budgets.names import unknown  # noqa: PLC0415
    from pytest_tfmem.figures import FIGURES  # noqa: PLC0415

    for figure in figures:
        if figure not in FIGURES:
            raise click.ClickException(str(unknown("figure", figure, FIGURES, where="--figure")))
    return figures


def _tell(faults: list[str], nothing: str = "") -> int:
    """Say on standard error what was passed over, and what was not found."""
    for fault in dict.fromkeys(faults):
        click.echo(f"WARNING: {one_line(fault, most=1000)}", err=True)
    if nothing:
        click.echo(one_line(nothing, most=1000), err=True)
    return FOUND if faults or nothing else OK


def _said(stored: int, known: int, store: Store) -> str:
    runs = "1 run" if stored == 1 else f"{stored} runs"
    there = f", {known} {'was' if known == 1 else 'were'} there already" if known else ""
    return one_line(f"{runs} stored in {store.shown}{there}", most=1000)
