"""`tfmem compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_tfmem.cli.output import json_option, show, width, write_json
from pytest_tfmem.cli.statuses import FOUND, OK, UNDECIDED
from pytest_tfmem.errors import one_line
from pytest_tfmem.figures import FIGURES

if TYPE_CHECKING:
    from pytest_tfmem.gate.sidebyside import Comparison


@click.command(
    context_settings={"ignore_unknown_options": True}, short_help="Show two runs, folders or revisions side by side."
)
@click.option(
    "--figure",
    "figures",
    metavar="FIGURE",
    multiple=True,
    type=click.Choice(list(FIGURES)),
    help="Only this figure, whether or not the gate goes by it. May be given again.",
)
@click.option("--all", "complete", is_flag=True, help="Show every reading, changed or not, and every test's name.")
@click.option(
    "-n",
    "sessions",
    metavar="N",
    type=click.IntRange(1, 100),
    help="Run N whole sessions of each revision now, whatever the history has of it.",
)
@click.option("--history", metavar="URL|DIR", help="Where earlier runs are (default: where the project keeps them).")
@click.option(
    "--budgets",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The budgets file whose tolerance holds, in place of the one that pytest would take.",
)
@json_option("Write the comparison as JSON")
@click.argument("a")
@click.argument("b")
@click.argument("pytest_args", nargs=-1, type=click.UNPROCESSED)
def compare(
    *,
    a: str,
    b: str,
    figures: tuple[str, ...],
    complete: bool,
    sessions: int | None,
    history: str | None,
    budgets: Path | None,
    json_file: str | None,
    pytest_args: tuple[str, ...],
) -> int:
    """Show two sets of runs side by side: what each test used in A and in B.

    A and B are each a run file or document, a folder of run files, a database's URL, the id of a run in the project's
    history or the beginning of one, or a git revision. What is there as a file or folder is taken as that. A revision
    stands for the history's runs of that commit, those of changed work trees left out. If it has none, or with -n,
    the revision is checked out in a work tree of its own and pytest is run there, with PYTEST_ARGS if given; of two
    revisions in turn.

    Shown is what changed by more than the tolerance: of anonymous memory, of what was asked of an allocator, and of
    whatever has a limit. With several sessions it is the medians that are compared. "grew" is what B needs more than A;
    from 3 sessions of each on, "regressed" is what every session of B needs more than any of A. What was measured under
    other conditions, such as another version of TensorFlow, is not compared but named.

    Ends with status 0 if nothing that is shown grew, 1 if something did, 2 for arguments that are wrong, 3 if there is
    nothing that could be compared or a revision could not be measured, 4 for files that cannot be read.
    """
    from pytest_tfmem.attempts.revision import CannotBeBuiltError  # noqa: PLC0415
    from pytest_tfmem.cli.sides import Sides  # noqa: PLC0415  --help is to be quick
    from pytest_tfmem.gate.sidebyside import compared, document_of  # noqa: PLC0415

    sides = Sides(history=history, budgets=budgets, sessions=sessions, pytest_args=pytest_args)
    try:
        (side_a, runs_a), (side_b, runs_b) = sides.find(a, b)
    except CannotBeBuiltError as error:
        click.echo(f"ERROR: could not be measured: {one_line(str(error), most=1000)}", err=True)
        return UNDECIDED
    comparison = compared(runs_a, runs_b, tolerance=sides.tolerance(), figures=figures)
    if json_file:
        write_json(document_of(comparison, side_a, side_b), json_file)
    if json_file != "-":
        from pytest_tfmem.report.comparison import comparison_lines  # noqa: PLC0415

        show(comparison_lines(comparison, sides=(side_a, side_b), width=width(), complete=complete))
    return _status(comparison)


def _status(comparison: Comparison) -> int:
    if comparison.standing("regressed", "grew"):
        return FOUND
    return OK if comparison.standing("steady", "shrank") else UNDECIDED
