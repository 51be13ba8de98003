"""`tfmem check`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_tfmem.cli.statuses import FOUND, OK
from pytest_tfmem.errors import TfmemError

if TYPE_CHECKING:
    from pytest_tfmem.budgets.model import BudgetsFile
    from pytest_tfmem.check.collected import Collected


@click.command(
    context_settings={"ignore_unknown_options": True}, short_help="Hold budgets.yaml and the markers against the tests."
)
@click.option(
    "--budgets",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The file to check, in place of the one that pytest would take.",
)
@click.option("--explain", metavar="NODEID", help="Say which line set each limit of one test, and why others did not.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of budgets.yaml and do nothing else.")
@click.option(
    "--soon",
    "soon_days",
    metavar="DAYS",
    type=click.IntRange(min=0),
    default=14,
    show_default=True,
    help="Report waivers that end within so many days.",
)
@click.argument("pytest_args", nargs=-1, type=click.UNPROCESSED)
def check(
    *, budgets: Path | None, explain: str | None, schema: bool, soon_days: int, pytest_args: tuple[str, ...]
) -> int:
    """Hold budgets.yaml and the markers against the tests that there are.

    Has pytest collect the tests, with PYTEST_ARGS if given, and reports, one line each: budgets and waivers that
    no test matches, budgets that never win, waivers that have ended or soon will, markers that are wrong, and
    values of TF_GPU_ALLOCATOR that TensorFlow would ignore. Tests that -k and -m leave out count as collected.

    Modules are found as `pytest` finds them; `python -m pytest_tfmem check` finds them as `python -m pytest` does.

    Ends with status 0 if there is nothing to mend, 1 if there is, 2 for arguments that are wrong and for tests
    that cannot be collected, 4 for a budgets file or a setting with which pytest would refuse to run.

    Editors that know YAML check budgets.yaml while it is written: save what --schema prints, and begin the file
    with "# yaml-language-server: $schema=budgets.schema.json".
    """
    if schema:
        from pytest_tfmem.budgets.schema import schema_text  # noqa: PLC0415

        click.echo(schema_text(), nl=False)
        return OK
    collected, file = _collected(pytest_args, budgets)
    if explain is not None:
        return _explain(explain, collected, file)
    return _findings(collected, file, soon_days)


def _collected(pytest_args: tuple[str, ...], budgets: Path | None) -> tuple[Collected, BudgetsFile | None]:
    from pytest_tfmem.budgets.file import load_budgets  # noqa: PLC0415
    from pytest_tfmem.check.collected import CouldNotCollectError, collect  # noqa: PLC0415

    try:
        collected = collect(pytest_args, budgets)
    except CouldNotCollectError as error:
        raise click.ClickException(str(error)) from error
    file = load_budgets(Path(collected.budgets), shown=collected.shown) if collected.budgets else None
    return collected, file


def _findings(collected: Collected, file: BudgetsFile | None, soon_days: int) -> int:
    from pytest_tfmem.check.findings import find, summary  # noqa: PLC0415

    found = find(collected, file, today=_today(), soon_days=soon_days)
    for line in [*found, *summary(collected, file, found)]:
        click.echo(line)
    return FOUND if found else OK


def _explain(nodeid: str, collected: Collected, file: BudgetsFile | None) -> int:
    from pytest_tfmem.budgets.resolve import active_profiles  # noqa: PLC0415
    from pytest_tfmem.check.explained import explained  # noqa: PLC0415
    from pytest_tfmem.measure.nvml import gpu_names  # noqa: PLC0415

    profiles = active_profiles(file, gpu_names()) if file and file.profiles else frozenset[str]()
    try:
        lines = explained(nodeid, collected, file, profiles=profiles, today=_today())
    except TfmemError as error:
        raise click.ClickException(str(error)) from error
    for line in lines:
        click.echo(line)
    return OK


def _today() -> dt.date:
    return dt.datetime.now(tz=dt.UTC).date()  # as the plugin has it
