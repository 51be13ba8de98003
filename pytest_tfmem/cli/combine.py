"""`tfmem combine`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_tfmem.cli.statuses import OK, UNDECIDED
from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    from pytest_tfmem.history.combine import Combined


@click.command(short_help="Join the run files of a suite's shards.")
@click.argument("paths", metavar="FILE|FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", metavar="OUT", required=True, type=click.Path(path_type=Path), help="The file to write."
)
def combine(*, paths: tuple[Path, ...], output: Path) -> int:
    """Join the run files of a suite's shards into one, and say what is missing.

    Takes run files, run documents, and folders, of which the run files are taken, those in folders within them
    included. Each run is taken once, so that the result may be combined again with what it was made of, and with
    shards that come later. Where two runs claim one shard, as after a job was started again, the newer one that came
    to its end counts.

    Ends with status 0 if all shards are there and came to their ends, with 3 if something is missing (the file is
    written all the same), with 2 if nothing was written: for arguments and files that are wrong, and for runs that
    are not of one whole, being of different commits or different numbers of shards.
    """
    try:
        combined = _combined(paths, output)
    except TfmemError as error:
        raise click.ClickException(str(error)) from error
    for line in combined.said:
        click.echo(line)
    for line in combined.missing:
        click.secho(line, fg="yellow")
    tests = sum(len(run.tests) for run in combined.runs)
    written = f"{one_line(str(output))}: {count_of(len(combined.runs), 'run')}, {count_of(tests, 'measured test')}"
    click.echo(f"{written}; incomplete" if combined.missing else written)
    return UNDECIDED if combined.missing else OK


def _combined(paths: tuple[Path, ...], output: Path) -> Combined:
    from pytest_tfmem.history.combine import combine as join  # noqa: PLC0415  --help is to be quick
    from pytest_tfmem.history.combine import gather  # noqa: PLC0415
    from pytest_tfmem.history.encoding import write_whole  # noqa: PLC0415
    from pytest_tfmem.history.runfile import run_lines  # noqa: PLC0415

    combined = join(gather(paths))
    _refuse_if_not_ours(output)
    try:
        write_whole(output, b"".join(map(run_lines, combined.runs)))
    except OSError as fault:
        raise TfmemError(fault.strerror or "cannot be written", where=one_line(str(output))) from fault
    return combined


def _refuse_if_not_ours(output: Path) -> None:
    """Raise TfmemError if writing the file would destroy something that is no run file."""
    from pytest_tfmem.history.runfile import read_runs  # noqa: PLC0415

    if output.is_file() and output.stat().st_size:
        try:
            read_runs(output)
        except TfmemError as fault:
            what = "is there and is not a run file"
            raise TfmemError(what, where=one_line(str(output)), hint="name another, or remove it") from fault
