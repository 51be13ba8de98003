from __future__ import annotations

import csv
import io
import re

from hypothesis import given
from msgspec.structs import replace

from pytest_tfmem.errors import one_line
from pytest_tfmem.exports import table
from pytest_tfmem.exports.names import named
from pytest_tfmem.exports.rows import rows_of
from pytest_tfmem.figures import NotMeasured, Reading
from tests.made import made_run, made_test
from tests.strategies import recorded_runs


def _read(text):
    """The rows as another program's reader has them, with the sign taken away that keeps text from being a formula."""
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert not any(None in row or None in row.values() for row in rows), "a row is longer or shorter than the head"
    return [{name: cell.removeprefix("'") for name, cell in row.items()} for row in rows]


def _written(run):
    return table.written(run, rows_of(run))


def test_a_reading_is_a_row_with_all_that_is_known_of_it():
    reading = Reading(bytes=900, exactness="lower-bound", source="VmHWM", error_bytes=64, device="GPU-1")
    test = replace(made_test("a.py::b", limited=["rss"], rss=reading), verdicts={"rss": "ok"}, allocator="growth")
    (row,) = _read(_written(made_run(1, test, commit="3f2a", branch="main")))
    assert len(row.pop("conditions")) == 12
    assert row == {
        "run": f"{1:032x}",
        "started_at": "2026-03-02T00:00:00+00:00",
        "commit": "3f2a",
        "branch": "main",
        "test": "a.py::b",
        "outcome": "passed",
        "start_method": "spawn",
        "allocator": "growth",
        "figure": "rss",
        "gpu": "",
        "device": "GPU-1",
        "bytes": "900",
        "not_measured": "",
        "exactness": "lower-bound",
        "error_bytes": "64",
        "source": "VmHWM",
        "limit_bytes": str(1 << 40),
        "limit_level": "error",
        "limit_where": "budgets.yaml:3",
        "verdict": "ok",
    }


def test_what_was_not_measured_has_no_bytes_and_a_reason_and_zero_is_a_zero():
    rows = _read(_written(made_run(1, made_test("a", rss=0, gpu=NotMeasured("no GPU"), cpu_tensors=NotMeasured("")))))
    assert [(row["figure"], row["bytes"], row["not_measured"]) for row in rows] == [
        ("rss", "0", ""),
        ("gpu", "", "no GPU"),
        ("cpu_tensors", "", "no reason given"),
    ]


def test_each_gpu_has_a_row_by_its_place():
    rows = _read(_written(made_run(1, made_test("a", gpu=[7, NotMeasured("lost")]))))
    assert [(row["gpu"], row["bytes"], row["not_measured"]) for row in rows] == [("0", "7", ""), ("1", "", "lost")]


def test_a_test_that_did_not_pass_has_its_rows():
    (row,) = _read(_written(made_run(1, made_test("a", outcome="failed", rss=1))))
    assert row["outcome"] == "failed"


def test_lines_end_as_the_rfc_has_it():
    text = _written(made_run(1, made_test("a", rss=1)))
    assert text.count("\r\n") == text.count("\n") == 2


@given(recorded_runs())
def test_any_run_is_read_back_and_no_cell_is_a_formula(run):
    rows = rows_of(run)
    text = table.written(run, rows)
    for row, read in zip(rows, _read(text), strict=True):
        known = row.known
        assert read["test"] == named(row.test.nodeid)
        assert (read["run"], read["branch"]) == (one_line(run.run.id), one_line(run.run.branch or ""))
        assert (read["figure"], read["gpu"]) == (row.figure, "" if row.gpu is None else str(row.gpu))
        assert read["bytes"] == (str(known.bytes) if isinstance(known, Reading) else "")
        assert read["source"] == (one_line(known.source) if isinstance(known, Reading) else "")
        assert bool(read["not_measured"]) == isinstance(known, NotMeasured)
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert [cell for cell in cells if re.match("[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]", cell)] == []
    assert all(cell.isprintable() for cell in cells)
