"""The command `tfmem`: arguments in, one call down, text and an exit status out."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from pytest_tfmem.errors import TfmemError, one_line

if TYPE_CHECKING:
    from pytest_tfmem.budgets.model import BudgetsFile
    from pytest_tfmem.check.collected import Collected

OK = 0
FOUND = 1
USAGE = 2
WRONG_FILE = 4  # as pytest ends for the same mistake
_INTERRUPTED = 130  # what a shell says of a program that Ctrl-C ended


def main() -> NoReturn:
    """Run the command and end the process. A mistake of the user's is one line on standard error."""
    try:
        status = tfmem(prog_name="tfmem", standalone_mode=False)
    except TfmemError as error:
        status = _refuse(str(error), WRONG_FILE)
    except click.Abort:
        status = _INTERRUPTED
    except click.ClickException as error:
        status = _refuse(error.format_message(), USAGE)
    sys.exit(status)


def _refuse(line: str, status: int) -> int:
    click.echo(f"ERROR: {one_line(line, most=1000)}", err=True)
    return status


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(package_name="pytest-tfmem", prog_name="tfmem")
@click.pass_context
def tfmem(context: click.Context) -> int:
    """Memory budgets for TensorFlow tests: what stands around pytest."""
    if context.invoked_subcommand is not None:
        return OK
    click.echo(context.get_help(), err=True)
    return USAGE


@tfmem.command()
@click.option("--json", "as_json", is_flag=True, help="Write the same as JSON.")
def doctor(*, as_json: bool) -> int:
    """Say what this machine can measure, how exactly, and what would give more.

    Runs two small tests through pytest to see that it is true. Ends with status 0 if tests can be measured and
    judged here, with 1 if they cannot.
    """
    from pytest_tfmem.doctor.examine import examine  # noqa: PLC0415  each command loads what it needs

    diagnosis = examine()
    if as_json:
        from pytest_tfmem.doctor.diagnosis import to_json  # noqa: PLC0415

        click.echo(to_json(diagnosis))
    else:
        from pytest_tfmem.doctor.page import show  # noqa: PLC0415

        show(diagnosis)
    return OK if diagnosis.works else FOUND


@tfmem.command(context_settings={"ignore_unknown_options": True})
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
        return _refuse(str(error), USAGE)
    for line in lines:
        click.echo(line)
    return OK


def _today() -> dt.date:
    return dt.datetime.now(tz=dt.UTC).date()  # as the plugin has it
