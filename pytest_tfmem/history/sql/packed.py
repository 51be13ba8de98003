"""A run in the form in which a database holds it whole: JSON, in ASCII alone, and compressed."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.figures import Measurement, decode_reading
from pytest_tfmem.history.recorded import Footer, Header, RecordedRun
from pytest_tfmem.history.rundocument import SCHEMA, wrong_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TESTS_OF_A_PART = 200  # some hundred kilobytes


def header_text(run: RecordedRun) -> str:
    return _text(Header(run=run.run, environment=run.environment))


def footer_text(run: RecordedRun) -> str | None:
    return None if run.footer is None else _text(run.footer)


def parts(run: RecordedRun) -> Iterator[tuple[int, bytes]]:
    """The run's tests in parts, in their order: how many, and these compressed."""
    for start in range(0, len(run.tests), TESTS_OF_A_PART):
        some = run.tests[start : start + TESTS_OF_A_PART]
        yield len(some), zlib.compress(_text(some).encode())


def unpacked(header: str, footer: str | None, bodies: Iterable[bytes], *, where: str) -> RecordedRun:
    """The run as it was recorded. Raises TfmemError for what this version of pytest-tfmem cannot read."""
    try:
        data = json.loads(header)
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise wrong_schema(data, where, kind="run")
        of_run = msgspec.convert(data, Header)
        tests = [test for body in bodies for test in json.loads(zlib.decompress(body))]
        return RecordedRun(
            run=of_run.run,
            environment=of_run.environment,
            tests=msgspec.convert(tests, list[Measurement], dec_hook=decode_reading),
            footer=None if footer is None else msgspec.convert(json.loads(footer), Footer),
        )
    except (msgspec.ValidationError, ValueError, TypeError, zlib.error, RecursionError) as fault:
        raise TfmemError(one_line(f"holds a run that cannot be read: {fault}"), where=where) from fault


def _text(value: Any) -> str:
    # Not msgspec's encoder, which refuses lone surrogates; here each stands as its escape, and comes back as it was.
    return json.dumps(msgspec.to_builtins(value), separators=(",", ":"))
