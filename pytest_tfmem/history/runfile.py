"""Run files: one run as JSON Lines, written as its tests end, so that a session that is killed leaves a readable one.

The first line is the header: the schema, the run and its environment. Then a line for each test, in the words of the
run document; a test that was run again has several. The last is the footer. A file may hold several runs one after the
other, as `tfmem combine` writes them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.figures import Measurement, decode_reading
from pytest_tfmem.history.environment import Environment
from pytest_tfmem.history.recorded import Footer, RecordedRun
from pytest_tfmem.history.rundocument import SCHEMA, Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


class Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """The first line of a run."""

    run: Run
    environment: Environment


def read_runs(path: Path) -> list[RecordedRun]:
    """The runs in a file, as far as it goes: what is cut off at its end is left out, and its footer is None.

    Takes run documents (`--tfmem-json`) too. Raises TfmemError for what is neither.
    """
    where = one_line(str(path))
    try:
        return list(_runs(path.read_bytes().splitlines(), where))
    except OSError as fault:
        raise TfmemError(fault.strerror or "cannot be read", where=where) from fault


def _runs(lines: Iterable[bytes], where: str) -> Iterator[RecordedRun]:
    header: Header | None = None
    tests: dict[str, Measurement] = {}
    for number, line in enumerate(lines, 1):
        try:
            data = json.loads(line)
        except ValueError:
            break
        if "schema" in data and "tests" in data:
            run = msgspec.convert(data, Header)
            measured = msgspec.convert(data["tests"], list[Measurement], dec_hook=decode_reading)
            yield RecordedRun(run=run.run, environment=run.environment, tests=measured)
        elif "schema" in data:
            if header:
                yield RecordedRun(run=header.run, environment=header.environment, tests=list(tests.values()))
            header, tests = msgspec.convert(data, Header), {}
        elif header is None:
            raise TfmemError("is not a run file", where=f"{where}:{number}")
        elif "footer" in data:
            footer = msgspec.convert(data, Footer)
            yield RecordedRun(run=header.run, environment=header.environment, tests=list(tests.values()), footer=footer)
            header = None
        else:
            test = msgspec.convert(data, Measurement, dec_hook=decode_reading)
            tests.pop(test.nodeid, None)
            tests[test.nodeid] = test
    if header:
        yield RecordedRun(run=header.run, environment=header.environment, tests=list(tests.values()))
