"""The URL of a database: read once, and shown without what is secret in it. Needs no library."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, unquote

from pytest_tfmem.errors import TfmemError, one_line

if TYPE_CHECKING:
    from pathlib import Path

_POSTGRESQL = ("postgresql", "postgresql+psycopg", "postgres")
_SQLITE = ("sqlite", "sqlite+pysqlite")
# A character that has a meaning in a URL stands percent-encoded in a password. Where it does not, it could not be told
# for certain what is the password, and hence what may be shown.
_SERVER = re.compile(
    r"(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^:@/?#]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:@/?#\[\]]*)(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/(?P<database>[^:@/?#]*))?(?:\?(?P<query>[^#]*))?"
)
_SHOWN_OPTIONS = ("host", "port", "dbname", "service")
_SECRET_OPTIONS = ("password", "sslpassword")
_HINT = (
    "write sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, with %40, %3A, %2F, %3F, %23 for"
    " @ : / ? # in a password"
)


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a database is. `shown` names it without user and password; `secrets` are what no message may hold."""

    kind: Literal["sqlite", "postgresql"]
    shown: str
    file: Path | None = None
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    host: str | None = None
    port: int | None = None
    database: str | None = None
    options: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def secrets(self) -> list[str]:
        said = [self.password, os.environ.get("PGPASSWORD"), *(self.options.get(name) for name in _SECRET_OPTIONS)]
        return [secret for secret in said if secret]


def read_url(url: str, *, root: Path) -> Address:
    """Where the URL leads, the file of SQLite relative to `root`. Raises TfmemError, which names no password."""
    scheme, _, rest = url.partition("://")
    if scheme in _SQLITE:
        return _sqlite(rest, root)
    if scheme in _POSTGRESQL:
        return _postgresql(rest)
    # What stands before "://" may be anything, and is shown only if it can be nothing but a scheme.
    shown = scheme if re.fullmatch(r"[a-z0-9+]{1,30}", scheme) else "URL"
    raise TfmemError("no database that runs are kept in", where=f"{shown}://...", hint=_HINT)


def _sqlite(rest: str, root: Path) -> Address:
    host, slash, path = rest.partition("/")
    if host or not slash or path in {"", ":memory:"}:
        raise TfmemError("names no file", where="sqlite://...", hint=_HINT)
    return Address(kind="sqlite", shown=one_line(f"sqlite:///{path}"), file=root / path)


def _postgresql(rest: str) -> Address:
    match = _SERVER.fullmatch(rest)
    options = _options(match["query"] or "") if match else None
    if match is None or options is None:
        raise TfmemError("is not the URL of a database", where="postgresql://...", hint=_HINT)
    user, password, database = (
        unquote(match[name]) if match[name] else None for name in ("user", "password", "database")
    )
    host = match["host"].strip("[]") or None
    place = match["host"] + (f":{match['port']}" if match["port"] else "")
    shown_options = "&".join(f"{name}={options[name]}" for name in _SHOWN_OPTIONS if name in options)
    return Address(
        kind="postgresql",
        shown=one_line(f"postgresql://{place}/{database or ''}" + (f"?{shown_options}" if shown_options else "")),
        user=user,
        password=password,
        host=unquote(host) if host else None,
        port=int(match["port"]) if match["port"] else None,
        database=database,
        options=options,
    )


def _options(query: str) -> dict[str, str] | None:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        return None
