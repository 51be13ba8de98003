"""Types of columns that take what a run may hold, in every database: hostile text, and moments."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

_MARK = "\u2400"  # the symbol for NUL: it stands in nobody's node ids, and where it does it is escaped itself
_HOSTILE = re.compile(f"[\0\ud800-\udfff{_MARK}]")
_ESCAPED = re.compile(f"{_MARK}([0-9a-f]{{4}})")


def escape(text: str) -> str:
    """The text with what PostgreSQL does not take (NUL, lone surrogates) as a mark and four hexadecimal digits."""
    return _HOSTILE.sub(lambda found: f"{_MARK}{ord(found[0]):04x}", text)


def unescape(text: str) -> str:
    """The text that `escape` was given."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


class AnyText(TypeDecorator[str]):
    """Text with any characters at all."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002  its signature
        return None if value is None else escape(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ARG002  its signature
        return None if value is None else unescape(value)


class Moment(TypeDecorator[dt.datetime]):
    """A moment, in UTC. SQLite keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        moment = value.astimezone(dt.UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any | None, dialect: Dialect) -> dt.datetime | None:
        moment: dt.datetime | None = value
        if moment is None:
            return None
        return moment.replace(tzinfo=dt.UTC) if dialect.name == "sqlite" else moment.astimezone(dt.UTC)
