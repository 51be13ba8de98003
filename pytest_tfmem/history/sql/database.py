"""A database as a store of runs."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.history.runfiles import make_folder
from pytest_tfmem.history.series import History
from pytest_tfmem.history.sql import reading
from pytest_tfmem.history.sql.connecting import connected, make_engine, transaction
from pytest_tfmem.history.sql.faults import is_worth_another_try
from pytest_tfmem.history.sql.migrations import check_version, migrate, version_of
from pytest_tfmem.history.sql.schema import VERSION
from pytest_tfmem.history.sql.writing import store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import Connection

    from pytest_tfmem.history.recorded import RecordedRun, RunInfo
    from pytest_tfmem.history.sql.url import Address

_TRIES = 5
_LONGEST_PAUSE_SECONDS = 0.2


class DatabaseStore:
    """Runs in SQLite or PostgreSQL, each in one transaction.

    Reading makes nothing: neither a file, nor tables in a database that has none of ours.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._engine = make_engine(address)
        self._is_current = False

    def __repr__(self) -> str:
        return f"<DatabaseStore {self.shown}>"

    @property
    def shown(self) -> str:
        return self._address.shown

    @property
    def faults(self) -> list[str]:
        return []

    def push(self, runs: Iterable[RecordedRun]) -> int:
        self._make_folder()
        pushed = 0
        with connected(self._engine, self._address) as connection:
            self._prepare(connection, write=True)
            for run in runs:
                pushed += self._store(connection, run)
        return pushed

    def infos(self, *, last: int | None = None) -> list[RunInfo]:
        with self._reading() as connection:
            return reading.infos(connection, last=last) if connection else []

    def runs(self, ids: Collection[str]) -> Iterator[RecordedRun]:
        with self._reading() as connection:
            keys = reading.keys_in_order(connection, ids) if connection else []
        for key in keys:
            # One transaction for each: whoever takes the runs may take his time, and writers do not wait for him.
            with self._reading() as connection:
                run = reading.whole_run(connection, key, where=self.shown) if connection else None
            if run:
                yield run

    def history(self, ids: Collection[str], *, nodeids: Collection[str] | None = None) -> History:
        with self._reading() as connection:
            return reading.history(connection, ids, nodeids) if connection else History()

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection | None]:
        """A connection in a transaction; None where nothing was ever stored."""
        if self._address.file is not None and not self._address.file.exists():
            yield None
            return
        with connected(self._engine, self._address) as connection:
            is_ours = self._prepare(connection, write=False)
            with transaction(connection, write=False):
                yield connection if is_ours else None

    def _prepare(self, connection: Connection, *, write: bool) -> bool:
        """Bring the schema up to date, if there is one or there is to be; whether there is."""
        if self._is_current:
            return True
        with transaction(connection, write=False):
            found = version_of(connection)
        check_version(found, self._address)
        if found < VERSION and (found or write):
            with transaction(connection, write=True):
                migrate(connection, self._address)
            found = VERSION
        self._is_current = found == VERSION
        return self._is_current

    def _store(self, connection: Connection, run: RecordedRun) -> bool:
        for _ in range(_TRIES - 1):
            try:
                with transaction(connection, write=True):
                    return store(connection, run)
            except SQLAlchemyError as error:
                if not is_worth_another_try(error):
                    raise
            time.sleep(random.uniform(0, _LONGEST_PAUSE_SECONDS))  # noqa: S311  so that two do not meet again
        with transaction(connection, write=True):
            return store(connection, run)

    def _make_folder(self) -> None:
        if self._address.file is None:
            return
        try:
            make_folder(self._address.file.parent)
        except OSError as error:
            raise TfmemError(one_line(error.strerror or str(error)), where=self.shown) from None
