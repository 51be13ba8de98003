"""What became of each limit of a run, and of it on each GPU: kept, near, waived, over, or not measured and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pytest_tfmem.budgets.verdict import verdict_on
from pytest_tfmem.figures import NotMeasured, Reading, greatest
from pytest_tfmem.report.gpus import names_in, told_apart, why_not
from pytest_tfmem.report.waivers import ceiling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.figures import AnyReading, Limit, Measurement, Verdict

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
    """One limit of one test. `reading` is None, with a `reason`, where the limit could not be judged.

    `device`: the short name of the GPU that this is of, where the limit was held against several.
    """

    nodeid: str
    figure: str
    limit: Limit
    standing: Standing
    reading: Reading | None = None
    reason: str = ""
    device: str = ""
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


def judge_each_gpu(measurements: Sequence[Measurement]) -> list[Judged]:
    """Every limit of every test, in the order of the tests; of a figure that has several GPUs, each GPU by itself."""
    return [row for test in measurements for figure, limit in test.limits.items() for row in _rows(test, figure, limit)]


def _rows(test: Measurement, figure: str, limit: Limit) -> list[Judged]:
    whole = _judge(test, figure, limit)
    ones = told_apart(test.readings.get(figure))
    if len(ones) < 2 or test.verdicts.get(figure) is None:  # noqa: PLR2004  what one GPU has is told by the whole
        return [whole]
    names = names_in(test.readings)
    return [_on_gpu(whole, test, one, names.get(one.device or "", "")) for one in ones]


def _on_gpu(whole: Judged, test: Measurement, one: AnyReading, device: str) -> Judged:
    if isinstance(one, NotMeasured):
        reason = why_not(one, otherwise="")
        return replace(whole, device=device, standing="not measured", reading=None, reason=reason)
    standing = _standing(verdict_on(whole.limit, one), whole.limit, test)
    return replace(whole, device=device, standing=standing, reading=one, reason="")


def _judge(test: Measurement, figure: str, limit: Limit) -> Judged:
    reading = test.readings.get(figure)
    verdict = test.verdicts.get(figure)
    judged = Judged(nodeid=test.nodeid, figure=figure, limit=limit, standing="not measured", notes=tuple(test.notes))
    # A limit counts as judged only with both a reading and a verdict: what was not measured is not green.
    most = greatest(reading)
    if most is not None and verdict in {"over", "waived", "near", "ok"}:
        return replace(judged, reading=most, standing=_standing(verdict, limit, test))
    return replace(judged, reason=_reason(test, figure))


def _standing(verdict: Verdict, limit: Limit, test: Measurement) -> Standing:
    if verdict in {"ok", "near", "waived"}:
        return verdict
    if limit.level == "warn":
        return "warn"
    # xfailed, in pytest's terms, is a way of being skipped: what is over was expected, or does not count.
    return "xfail" if test.outcome == "skipped" else "over"


def _reason(test: Measurement, figure: str) -> str:
    return why_not(test.readings.get(figure), otherwise=test.unmeasured or test.died or "no reading")
