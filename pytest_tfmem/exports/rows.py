"""The readings of a run, one by one, and which of them are for a tool that follows them over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tfmem.figures import FIGURES, GPU_FIGURES, NotMeasured, Reading, each
from pytest_tfmem.gate.tolerance import is_gated
from pytest_tfmem.history.series import counts
from pytest_tfmem.report.gpus import why_not

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pytest_tfmem.figures import AnyReading, Limit, Measurement
    from pytest_tfmem.history.recorded import RecordedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is known of one figure of one test, of a figure per GPU on one GPU.

    `gpu`: its place among the visible GPUs, None for what is not per GPU. `several`: there are others beside it.
    """

    test: Measurement
    figure: str
    known: AnyReading
    gpu: int | None = None
    several: bool = False

    @property
    def label(self) -> str:
        """`rss_anon`; of a figure that has several GPUs `gpu.0`, `gpu.1`, as in JUnit's properties."""
        return f"{self.figure}.{self.gpu}" if self.several else self.figure

    @property
    def key(self) -> tuple[str, str, int | None]:
        return self.test.nodeid, self.figure, self.gpu

    @property
    def limit(self) -> Limit | None:
        return self.test.limits.get(self.figure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value(Row):
    """A row that has a reading."""

    known: Reading


def rows_of(run: RecordedRun, figures: Collection[str] = ()) -> list[Row]:
    """All that is known of the tests of this run: every reading, and why there is none. `figures`: of these alone.

    A limit that was not measured has a row though nothing at all is known of its figure.
    """
    rows = [row for test in _tests(run) for figure in _figures(test) for row in _rows(test, figure)]
    return [row for row in rows if not figures or row.figure in figures]


def values_of(rows: Sequence[Row]) -> list[Value]:
    """What was measured of tests whose readings say what their code needs: not of one that was cut short."""
    return [_value(row, row.known) for row in rows if isinstance(row.known, Reading) and counts(row.test)]


def gated(values: Sequence[Value]) -> list[Value]:
    """Those that the gate goes by: of anonymous memory, of what was asked of an allocator, of whatever has a limit."""
    return [one for one in values if is_gated(one.figure, one.known.exactness, limited=one.limit is not None)]


def left_out(run: RecordedRun, rows: Sequence[Row], written: Sequence[Row]) -> list[str]:
    """What the reader of the written rows does not learn from them, each a sentence without a full stop."""
    tests = _tests(run)
    there = {row.test.nodeid for row in written}
    known = {row.key for row in written}
    absent = [test for test in tests if test.nodeid not in there]
    unread = {
        (row.test.nodeid, row.figure)
        for row in rows
        if row.limit and isinstance(row.known, NotMeasured) and row.test.nodeid in there and row.key not in known
    }
    said = []
    if absent:
        of = "1 test" if len(tests) == 1 else f"{len(tests)} tests"
        said.append(f"{len(absent)} of {of} {'is' if len(absent) == 1 else 'are'} left out: {_why(absent)}")
    if unread:
        limits = (
            "1 limit was not measured, and is"
            if len(unread) == 1
            else f"{len(unread)} limits were not measured, and are"
        )
        said.append(f"{limits} left out")
    return said


def _tests(run: RecordedRun) -> list[Measurement]:
    """Each test once: a file that somebody has put together may have one again."""
    return list({test.nodeid: test for test in run.tests}.values())


def _figures(test: Measurement) -> list[str]:
    """Those that have a reading or a limit, in the order of the table of figures. Others are of no pytest-tfmem."""
    return [figure for figure in FIGURES if figure in test.readings or figure in test.limits]


def _rows(test: Measurement, figure: str) -> Iterator[Row]:
    ones = each(test.readings.get(figure))
    several = len(ones) > 1
    for place, one in enumerate(ones):
        # What was not measured for want of any GPU is of none.
        on_gpu = several or (figure in GPU_FIGURES and isinstance(one, Reading))
        yield Row(test=test, figure=figure, known=one, gpu=place if on_gpu else None, several=several)
    if not ones:
        why = why_not(test.readings.get(figure), otherwise=test.unmeasured or test.died or "no reading")
        yield Row(test=test, figure=figure, known=NotMeasured(why))


def _value(row: Row, reading: Reading) -> Value:
    return Value(test=row.test, figure=row.figure, known=reading, gpu=row.gpu, several=row.several)


def _why(tests: Sequence[Measurement]) -> str:
    """How many did not pass, and of how many nothing that was asked for was measured."""
    cut = sum(not counts(test) for test in tests)
    rest = len(tests) - cut
    parts = [f"{cut} did not pass or ran unmeasured"] if cut else []
    return ", ".join([*parts, *([f"{rest} {'has' if rest == 1 else 'have'} no reading for it"] if rest else [])])
