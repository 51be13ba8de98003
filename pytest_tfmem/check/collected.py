"""The tests that there are, and what their markers say: collected by pytest itself, in a process of its own."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.budgets.marker import MarkerBudget
from pytest_tfmem.check.pytest_process import command, reason
from pytest_tfmem.errors import TfmemError

if TYPE_CHECKING:
    from collections.abc import Sequence

_REFUSED = (3, 4)  # pytest.ExitCode: an internal error, a usage error


class CollectedTest(msgspec.Struct, frozen=True, kw_only=True):
    """One test: its id as collected, whether it is to be measured, and its markers' budgets, the closest first.

    `problems`: a line for each marker that is wrong, in whose place nothing stands in `markers`.
    """

    nodeid: str
    measured: bool
    markers: list[MarkerBudget]
    problems: list[str] = []


class Uncollected(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or another part of the suite, that pytest could not collect, and the line that says why."""

    nodeid: str
    said: str


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a collection.

    `mistake`: the line with which pytest would refuse to run; if there is one, nothing else is told. `budgets` is
    the path of the budgets file, if there is one, and `shown` how messages name it. `root` is pytest's root directory,
    and `history` where runs are kept: a folder or a database's URL, None for nowhere. `places`: what of the suite was
    asked for, as node ids, the whole suite being an empty one. `tests` are all that were collected, those that -k
    and -m leave out among them.
    """

    mistake: str = ""
    budgets: str | None = None
    shown: str = ""
    root: str = ""
    history: str | None = None
    places: list[str] = []
    tests: list[CollectedTest] = []
    uncollected: list[Uncollected] = []


class CouldNotCollectError(Exception):
    """pytest came to no collection: what it said, in one line."""


def collect(pytest_arguments: Sequence[str], budgets: Path | None) -> Collected:
    """Have pytest collect with these arguments. `budgets` is the file to take in place of the usual one.

    Raises TfmemError for what pytest refuses to run with and the user can mend in a file, CouldNotCollectError for
    arguments that pytest does not understand and for whatever else kept it from collecting.
    """
    with tempfile.TemporaryDirectory(prefix="tfmem-check-") as folder:
        path = Path(folder, "collected.json")
        ended = subprocess.run(  # noqa: S603  our own interpreter, our own statement
            command(_arguments(path, pytest_arguments, budgets)),
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        collected = msgspec.json.decode(path.read_bytes(), type=Collected) if path.exists() else None
    if collected is not None and collected.mistake:
        raise TfmemError(collected.mistake)
    # pytest also finishes a collection of paths that are not there, and only then complains.
    if collected is None or ended.returncode in _REFUSED:
        raise CouldNotCollectError(f"pytest could not collect the tests: {reason(ended)}")
    return collected


def _arguments(path: Path, pytest_arguments: Sequence[str], budgets: Path | None) -> list[str]:
    # "tfmem" by name: it is then loaded even if PYTEST_DISABLE_PLUGIN_AUTOLOAD is set.
    ours = ["-p", "tfmem", "-p", "pytest_tfmem.check.collecting", f"--tfmem-collected={path}", "--collect-only", "-qq"]
    named = [] if budgets is None else [f"--tfmem-budgets={budgets}"]
    return [*ours, *named, "--color=no", *pytest_arguments]
