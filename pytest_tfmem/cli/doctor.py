"""`tfmem doctor`."""

from __future__ import annotations

import click

from pytest_tfmem.cli.statuses import FOUND, OK


@click.command(short_help="Say what this machine can measure.")
@click.option("--json", "as_json", is_flag=True, help="Write the same as JSON.")
def doctor(*, as_json: bool) -> int:
    """Say what this machine can measure, how exactly, and what would give more.

    Runs two small tests through pytest to see that it is true. Ends with status 0 if tests can be measured and
    judged here, with 1 if they cannot.
    """
    from pytest_tfmem.doctor.examine import examine  # noqa: PLC0415  --help is to be quick

    diagnosis = examine()
    if as_json:
        from pytest_tfmem.doctor.diagnosis import to_json  # noqa: PLC0415

        click.echo(to_json(diagnosis))
    else:
        from pytest_tfmem.doctor.page import show  # noqa: PLC0415

        show(diagnosis)
    return OK if diagnosis.works else FOUND
