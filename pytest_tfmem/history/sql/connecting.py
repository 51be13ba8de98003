"""Connections: how each database is reached, and what one transaction on it may take."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, NullPool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from pytest_tfmem.history.sql.faults import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from pytest_tfmem.history.sql.url import Address

CONNECT_SECONDS = 5
_BUSY_SECONDS = 30  # for a lock that another client holds
_STATEMENT_SECONDS = 120
_LIMITS = f"SET LOCAL lock_timeout = '{_BUSY_SECONDS}s'; SET LOCAL statement_timeout = '{_STATEMENT_SECONDS}s'"
_WRITES = "tfmem_writes"

# libpq's: a server that is gone without a word is noticed. `prepare_threshold`: poolers such as PgBouncer lose
# prepared statements. A database whose encoding is SQL_ASCII would else give bytes for text.
_PSYCOPG: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "client_encoding": "utf8",
    "application_name": "pytest-tfmem",
    "prepare_threshold": None,
}


def make_engine(address: Address) -> Engine:
    """An engine that keeps no connection open: no socket is there to be inherited by a test's process."""
    return _sqlite(address) if address.kind == "sqlite" else _postgresql(address)


@contextmanager
def transaction(connection: Connection, *, write: bool) -> Iterator[None]:
    """One transaction: kept if it comes to its end, undone if not."""
    with connection.execution_options(**{_WRITES: write}).begin():
        yield


@contextmanager
def connected(engine: Engine, address: Address) -> Iterator[Connection]:
    """A connection, whose errors become one line that names no password."""
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        # Not "from error": its text has the statement with parameters, and a traceback would show it.
        raise refused(error, address) from None


def _sqlite(address: Address) -> Engine:
    url = URL.create("sqlite", database=str(address.file))
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction by itself: the next function does
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        # A transaction that reads first and then would write can be refused by another that does the same.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(address: Address) -> Engine:
    url = URL.create(
        "postgresql+psycopg",
        username=address.user,
        password=address.password,
        host=address.host,
        port=address.port,
        database=address.database,
        query=address.options,
    )
    given = {} if "PGCONNECT_TIMEOUT" in os.environ else {"connect_timeout": CONNECT_SECONDS}
    usual = {name: value for name, value in (_PSYCOPG | given).items() if name not in address.options}
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=usual)

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        connection.exec_driver_sql(_LIMITS)

    return engine
