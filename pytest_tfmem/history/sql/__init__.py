"""Databases as stores, through SQLAlchemy: SQLite and PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tfmem.history.sql.database import DatabaseStore


def open_database(url: str, *, root: Path) -> DatabaseStore:
    """The store in the database at this URL, the file of SQLite relative to `root`. It connects when it is first used.

    Raises TfmemError for a URL that is none of ours, or if what it needs is not installed.
    """
    from pytest_tfmem.history.sql.url import read_url  # noqa: PLC0415  the same as below

    address = read_url(url, root=root)
    try:
        from pytest_tfmem.history.sql.database import DatabaseStore  # noqa: PLC0415  SQLAlchemy is heavy, and an extra

        return DatabaseStore(address)
    except ImportError:
        what = "SQLAlchemy is not installed" if address.kind == "sqlite" else "SQLAlchemy or psycopg is not installed"
        raise TfmemError(what, where=address.shown, hint="pip install 'pytest-tfmem[sql]'") from None
