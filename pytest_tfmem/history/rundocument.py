"""The run document: one run as one JSON object, written whole or not at all, and read with suspicion."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.figures import Measurement, NotMeasured, Reading, decode_reading
from pytest_tfmem.history.encoding import encoded, finite, write_whole
from pytest_tfmem.history.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tfmem.history.origin import Origin

SCHEMA = "tfmem.run/1"
_VERSION = 1
_VERSIONED = re.compile(r"tfmem\.run/([0-9]{1,9})")


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a suite a session ran: number `index` of `count`, counted from 1."""

    index: Annotated[int, msgspec.Meta(ge=1)]
    count: Annotated[int, msgspec.Meta(ge=1)]


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """The tests that a session was to run, measured or not: how many, and the SHA-256 of their sorted ids."""

    count: int
    sha256: str


class Run(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pytest session. `started_at` is in UTC; what could not be told of its origin is absent."""

    id: str
    started_at: Annotated[datetime, msgspec.Meta(tz=True)]
    duration_seconds: float | None = None
    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    ci: str | None = None
    ci_link: str | None = None
    shard: Shard | None = None
    collected: Collected | None = None


class RunDocument(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """A run, the environment that its readings depend on, and its tests in their order."""

    run: Run
    environment: Environment
    tests: list[Measurement]


def describe_run(
    origin: Origin,
    *,
    run_id: str,
    started_at: datetime,
    duration_seconds: float | None = None,
    shard: Shard | None = None,
    collected: Collected | None = None,
) -> Run:
    """The run of the code from `origin`. `run_id` is one that no other run has; `started_at` must have a time zone."""
    return Run(
        id=run_id,
        started_at=started_at.astimezone(UTC),
        duration_seconds=duration_seconds,
        shard=shard,
        collected=collected,
        **msgspec.structs.asdict(origin),
    )


def write_run_document(path: Path, document: RunDocument) -> None:
    """Write the document so that `path`, if it is a file, never holds half of it.

    Text that is no Unicode is written with its code points escaped. Raises OSError, having removed what it made.
    """
    write_whole(path, encoded(msgspec.structs.replace(document, tests=[finite(test) for test in document.tests])))


def read_run_document(path: Path) -> RunDocument:
    """The document in `path`. Raises TfmemError if there is none, or if what is there is not one."""
    where = one_line(str(path))
    try:
        data = msgspec.json.decode(path.read_bytes())
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise wrong_schema(data, where, kind="run document")
        return msgspec.convert(data, RunDocument, dec_hook=decode_reading)
    except OSError as fault:
        raise TfmemError(fault.strerror or "cannot be read", where=where) from fault
    except msgspec.ValidationError as fault:
        raise TfmemError(one_line(f"is not a run document: {fault}"), where=where) from fault
    except (ValueError, RecursionError) as fault:
        raise TfmemError(one_line(f"is not valid JSON: {fault}"), where=where) from fault


def run_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the run document."""
    types = (RunDocument, Reading, NotMeasured)
    (document, *_), definitions = msgspec.json.schema_components(
        types, schema_hook=_schema_of_reading, ref_template="#/$defs/{name}"
    )
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "title": SCHEMA, **document, "$defs": definitions}


def wrong_schema(data: object, where: str, *, kind: str) -> TfmemError:
    """The fault of what should be a `kind`, such as "run document", and has another schema or none."""
    found = data.get("schema") if isinstance(data, dict) else None
    match = _VERSIONED.fullmatch(found) if isinstance(found, str) else None
    if match is None:
        has = "it has no schema" if found is None else f"its schema is {found!r}, not"
        return TfmemError(one_line(f"is not a {kind}: {has} '{SCHEMA}'"), where=where)
    if int(match[1]) > _VERSION:
        what = f"was written by a newer pytest-tfmem (its schema is '{found}')"
        return TfmemError(what, where=where, hint="upgrade pytest-tfmem to read it")
    what = f"was written by a pytest-tfmem that is too old (its schema is '{found}')"
    return TfmemError(what, where=where, hint=f"this one reads '{SCHEMA}'")


def _schema_of_reading(kind: type) -> dict[str, Any]:
    if issubclass(Reading, kind):
        one = [{"$ref": "#/$defs/Reading"}, {"$ref": "#/$defs/NotMeasured"}]
        return {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}}]}
    raise NotImplementedError  # by which a schema_hook tells msgspec of a type that is not its own
