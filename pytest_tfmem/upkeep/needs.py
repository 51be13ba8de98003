"""What a test has needed of one figure, by its series, and the limit that is proposed for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.figures import GPU_FIGURES, Reading, each
from pytest_tfmem.gate.noise import proposed_limit
from pytest_tfmem.gate.steps import steps
from pytest_tfmem.gate.tolerance import floor_bytes, tolerance_for
from pytest_tfmem.history.conditions import conditions, fingerprint
from pytest_tfmem.history.series import SeriesKey, counts
from pytest_tfmem.units import parse_size, readable_ceiling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.budgets.model import Tolerance
    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.history.environment import Environment
    from pytest_tfmem.history.series import History

LAST = 20  # sessions of a series that a limit is proposed by: more than these are of code that is long gone


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What one test needs of one figure: of a figure per GPU, on that GPU where it is most.

    `size` is the limit proposed, as it would be written. `sessions`: how many it is proposed by, this run's included.
    `floor_bytes`: by how much a limit has to differ for that to be of interest. `sampled`: the need may be higher.
    `elsewhere_bytes`: the most that it used lately under other conditions, such as on another machine.
    """

    nodeid: str
    figure: str
    size: str
    sessions: int
    floor_bytes: int
    sampled: bool = False
    elsewhere_bytes: int = 0

    @property
    def limit_bytes(self) -> int:
        return parse_size(self.size)


class Needs:
    """Tells what tests of this run need, by what they used in it and in the runs before."""

    def __init__(self, environment: Environment, before: History, tolerance: Tolerance | None) -> None:
        self._environment = environment
        self._before = before
        self._tolerance = tolerance
        self._series: dict[tuple[str, str], list[SeriesKey]] = {}
        for key in before.points:
            self._series.setdefault((key.nodeid, key.figure), []).append(key)
        self._lately = _latest_runs(before)

    def of(self, measurement: Measurement, figure: str) -> Need | None:
        """None where this run does not tell: the figure was not measured, or the test failed not for its limits."""
        readings = measurement.readings.get(figure)
        ones = [one for one in each(readings) if isinstance(one, Reading)]
        if not counts(measurement) or not ones or len(ones) < len(each(readings)):
            return None
        found = list(self._of_each(measurement, figure, ones))
        most = max(found, key=lambda need: need.limit_bytes)
        return msgspec.structs.replace(
            most,
            sessions=min(need.sessions for need in found),
            sampled=any(one.exactness == "sampled" for one in ones),
            elsewhere_bytes=self._elsewhere(measurement, figure),
        )

    def _of_each(self, measurement: Measurement, figure: str, ones: Sequence[Reading]) -> Iterator[Need]:
        name = self._conditions(measurement)
        for place, one in enumerate(ones):
            gpu = place if figure in GPU_FIGURES else 0
            key = SeriesKey(nodeid=measurement.nodeid, figure=figure, gpu=gpu, conditions=name)
            values = last_level([*(point.bytes for point in self._before.points.get(key, [])), one.bytes])
            tolerance = tolerance_for(figure, one.exactness, of_file=self._tolerance)
            limit = proposed_limit(values, tolerance)
            yield Need(
                nodeid=measurement.nodeid,
                figure=figure,
                size=readable_ceiling(limit),
                sessions=len(values),
                floor_bytes=floor_bytes(tolerance, limit),
            )

    def _elsewhere(self, measurement: Measurement, figure: str) -> int:
        here = self._conditions(measurement)
        points = [
            point
            for key in self._series.get((measurement.nodeid, figure), ())
            if key.conditions != here
            for point in self._before.points[key]
        ]
        return max((point.bytes for point in points if point.run_id in self._lately), default=0)

    def _conditions(self, measurement: Measurement) -> str:
        return fingerprint(conditions(self._environment, measurement))


def _latest_runs(history: History) -> frozenset[str]:
    runs = {(point.started_at, point.run_id) for points in history.points.values() for point in points}
    return frozenset(run_id for _, run_id in sorted(runs)[-LAST:])


def last_level(values: Sequence[int]) -> list[int]:
    """The last of the values, since the series' last step."""
    recent = list(values[-LAST:])
    return recent[[0, *steps(recent)][-1] :]
