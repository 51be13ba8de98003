"""What a database refused: one line of ours, in which nothing stands that is secret."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError, one_line

if TYPE_CHECKING:
    from sqlalchemy.exc import SQLAlchemyError

    from pytest_tfmem.history.sql.url import Address

_DEADLOCK, _SERIALIZATION_FAILURE = "40P01", "40001"
_LEAST_SCRUBBED = 3  # to blank a shorter password out of a sentence would tell where in it that stands


def refused(error: SQLAlchemyError, address: Address) -> TfmemError:
    """The error for the user. Of what the driver said the first line, without passwords."""
    said = scrubbed(_first_line(error), address.secrets)
    return TfmemError(one_line(said or "the database refused, and did not say why"), where=address.shown)


def scrubbed(text: str, secrets: list[str]) -> str:
    """The text without the secrets; empty where one is too short to be taken out."""
    if any(len(secret) < _LEAST_SCRUBBED and secret in text for secret in secrets):
        return ""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def is_worth_another_try(error: SQLAlchemyError) -> bool:
    """Whether the same transaction may go through if it is made again: another one was in its way."""
    original = getattr(error, "orig", None)
    if isinstance(original, sqlite3.OperationalError):
        return original.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
    return getattr(original, "sqlstate", None) in {_DEADLOCK, _SERIALIZATION_FAILURE}


def _first_line(error: SQLAlchemyError) -> str:
    # Not str(error): SQLAlchemy adds the statement, its parameters and a link.
    original = getattr(error, "orig", None)
    text = str(original if original is not None else (error.args or [type(error).__name__])[0])
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else ""
