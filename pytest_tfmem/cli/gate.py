"""`tfmem gate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_tfmem.cli.ending import in_order
from pytest_tfmem.cli.output import json_option
from pytest_tfmem.cli.statuses import UNDECIDED
from pytest_tfmem.errors import TfmemError

if TYPE_CHECKING:
    from pytest_tfmem.gate.result import GateResult
    from pytest_tfmem.gating.asked import Asked


@click.command(
    context_settings={"ignore_unknown_options": True}, short_help="Judge a change by its base and by earlier runs."
)
@click.option("--base", metavar="REF", required=True, help="What the change is to be merged into, such as origin/main.")
@click.option(
    "--run",
    "runs",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A run file of HEAD that was made already, in place of a run now; once for each shard.",
)
@click.option("--all", "decide_all", is_flag=True, help="Decide every test against the base, whatever history says.")
@click.option(
    "--allow-raises",
    is_flag=True,
    help="Accept what the change to the budgets file allows: else the base's limits hold, too.",
)
@click.option(
    "--base-setup",
    metavar="COMMAND",
    help="A shell command that makes the base's work tree ready; if it makes a .venv there, that is used.",
)
@click.option("--base-python", metavar="PATH", help="The interpreter to run the base with.")
@click.option("--history", metavar="URL|DIR", help="Where earlier runs are (default: where the project keeps them).")
@click.option(
    "--attempts",
    metavar="K",
    type=click.IntRange(min=1),
    help="Attempts of base and of head each, in place of what keeps the chance of a false alarm below 1 %.",
)
@json_option("Write the result as JSON")
@click.argument("pytest_args", nargs=-1, type=click.UNPROCESSED)
def gate(
    *,
    base: str,
    runs: tuple[Path, ...],
    decide_all: bool,
    allow_raises: bool,
    base_setup: str | None,
    base_python: str | None,
    history: str | None,
    attempts: int | None,
    json_file: str | None,
    pytest_args: tuple[str, ...],
) -> int:
    """Say whether the commit that is checked out needs more memory than the one where it left REF.

    Runs the tests of HEAD, with PYTEST_ARGS if given, in a work tree of its own. Tests that need more than their
    history says, that are over their limit, or that failed, are run again, base and head in turn, each time from
    nothing; only what is more in every attempt is a regression. Changes that are not committed are not judged.

    Ends with status 0 if all is well, 1 if a test has regressed or is over its limit, 2 for arguments that are wrong,
    3 if it could not be decided.
    """
    from pytest_tfmem.gating.asked import Asked  # noqa: PLC0415  --help is to be quick

    asked = Asked(
        base=base,
        directory=Path.cwd(),
        runs=tuple(map(Path.absolute, runs)),
        setup=base_setup,
        python=base_python,
        decide_all=decide_all,
        allow_raises=allow_raises,
        history=history,
        attempts=attempts,
        arguments=pytest_args,
    )
    result = _decided(asked)
    if result is None:
        return UNDECIDED
    _report(result, json_file)
    return result.status


def _decided(asked: Asked) -> GateResult | None:
    from pytest_tfmem.attempts.revision import CannotBeBuiltError  # noqa: PLC0415  the same
    from pytest_tfmem.gating.asked import CouldNotDecideError  # noqa: PLC0415
    from pytest_tfmem.gating.gate import gate as decide  # noqa: PLC0415
    from pytest_tfmem.gating.telling import telling  # noqa: PLC0415

    try:
        with in_order(), telling() as say:
            return decide(asked, say)
    except (CouldNotDecideError, CannotBeBuiltError) as error:
        click.echo(f"not decided: {error}", err=True)
        return None
    except TfmemError as error:
        raise click.ClickException(str(error)) from error


def _report(result: GateResult, json_file: str | None) -> None:
    from pytest_tfmem.cli.output import show, width, write_json  # noqa: PLC0415
    from pytest_tfmem.report.gate import gate_lines  # noqa: PLC0415

    if json_file != "-":
        show(gate_lines(result, width=width()))
    if json_file:
        write_json(result, json_file)
