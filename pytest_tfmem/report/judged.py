"""What became of each limit of a run: kept, near, waived, over, or not measured and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pytest_tfmem.figures import NotMeasured, each, greatest
from pytest_tfmem.report.waivers import ceiling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.figures import Limit, Measurement, Reading

Standing = Literal["over", "warn", "xfail", "waived", "near", "ok", "not measured"]

STANDINGS: tuple[Standing, ...] = (
    "over",
    "warn",
    "xfail",
    "waived",
    "near",
    "not measured",
    "ok",
)  # as they are listed
MARKUP: dict[Standing, dict[str, bool]] = {
    "over": {"red": True},
    "warn": {"yellow": True},
    "xfail": {"yellow": True},
    "waived": {"yellow": True},
    "near": {"yellow": True},
    "ok": {"green": True},
    "not measured": {"yellow": True},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One limit of one test. `reading` is None, with a `reason`, where the limit could not be judged."""

    nodeid: str
    figure: str
    limit: Limit
    standing: Standing
    reading: Reading | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()

    @property
    def allowed_bytes(self) -> int:
        """What the reading is held against: of what is over, the ceiling that it passed; else the limit itself."""
        return ceiling(self.limit) if self.standing in {"over", "warn", "xfail"} else self.limit.bytes

    @property
    def share(self) -> float:
        """The reading as a share of what is allowed; where nothing is, anything is infinitely much."""
        if self.reading is None or not self.reading.bytes:
            return 0.0
        return self.reading.bytes / self.allowed_bytes if self.allowed_bytes else float("inf")


def judge_limits(measurements: Sequence[Measurement]) -> list[Judged]:
    """Every limit of every test, in the order of the tests."""
    return [_judge(test, figure, limit) for test in measurements for figure, limit in test.limits.items()]


def _judge(test: Measurement, figure: str, limit: Limit) -> Judged:
    reading = test.readings.get(figure)
    verdict = test.verdicts.get(figure)
    judged = Judged(nodeid=test.nodeid, figure=figure, limit=limit, standing="not measured", notes=tuple(test.notes))
    # A limit counts as judged only with both a reading and a verdict: what was not measured is not green.
    most = greatest(reading)
    if most is not None and verdict in {"over", "waived", "near", "ok"}:
        return replace(judged, reading=most, standing=_standing(verdict, limit, test))
    return replace(judged, reason=_reason(test, figure))


def _standing(verdict: Standing, limit: Limit, test: Measurement) -> Standing:
    if verdict != "over":
        return verdict
    if limit.level == "warn":
        return "warn"
    # xfailed, in pytest's terms, is a way of being skipped: what is over was expected, or does not count.
    return "xfail" if test.outcome == "skipped" else "over"


def _reason(test: Measurement, figure: str) -> str:
    unread = [one for one in each(test.readings.get(figure)) if isinstance(one, NotMeasured)]
    if unread:
        return unread[0].not_measured or "no reason given"
    return test.unmeasured or test.died or "no reading"
