"""`tfmem calibrate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_tfmem.cli.output import json_option, show, width, write_json
from pytest_tfmem.cli.statuses import OK, UNDECIDED

if TYPE_CHECKING:
    from pytest_tfmem.attempts.calibration import Repeated
    from pytest_tfmem.check.collected import Collected
    from pytest_tfmem.gate.calibrated import Calibration

_STDOUT = "-"


@click.command(
    context_settings={"ignore_unknown_options": True},
    short_help="Learn how far tests' readings move, and propose limits.",
)
@click.option(
    "-n",
    "--runs",
    "count",
    metavar="N",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="How often to run the tests.",
)
@click.option("--write", is_flag=True, help="Write the limits into budgets.yaml, for each test under its own id.")
@json_option("Write what was learned as JSON")
@click.argument("pytest_args", nargs=-1, type=click.UNPROCESSED)
def calibrate(*, count: int, write: bool, json_file: str | None, pytest_args: tuple[str, ...]) -> int:
    """Learn how far tests' readings move by themselves, and propose limits and a tolerance by that.

    Runs pytest N times from nothing, with PYTEST_ARGS if given (such as ids of tests), each time in a new process with
    a server of its own; limits that are passed fail no test meanwhile. Shows for each test and figure the least, the
    median and the most of its readings, and proposes, from 5 readings on, a limit with room for such noise. What was
    only sampled is shown, but no limit goes by it. The runs are kept in the project's history, where they are a
    baseline to hold later runs against.

    Ends with status 0, 2 for arguments that are wrong and for tests that cannot be collected, 3 if nothing was
    measured, 4 for a budgets file or a setting with which pytest would refuse to run.
    """
    from pytest_tfmem.gate.calibrated import calibrated  # noqa: PLC0415  --help is to be quick

    if write and os.environ.get("CI"):
        raise click.UsageError("--write: budgets are not changed in CI (the variable CI is set)")
    collected = _collected(pytest_args)
    repeated = _repeated(collected, count, pytest_args)
    for line in repeated.said:
        click.secho(line, fg="yellow", err=True)
    if not repeated.runs:
        click.echo("nothing was measured: no test that ran has a budget or a marker", err=True)
        return UNDECIDED
    calibration = calibrated(repeated.runs)
    if json_file:
        write_json(calibration, json_file)
    if json_file != _STDOUT:
        _show(calibration)
    if write:
        _write(calibration, collected)
    return OK if calibration.series else UNDECIDED


def _collected(pytest_args: tuple[str, ...]) -> Collected:
    from pytest_tfmem.check.collected import CouldNotCollectError, collect  # noqa: PLC0415

    try:
        return collect(pytest_args, None)
    except CouldNotCollectError as error:
        raise click.ClickException(str(error)) from error


def _repeated(collected: Collected, count: int, pytest_args: tuple[str, ...]) -> Repeated:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from pytest_tfmem.attempts.calibration import repeat  # noqa: PLC0415

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("running the tests", total=count)
        return repeat(
            pytest_args,
            count,
            directory=Path.cwd(),
            root=Path(collected.root),
            history=collected.history,
            told=lambda: progress.advance(task),
        )


def _show(calibration: Calibration) -> None:
    from pytest_tfmem.gate.nominate import LEAST_SESSIONS  # noqa: PLC0415
    from pytest_tfmem.report.calibration import calibration_lines, snippet_lines  # noqa: PLC0415

    show(calibration_lines(calibration, width=width(), enough=LEAST_SESSIONS))
    if snippet := list(snippet_lines(calibration)):
        click.echo("\nfor budgets.yaml, with the tolerance that each needs:\n")
        for line in snippet:
            click.echo(line)


def _write(calibration: Calibration, collected: Collected) -> None:
    from pytest_tfmem.measure.nvml import gpu_names  # noqa: PLC0415
    from pytest_tfmem.settings.options import DEFAULT_BUDGETS  # noqa: PLC0415
    from pytest_tfmem.upkeep.written import write_limits  # noqa: PLC0415

    path = Path(collected.budgets or Path(collected.root, DEFAULT_BUDGETS))
    shown = collected.shown or DEFAULT_BUDGETS
    exists = collected.budgets is not None
    for line in write_limits(path, calibration, exists=exists, shown=shown, gpus=gpu_names()):
        click.echo(line)
