"""What this session's readings are held against, what has changed, and which tests fail by that."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.figures import GPU_FIGURES, Reading, Regression, each
from pytest_tfmem.gate.compare import changes
from pytest_tfmem.gate.decide import confirmed
from pytest_tfmem.gate.tolerance import is_repeatable, tolerance_for
from pytest_tfmem.history.baseline import load_baseline
from pytest_tfmem.history.recorded import RecordedRun
from pytest_tfmem.history.series import History, counts, history_of
from pytest_tfmem.history.trunk import trunk_of
from pytest_tfmem.report.regressions import HeldAgainst
from pytest_tfmem.settings.options import OFF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_tfmem.budgets.model import Tolerance
    from pytest_tfmem.figures import FigureReading, Measurement
    from pytest_tfmem.gate.changes import Change
    from pytest_tfmem.history.baseline import Earlier
    from pytest_tfmem.history.recorded import Header
    from pytest_tfmem.settings import Settings

NOT_HELD = "not held against earlier runs"
_Place = tuple[str, str, int]


class Judgement(msgspec.Struct, frozen=True):
    """What a test is to fail for, and what else is to be told of it, each a sentence without a full stop."""

    regressions: list[Regression] = []
    notices: list[str] = []


class Comparison:
    """Holds measurements against earlier runs, which are read once, when one is needed.

    `header` has this session's run and environment; `tolerance` is that of the budgets file, if it has one.
    """

    def __init__(self, settings: Settings, *, root: Path, header: Header, tolerance: Tolerance | None) -> None:
        self._named = bool(settings.baseline)
        self._locations = () if OFF in settings.baseline else settings.baseline or _usual(settings)
        self._root = root
        self._header = header
        self._tolerance = tolerance
        self._earlier: Earlier | None = None
        self._by_test: dict[str, History] | None = None

    @property
    def notices(self) -> list[str]:
        """What could not be read, each a line for the user."""
        if self._earlier is None:
            return []
        unread = [f"{NOT_HELD}: {text}" for text in self._earlier.unread]
        empty = [f"--tfmem-baseline: there is no run in {name}" for name in self._earlier.empty if self._named]
        return [*unread, *empty]

    def held_against(self, measurements: Sequence[Measurement]) -> HeldAgainst | None:
        """What became of every series of these tests; None where they are not to be held against anything."""
        nodeids = {test.nodeid for test in measurements if counts(_comparable(test))}
        if not self._locations:
            return None
        held = held_against(measurements, self._header, self._before(nodeids=nodeids), tolerance=self._tolerance)
        return dataclasses.replace(held, base=self._base(held.changes))

    def judge(self, test: Measurement, again: Callable[[], Mapping[str, FigureReading] | str]) -> Judgement:
        """What the test is to fail for: what it asked of an allocator, if that has grown and does so again.

        `again` runs it once more, and gives its readings, or why there are none, as a clause.
        """
        if not any(_repeatable(figure, one) for figure, ones in test.readings.items() for one in each(ones)):
            return Judgement()
        grown = [
            change
            for change in self._changes([test], self._before_of(test.nodeid))
            if change.standing == "suspect" and is_repeatable(change.key.figure, change.exactness)
        ]
        if not grown:
            return Judgement(notices=self.notices)
        readings = again()
        if isinstance(readings, str):
            figures = ", ".join(dict.fromkeys(change.key.figure for change in grown))
            return Judgement(
                notices=[*self.notices, f"{test.nodeid} has grown in {figures}, which is not confirmed: {readings}"]
            )
        found = [self._regression(change, readings) for change in grown]
        return Judgement([one for one in found if one], self.notices)

    def _regression(self, change: Change, readings: Mapping[str, FigureReading]) -> Regression | None:
        key, baseline = change.key, change.baseline
        ones = [one for one in each(readings.get(key.figure)) if isinstance(one, Reading)]
        place = key.gpu if key.figure in GPU_FIGURES else 0
        if baseline is None or change.before_bytes is None or place >= len(ones):
            return None
        again = ones[place]
        tolerance = tolerance_for(key.figure, change.exactness, of_file=self._tolerance)
        if again.exactness != "exact" or not confirmed(baseline.values, change.now_bytes, again.bytes, tolerance):
            return None
        return Regression(
            figure=key.figure,
            gpu=key.gpu,
            before_bytes=change.before_bytes,
            now_bytes=change.now_bytes,
            again_bytes=again.bytes,
            runs=len(baseline.values),
            since=baseline.since,
            since_commit=baseline.since_commit,
        )

    def _changes(self, tests: Sequence[Measurement], before: History) -> list[Change]:
        return _changes(tests, self._header, before, self._tolerance)

    def _before(self, nodeids: set[str] | None = None) -> Earlier:
        if self._earlier is None:
            self._earlier = load_baseline(
                self._locations, self._header.run, root=self._root, named=self._named, nodeids=nodeids
            )
        return self._earlier

    def _before_of(self, nodeid: str) -> History:
        if self._by_test is None:
            whole = self._before().history
            self._by_test = {}
            for key, points in whole.points.items():
                of_test = self._by_test.setdefault(key.nodeid, History(points={}, conditions=whole.conditions))
                of_test.points[key] = points
        return self._by_test.get(nodeid, History())

    def _base(self, found: Iterable[Change]) -> str:
        suspects = any(change.standing == "suspect" for change in found)
        return trunk_of(self._root, os.environ) or "" if suspects else ""


def held_against(
    measurements: Sequence[Measurement], header: Header, before: Earlier, *, tolerance: Tolerance | None
) -> HeldAgainst:
    """What became of every series of these tests of the run in `header`. Knows no base: that is a matter of git's."""
    tests = [_comparable(test) for test in measurements if counts(_comparable(test))]
    regressed = {
        (test.nodeid, one.figure, one.gpu)
        for test in measurements
        for one in test.regressions
        if test.outcome == "failed"
    }
    found = [_as_regressed(change, regressed) for change in _changes(tests, header, before.history, tolerance)]
    limited = _limited(tests)
    return HeldAgainst(
        changes=found,
        runs=before.runs,
        uncommitted=bool(header.run.dirty),
        unread=bool(before.unread),
        trims=any(change.standing == "improved" and _of(change) in limited for change in found),
    )


