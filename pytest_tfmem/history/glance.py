"""What is known of a run file at a glance: its first and last lines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.history.recorded import Footer, Header, RunInfo
from pytest_tfmem.history.runlines import runs_of
from pytest_tfmem.history.slim import slim

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tfmem.history.recorded import RecordedRun
    from pytest_tfmem.history.rundocument import Run

_LONGEST_FOOTER = 4096
_FOOTER_BEGINS = b'{"footer"'


def infos_of(path: Path, *, holds_one: bool) -> list[RunInfo]:
    """What runs there are in the file. With `holds_one`, of a file that holds one run, no more is read than it takes.

    Raises TfmemError for a file that is no run file.
    """
    ends = _ends(path) if holds_one else None
    if ends is None:
        return [info_of(run) for run in runs_of(path, slim())]
    header, footer = ends
    return [_info(header.run, footer.tests, complete=True)]


def info_of(run: RecordedRun) -> RunInfo:
    return _info(run.run, len(run.tests), complete=run.footer is not None)


def _info(run: Run, tests: int, *, complete: bool) -> RunInfo:
    return RunInfo(
        id=run.id,
        started_at=run.started_at,
        commit=run.commit,
        branch=run.branch,
        dirty=run.dirty,
        complete=complete,
        tests=tests,
    )


def _ends(path: Path) -> tuple[Header, Footer] | None:
    """Header and footer; None where they are not what they should be: the file then has to be read."""
    try:
        with path.open("rb") as file:
            header = file.readline()
            file.seek(-min(_LONGEST_FOOTER, file.seek(0, os.SEEK_END)), os.SEEK_END)
            footer = file.read().rstrip(b"\n").rpartition(b"\n")[2]
        if not footer.startswith(_FOOTER_BEGINS):
            return None
        return msgspec.json.decode(header, type=Header), msgspec.json.decode(footer, type=Footer)
    except (OSError, ValueError, RecursionError):
        return None
