"""What memray wrote down, read in a process of its own: symbols of TensorFlow take long and much memory to look up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from itertools import starmap
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_tfmem.errors import one_line
from pytest_tfmem.explain.fold import MOST_HOLDERS, Piece, fold
from pytest_tfmem.explain.stacks import Frame
from pytest_tfmem.explanations import Holder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from pytest_tfmem.explain.reading import main; main(*sys.argv[2:])"
)
_SECONDS = 300
_NATIVE_SHARE = 0.004  # of the peak: smaller records are told by their Python frames alone
_MOST_NATIVE = 150
_MOST_RECORDS = 2000  # of twenty thousand that a model's training has, they hold 99 parts of 100


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """What was alive at the peak, as memray counts it: bytes that were asked for, resident or not."""

    peak_bytes: int
    holders: list[Holder]
    flame_graph: str = ""


def read(capture: Path, *, root: Path, graphs: Path | None) -> Captured | str:
    """What stands in the file that memray wrote; or why nothing does, a clause.

    A flame graph is written into the folder `graphs`, if there is one.
    """
    if not capture.exists():
        return "memray wrote nothing down"
    command = [sys.executable, "-P", "-c", _BOOTSTRAP, json.dumps(sys.path), str(capture), str(root), str(graphs or "")]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603  our own module
    except subprocess.TimeoutExpired:
        return f"what memray wrote down was not read within {_SECONDS} s"
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return f"what memray wrote down cannot be read: {one_line(said or f'status {done.returncode}', most=200)}"
    try:
        return msgspec.json.decode(done.stdout, type=Captured)
    except msgspec.DecodeError as error:
        return f"what memray wrote down cannot be read: {one_line(str(error), most=200)}"


def main(capture: str, root: str, graphs: str) -> None:
    """Read the capture, and write what `read` returns to standard output."""
    from memray import FileReader  # noqa: PLC0415  an extra

    with FileReader(capture) as reader:
        has_native = reader.metadata.has_native_traces
        records = sorted(reader.get_high_watermark_allocation_records(merge_threads=True), key=lambda one: -one.size)
        peak = sum(record.size for record in records)
        pieces = list(_pieces(records, peak, has_native=has_native))
    root = os.path.join(root, "")
    holders = fold(pieces, root)
    rest = Piece(peak - sum(piece.bytes for piece in pieces), 0, ())  # of the stacks that are not told apart
    graph = _graph([*pieces, rest], graphs, root)
    captured = Captured(peak_bytes=peak, holders=holders[:MOST_HOLDERS], flame_graph=graph)
    sys.stdout.buffer.write(msgspec.json.encode(captured))


def _graph(pieces: list[Piece], graphs: str, root: str) -> str:
    if not graphs:
        return ""
    from pytest_tfmem.explain.flamegraph import write_flame_graph  # noqa: PLC0415  not where none is kept

    return write_flame_graph(graphs, pieces, root)


def _pieces(records: list[Any], peak: int, *, has_native: bool) -> Iterator[Piece]:
    for number, record in enumerate(records[:_MOST_RECORDS]):
        in_full = has_native and number < _MOST_NATIVE and record.size >= _NATIVE_SHARE * peak
        stack = record.hybrid_stack_trace() if in_full else record.stack_trace()
        yield Piece(record.size, record.n_allocations, tuple(starmap(_frame, stack)))


@cache
def _frame(function: str, file: str, line: int) -> Frame:
    """The frame as text that JSON can hold: names of files need not be Unicode."""
    return Frame(_encodable(function), _encodable(file), line)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
