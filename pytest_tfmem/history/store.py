"""Where earlier runs are kept: what every store can do, and which one a location names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from pytest_tfmem.history.recorded import RecordedRun, RunInfo
    from pytest_tfmem.history.series import History


class Store(Protocol):
    """Runs, each once, by id.

    Whatever cannot be done is a TfmemError that names no password, and leaves what was stored as it was.
    """

    @property
    def shown(self) -> str:
        """How messages name the store: without credentials."""

    @property
    def faults(self) -> list[str]:
        """What was passed over up to now because it could not be read, such as one file of many: a line for each."""

    def push(self, runs: Iterable[RecordedRun]) -> int:
        """Store those runs that are not there yet, each whole or not at all; how many these were."""

    def infos(self, *, last: int | None = None) -> list[RunInfo]:
        """What runs there are, the oldest first; with `last`, only so many of the latest."""

    def runs(self, ids: Collection[str]) -> Iterator[RecordedRun]:
        """The runs with these ids, whole, the oldest first."""

    def history(self, ids: Collection[str], *, nodeids: Collection[str] | None = None) -> History:
        """The series of these runs: of these tests alone, if they are given."""

    def close(self) -> None:
        """Let go of files and connections."""


def is_url(location: str) -> bool:
    """Whether a location names a database, and not a file or folder."""
    return "://" in location


def open_store(location: str, *, root: Path) -> Store:
    """The store at a location: a URL of a database, a run file, or a folder of them. Paths are relative to `root`,
    those in a URL of SQLite too.

    Raises TfmemError if there is no such store, or if what it needs is not installed.
    """
    if is_url(location):
        from pytest_tfmem.history.sql import open_database  # noqa: PLC0415  only where there is a database

        return open_database(location, root=root)
    from pytest_tfmem.history.folder import FolderStore  # noqa: PLC0415

    return FolderStore(root / location)
