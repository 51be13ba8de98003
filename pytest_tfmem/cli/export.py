"""`tfmem export`."""

from __future__ import annotations

import click

from pytest_tfmem.cli.output import write_text
from pytest_tfmem.cli.statuses import OK, UNDECIDED
from pytest_tfmem.cli.subject import find_run, run_options
from pytest_tfmem.figures import FIGURES

FORMATS = ("bencher", "csv", "github-action-benchmark", "gitlab", "openmetrics")


@click.command(short_help="Write a run for other tools.")
@run_options
@click.option("--format", "format_", type=click.Choice(FORMATS), required=True, help="What the other tool reads.")
@click.option(
    "--figure",
    "figures",
    metavar="FIGURE",
    multiple=True,
    type=click.Choice(list(FIGURES)),
    help="Only this figure, whether or not the gate goes by it. May be given again.",
)
@click.option("-o", "--output", metavar="FILE", default="-", show_default=True, help="Where it is written to.")
def export(*, run: str | None, history: str | None, format_: str, figures: tuple[str, ...], output: str) -> int:
    """Write the readings of RUN, or of the project's latest run, in the format of another tool.

    RUN is named as for `tfmem report`.

    The trackers bencher and github-action-benchmark, and gitlab, are given what the gate goes by: anonymous memory,
    what was asked of an allocator, and whatever has a limit. openmetrics and csv have every figure. What was not
    measured is in none of them but csv, and is counted on standard error.

    Ends with status 0, 2 for arguments that are wrong, 3 if there was nothing to write and so nothing is written,
    4 for files that cannot be read.
    """
    from pytest_tfmem.cli.project import tolerance  # noqa: PLC0415  --help is to be quick
    from pytest_tfmem.exports.formats import exported  # noqa: PLC0415  the same

    found = exported(find_run(run, history), format_, figures=figures, tolerance=tolerance)
    for sentence in found.left_out:
        click.echo(f"NOTE: {sentence}", err=True)
    if not found.text:
        click.echo("ERROR: nothing was written: the run has no reading for this format", err=True)
        return UNDECIDED
    write_text(found.text, output)
    return OK