def _changes(
    tests: Sequence[Measurement], header: Header, before: History, tolerance: Tolerance | None
) -> list[Change]:
    now = history_of([RecordedRun(run=header.run, environment=header.environment, tests=list(tests))])
    limited = _limited(tests)
    found = changes(now, before, tolerance=tolerance, limited=lambda key: (key.nodeid, key.figure) in limited)
    return _each_count_once(found)


def _usual(settings: Settings) -> tuple[str, ...]:
    return () if settings.history is None else (settings.history,)


def _each_count_once(changes: Sequence[Change]) -> list[Change]:
    """Without `gpu_tensors` where it is the same count as `gpu`: of an allocator that rounds nothing up."""
    in_use = {_told(change) for change in changes if change.key.figure == "gpu"}
    return [change for change in changes if change.key.figure != "gpu_tensors" or _told(change) not in in_use]


def _told(change: Change) -> tuple[str, int, int, int | None]:
    return change.key.nodeid, change.key.gpu, change.now_bytes, change.before_bytes


def _comparable(test: Measurement) -> Measurement:
    """The test as it would have ended, had it not failed for what it used: its readings say what its code needs."""
    return msgspec.structs.replace(test, outcome="passed") if test.regressions or test.breached else test


def _limited(tests: Iterable[Measurement]) -> set[tuple[str, str]]:
    return {(test.nodeid, figure) for test in tests for figure in test.limits}


def _of(change: Change) -> tuple[str, str]:
    return change.key.nodeid, change.key.figure


def _as_regressed(change: Change, regressed: set[_Place]) -> Change:
    place = change.key.nodeid, change.key.figure, change.key.gpu
    return msgspec.structs.replace(change, standing="regressed") if place in regressed else change


def _repeatable(figure: str, reading: object) -> bool:
    return isinstance(reading, Reading) and is_repeatable(figure, reading.exactness)
