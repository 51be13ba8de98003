"""The run document: one run as one JSON object, written whole or not at all, and read with suspicion."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from itertools import compress
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.figures import Measurement, NotMeasured, Reading, Timeline, decode_reading
from pytest_tfmem.history.environment import Environment
from pytest_tfmem.history.origin import find_origin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCHEMA = "tfmem.run/1"


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
    directory: Path, *, started_at: datetime, duration_seconds: float, environ: Mapping[str, str] = os.environ
) -> Run:
    """A new run of the code in `directory`, with an id that no other run has. `started_at` must have a time zone."""
    origin = find_origin(directory, environ)
    return Run(
        id=secrets.token_hex(16),
        started_at=started_at.astimezone(UTC),
        duration_seconds=duration_seconds,
        **msgspec.structs.asdict(origin),
    )


def write_run_document(path: Path, document: RunDocument) -> None:
    """Write the document so that `path`, if it is a file, never holds half of it.

    Text that is no Unicode is written with its code points escaped. Raises OSError, having removed what it made.
    """
    content = _encode(document)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_bytes(content)  # what is /dev/stdout or a pipe is to be written to, not to be replaced by a file
        return
    # In the same directory: only there does os.replace replace at once.
    temporary = path.with_name(f".tfmem-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def read_run_document(path: Path) -> RunDocument:
    """The document in `path`. Raises TfmemError if there is none, or if what is there is not one."""
    where = one_line(str(path))
    try:
        data = msgspec.json.decode(path.read_bytes())
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise _wrong_schema(data, where)
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


def _encode(document: RunDocument) -> bytes:
    tests = [msgspec.structs.replace(test, timeline=_finite_points(test.timeline)) for test in document.tests]
    return msgspec.json.encode(_writable(msgspec.to_builtins(msgspec.structs.replace(document, tests=tests)))) + b"\n"


def _finite_points(timeline: Timeline | None) -> Timeline | None:
    """The timeline without the points and checkpoints whose time JSON cannot hold."""
    if timeline is None:
        return None
    kept = [isfinite(seconds) for seconds in timeline.seconds]
    checkpoints = [checkpoint for checkpoint in timeline.checkpoints if isfinite(checkpoint.seconds)]
    if all(kept):
        return msgspec.structs.replace(timeline, checkpoints=checkpoints)
    return Timeline(
        seconds=list(compress(timeline.seconds, kept)),
        rss_tree_bytes=list(compress(timeline.rss_tree_bytes, kept)),
        gpus=[msgspec.structs.replace(gpu, bytes=list(compress(gpu.bytes, kept))) for gpu in timeline.gpus],
        checkpoints=checkpoints,
    )


def _wrong_schema(data: object, where: str) -> TfmemError:
    if not isinstance(data, dict) or "schema" not in data:
        return TfmemError(f"is not a run document: it has no schema '{SCHEMA}'", where=where)
    return TfmemError(
        one_line(f"is not a run document: its schema is {data['schema']!r}"),
        where=where,
        hint=f"this version of pytest-tfmem reads '{SCHEMA}'",
    )


def _schema_of_reading(kind: type) -> dict[str, Any]:
    if issubclass(Reading, kind):
        one = [{"$ref": "#/$defs/Reading"}, {"$ref": "#/$defs/NotMeasured"}]
        return {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}}]}
    raise NotImplementedError


def _writable(data: Any) -> Any:
    """The data with what JSON cannot hold escaped (lone surrogates) or left out (numbers that are not finite)."""
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, list):
        return [_writable(item) for item in data if _finite(item)]
    if isinstance(data, dict):
        return {_writable(key): _writable(value) for key, value in data.items() if _finite(value)}
    return data


def _finite(value: object) -> bool:
    return not isinstance(value, float) or isfinite(value)
