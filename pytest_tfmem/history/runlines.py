"""The lines of a run file, read with suspicion: it may be cut off anywhere, of another version, or no such file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.figures import Measurement, decode_reading
from pytest_tfmem.history.recorded import Footer, Header, RecordedRun
from pytest_tfmem.history.rundocument import SCHEMA, read_run_document, wrong_schema
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path
    from typing import BinaryIO

_Test = TypeVar("_Test")

_HEADER_BEGINS = b'{"schema":"tfmem.run/'
_FOOTER = "tfmem.end/1"
_SHORT = 16
_TEST_BEGINS = b'{"nodeid"'  # as every version of ours has written it; any other order is read, too
_LONGEST_LINE = 1 << 30  # the run document of a large suite is one line


class _Line(msgspec.Struct):
    """What a line is, by the keys that it has."""

    schema: Any = None
    footer: Any = None
    tests: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Decoding(Generic[_Test]):
    """How tests are read: into which struct, and what is made of it; what is made None of is left out."""

    def __init__(self, kind: type[_Test], made: Callable[[_Test], Measurement | None]) -> None:
        self.made = made
        self.one = msgspec.json.Decoder(kind, dec_hook=decode_reading)
        self.several = msgspec.json.Decoder(list[kind], dec_hook=decode_reading)  # type: ignore[valid-type]


WHOLE = Decoding(Measurement, lambda measurement: measurement)


def read_runs(path: Path) -> list[RecordedRun]:
    """The runs in a file, as far as it goes: what is cut off at its end is left out, and its footer is None.

    Takes run documents (`--tfmem-json`) too. Raises TfmemError for what is neither.
    """
    return list(runs_of(path, WHOLE))


def runs_of(path: Path, decoding: Decoding[Any], *, ids: Collection[str] | None = None) -> Iterator[RecordedRun]:
    """The runs in a file, read as `decoding` has it: those with these ids, if they are given."""
    where = one_line(str(path))
    try:
        with path.open("rb") as file:
            if re.fullmatch(rb"\{\s*\n", file.readline(_SHORT)):  # a document that somebody has laid out for reading
                runs = iter([_of_document(path)])
            else:
                file.seek(0)
                runs = _runs(_numbered(file, where), where, decoding, ids)
            yield from (run for run in runs if ids is None or run.run.id in ids)
    except OSError as fault:
        raise TfmemError(fault.strerror or "cannot be read", where=where) from fault


def _of_document(path: Path) -> RecordedRun:
    document = read_run_document(path)
    return _ended(document, document.tests)


def _ended(header: Any, tests: list[Measurement]) -> RecordedRun:
    """A run document's run: it came to its end, because it is written there."""
    footer = Footer(duration_seconds=header.run.duration_seconds or 0.0, tests=len(tests))
    return RecordedRun(run=header.run, environment=header.environment, tests=tests, footer=footer)


class _Reader:
    """Takes lines one by one, and gives out runs as they end."""

    def __init__(self, decoding: Decoding[Any], ids: Collection[str] | None) -> None:
        self._decoding = decoding
        self._ids = ids
        self._header: Header | None = None
        self._tests: dict[str, Measurement] = {}

    def take(self, line: bytes) -> list[RecordedRun]:
        """The runs that end with this line. Raises ValueError or RecursionError for a line that is none of ours."""
        if line.startswith(_TEST_BEGINS):
            return self._test(line)
        what = msgspec.json.decode(line, type=_Line)
        if what.schema is not None:
            return [*self.rest(), *self._begin(line, what)]
        if what.footer is not None and self._header is not None:
            return self.rest(_decoded_footer(line, what.footer))
        return self._test(line)

    def rest(self, footer: Footer | None = None) -> list[RecordedRun]:
        """The run that is open: with a footer, it ends with that."""
        header, self._header = self._header, None
        tests, self._tests = list(self._tests.values()), {}
        if header is None:
            return []
        return [RecordedRun(run=header.run, environment=header.environment, tests=tests, footer=footer)]

    def _begin(self, line: bytes, what: _Line) -> list[RecordedRun]:
        if what.schema != SCHEMA:
            raise wrong_schema(msgspec.structs.asdict(what), "", kind="run file")
        header = msgspec.json.decode(line, type=Header)
        if isinstance(what.tests, msgspec.Raw):
            several = map(self._decoding.made, self._decoding.several.decode(what.tests))
            return [_ended(header, [test for test in several if test is not None])]
        self._header = header
        return []

    def _test(self, line: bytes) -> list[RecordedRun]:
        if self._header is None:
            raise TfmemError(f'is not a run file: no line \'{{"schema": "{SCHEMA}", ...\' stands above')
        if self._ids is None or self._header.run.id in self._ids:
            test = self._decoding.made(self._decoding.one.decode(line))
            if test is not None:
                self._tests.pop(test.nodeid, None)  # the last attempt counts, and stands where it ended
                self._tests[test.nodeid] = test
        return []


def _runs(
    lines: Iterator[tuple[int, bytes]], where: str, decoding: Decoding[Any], ids: Collection[str] | None
) -> Iterator[RecordedRun]:
    reader = _Reader(decoding, ids)
    for number, line in lines:
        try:
            ended = reader.take(line)
        except TfmemError as fault:
            raise TfmemError(fault.what, where=f"{where}:{number}", hint=fault.hint) from None
        except msgspec.ValidationError as fault:
            raise TfmemError(one_line(f"is not a run file: {fault}"), where=f"{where}:{number}") from fault
        except (ValueError, RecursionError) as fault:
            if _is_cut(line, number):
                break
            raise TfmemError(one_line(f"is not valid JSON: {fault}"), where=f"{where}:{number}") from fault
        yield from ended
    yield from reader.rest()


def _is_cut(line: bytes, number: int) -> bool:
    """Whether the file ends in the middle of this line, which is none as it is: a file may be cut off anywhere."""
    begins_well = number > 1 or line[: len(_HEADER_BEGINS)] == _HEADER_BEGINS[: len(line)]
    return begins_well and not line.endswith(b"\n")


def _decoded_footer(line: bytes, found: object) -> Footer:
    if isinstance(found, str) and found != _FOOTER and found.startswith(_FOOTER.partition("/")[0]):
        what = f"was written by another version of pytest-tfmem (it ends in a '{one_line(found, most=40)}')"
        raise TfmemError(what, hint="upgrade pytest-tfmem to read it")
    return msgspec.json.decode(line, type=Footer)


def _numbered(file: BinaryIO, where: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers, without those that are empty."""
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise TfmemError(
                f"is not a run file: this line is longer than {format_size(_LONGEST_LINE)}", where=f"{where}:{number}"
            )
        if not line.isspace():
            yield number, line
