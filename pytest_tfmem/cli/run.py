"""`tfmem run`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_tfmem.cli.ending import in_order
from pytest_tfmem.cli.output import WIDEST, show, width
from pytest_tfmem.cli.statuses import NOT_JUDGED, OK, OVER_LIMIT, TIME_UP
from pytest_tfmem.errors import one_line

if TYPE_CHECKING:
    from pytest_tfmem.program.measured import Result


@click.command(
    context_settings={"allow_interspersed_args": False},
    short_help="Measure a program that is not a test.",
)
@click.option("-m", "is_module", is_flag=True, help="PROGRAM is a module, as for python -m.")
@click.option(
    "--limit",
    "limits",
    metavar="FIGURE=SIZE",
    multiple=True,
    help="A limit on a figure, such as rss=1.5GiB; may be repeated.",
)
@click.option(
    "--runtime",
    metavar="KEY=VALUE",
    multiple=True,
    help="What tf_runtime takes, such as allocator=growth or memory_limit=4GiB; may be repeated.",
)
@click.option(
    "--gpu",
    type=click.Choice(("auto", "off")),
    default="auto",
    show_default=True,
    help="Measure GPUs where there are any, or leave them alone.",
)
@click.option("--timeout", metavar="SECONDS", help="End the program if it still runs after so long.")
@click.option("--interval", metavar="SECONDS", help="How often its process tree is read at best (default: 0.02).")
@click.option("--explain", is_flag=True, help="Run PROGRAM again, to say what held its memory.")
@click.option("--json", "json_file", metavar="FILE", help="Write a run document, as pytest's --tfmem-json does.")
@click.argument("target", metavar="PROGRAM", default="")  # whose want is told with what would be right
@click.argument("arguments", metavar="[ARGUMENTS]...", nargs=-1, type=click.UNPROCESSED)
def run(
    *,
    is_module: bool,
    limits: tuple[str, ...],
    runtime: tuple[str, ...],
    gpu: str,
    timeout: str | None,
    interval: str | None,
    explain: bool,
    json_file: str | None,
    target: str,
    arguments: tuple[str, ...],
) -> int:
    """Run PROGRAM, a Python script, as python would, and say on standard error what memory it needed.

    With -m it is a module. All that follows it is for the program, whose standard streams are left to it. It is
    measured from just before its first statement to after its handlers for the interpreter's end (atexit): as a test
    is, in one phase. Nothing of how it runs is changed but for what --runtime says. It is not recorded in the
    project's history, which is of tests: --json keeps it, for `tfmem report`, `compare` and `export`.

    With --explain the program is run once more for memory of the host, under memray (the extra `explain`), and once
    more for tensors, under TensorFlow's profiler, where a figure of a device was read: with all that it does to files
    and elsewhere each time. What it then writes is thrown away, and it has nothing to read.

    Ends with the program's own status (128 and the signal's number if a signal ended it). Where that is 0: with 121 if
    it passed a limit, with 122 if a limit could not be judged, because its figure was not measured. With 124 if its
    time was up, and with 2 or 4 if it was not run at all.
    """
    from pytest_tfmem.isolate.program import NoProgramError  # noqa: PLC0415  --help is to be quick
    from pytest_tfmem.program.asked import Program, parse_limits, parse_runtime  # noqa: PLC0415
    from pytest_tfmem.program.document import Record, checked_target  # noqa: PLC0415
    from pytest_tfmem.program.measured import Wanted, run_program  # noqa: PLC0415

    wanted = Wanted(
        program=Program(target=target, is_module=is_module, arguments=arguments),
        limits=parse_limits(limits),
        runtime=parse_runtime(runtime),
        gpu=gpu,
        timeout_seconds=_seconds(timeout, "--timeout"),
        interval_seconds=_seconds(interval, "--interval") or _default_interval(),
        explain=explain,
        graphs=None if json_file is None else Path(json_file).absolute().parent,
        say=lambda text: click.echo(one_line(text, most=500), err=True),
    )
    document = None if json_file is None else checked_target(json_file)
    record = Record() if document else None
    with in_order():
        try:
            result = run_program(wanted)
        except NoProgramError as error:
            raise click.UsageError(str(error)) from None
    _show(result)
    if record and document:
        record.write(document, result.measurement)
    return _status(result)


def _seconds(text: str | None, option: str) -> float | None:
    from pytest_tfmem.units import parse_seconds  # noqa: PLC0415  --help is to be quick

    return None if text is None else parse_seconds(text, where=option)


def _default_interval() -> float:
    from pytest_tfmem.settings.options import DEFAULT_INTERVAL_SECONDS  # noqa: PLC0415  the same

    return DEFAULT_INTERVAL_SECONDS


def _show(result: Result) -> None:
    from pytest_tfmem.program.ending import how_it_ended  # noqa: PLC0415  the same
    from pytest_tfmem.report.program import program_lines  # noqa: PLC0415

    ended = result.ended
    lines = program_lines(
        result.measurement,
        ended=how_it_ended(ended),
        seconds=ended.seconds,
        cpu_seconds=ended.cpu_seconds,
        width=_width(),
    )
    show(lines, err=True)


def _width() -> int:
    # Not of standard output, which is the program's: it may lead into a file.
    if "COLUMNS" not in os.environ and sys.stderr.isatty():
        return min(os.get_terminal_size(sys.stderr.fileno()).columns, WIDEST)
    return width()


def _status(result: Result) -> int:
    from pytest_tfmem.program.ending import status_of  # noqa: PLC0415  the same

    if result.ended.timed_out:
        return TIME_UP
    verdict = result.measurement.verdict
    return status_of(result.ended) or {"over": OVER_LIMIT, "not-measured": NOT_JUDGED}.get(verdict, OK)
