"""A run as it was recorded: what any store takes and gives back."""

from __future__ import annotations

import datetime as dt

import msgspec

from pytest_tfmem.figures import Measurement
from pytest_tfmem.history.environment import Environment
from pytest_tfmem.history.rundocument import SCHEMA, Run


class Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """The beginning of a run."""

    run: Run
    environment: Environment


class Footer(msgspec.Struct, frozen=True, kw_only=True, tag_field="footer", tag="tfmem.end/1"):
    """The end of a run. `tests`: how many tests stand above.

    `exit_status` is pytest's, and `ended` how many of the tests that were to run came to an end, measured or not: None
    where nobody has said, as in a run document.
    """

    duration_seconds: float
    tests: int
    exit_status: int | None = None
    ended: int | None = None


class RecordedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One pytest session: its run, its environment, and its tests in the order in which they ended.

    Of a test that was run again, the last attempt alone. `footer` is None where the session did not come to its end,
    or what was recorded of it is cut off.
    """

    run: Run
    environment: Environment
    tests: list[Measurement]
    footer: Footer | None = None


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run without its tests. `started_at` is in UTC; `complete`: it came to its end.

    `tests` is how many it measured.
    """

    id: str
    started_at: dt.datetime
    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    complete: bool = True
    tests: int = 0
