"""A program's measurement as a run document, which every command reads that reads those of pytest."""

from __future__ import annotations

import datetime as dt
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.history.environment import describe_environment
from pytest_tfmem.history.origin import Looking
from pytest_tfmem.history.rundocument import RunDocument, describe_run, write_run_document
from pytest_tfmem.measure.nvml import names_and_version

if TYPE_CHECKING:
    from pytest_tfmem.figures import Measurement


def checked_target(name: str) -> Path:
    """Where the document is to go. Raises TfmemError where it cannot: before the program has run for hours."""
    if not name:
        raise TfmemError("no name of a file", where="--json", hint="name a file")
    # Not by pathlib, which raises for a name that is too long or a folder that may not be entered.
    if os.path.isdir(name) or not os.path.isdir(os.path.dirname(name) or "."):
        what = "is a folder" if os.path.isdir(name) else "is in a folder that does not exist"
        raise TfmemError(f"{one_line(name)} {what}", where="--json", hint="name a file")
    return Path(name)


class Record:
    """Begun before the program is, so that git is asked meanwhile."""

    def __init__(self) -> None:
        self._began = dt.datetime.now(tz=dt.UTC)
        self._looking = Looking(Path.cwd())

    def write(self, path: Path, measurement: Measurement) -> None:
        """Write the document. Raises TfmemError if that cannot be done."""
        gpus, driver = names_and_version()
        run = describe_run(
            self._looking.origin(os.environ),
            run_id=secrets.token_hex(16),
            started_at=self._began,
            duration_seconds=(dt.datetime.now(tz=dt.UTC) - self._began).total_seconds(),
        )
        environment = describe_environment(gpus=gpus, gpu_driver=driver)
        try:
            write_run_document(path, RunDocument(run=run, environment=environment, tests=[measurement]))
        except OSError as fault:
            raise TfmemError(fault.strerror or "cannot be written", where=one_line(str(path))) from fault
