"""The line that closes the summary: how many limits were measured, and what became of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_tfmem.errors import one_line
from pytest_tfmem.report.judged import STANDINGS, judge_limits
from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.report.judged import Judged, Standing

_MOST_REASONS = 3
_LONGEST_REASON = 60
# The order of budgets.verdict.worst: a waiver must not make a figure that is missing look settled.
_WORST_FIRST: tuple[Standing, ...] = ("over", "warn", "xfail", "not measured", "waived", "near", "ok")
_WORDS: dict[Standing, str] = {"warn": "over (warning only)", "xfail": "over (in an xfailed or skipped test)"}


def closing_line(measurements: Sequence[Measurement]) -> str:
    """`measured 14 of 15 limits; 1 over, 1 not measured (no GPU)`: what is not named was kept."""
    judged = judge_limits(measurements)
    unmeasured = [test.unmeasured for test in measurements if test.unmeasured]
    head = _limits(judged) if judged else _tests(len(measurements) - len(unmeasured))
    return "; ".join([head, *_unmeasured(unmeasured, judged)])


def worst_standing(measurements: Sequence[Measurement]) -> Standing | None:
    """The worst that became of any limit; tests that ran unmeasured are no better. None if nothing can be said."""
    found: set[Standing] = {limit.standing for limit in judge_limits(measurements)}
    if any(test.unmeasured for test in measurements):
        found.add("not measured")
    return min(found, key=_WORST_FIRST.index, default=None)


def _limits(judged: Sequence[Judged]) -> str:
    counts = Counter(limit.standing for limit in judged)
    measured = len(judged) - counts["not measured"]
    head = f"measured {measured} of {count_of(len(judged), 'limit')}"
    counted = [_standing(standing, counts[standing], judged) for standing in STANDINGS if standing != "ok"]
    return f"{head}; {', '.join(filter(None, counted)) or 'none over'}"


def _standing(standing: Standing, count: int, judged: Sequence[Judged]) -> str:
    if not count:
        return ""
    text = f"{count} {_WORDS.get(standing, standing)}"
    reasons = [limit.reason for limit in judged if limit.standing == standing and limit.reason]
    return f"{text} ({_reasons(reasons)})" if reasons else text


def _tests(measured: int) -> str:
    return f"measured {count_of(measured, 'test')}, no limits set"


def _unmeasured(reasons: Sequence[str], judged: Sequence[Judged]) -> Iterator[str]:
    if not reasons:
        return
    known = {limit.reason for limit in judged}
    why = "" if known.issuperset(reasons) else f" ({_reasons(reasons)})"
    yield f"{count_of(len(reasons), 'test')} ran unmeasured{why}"


def _reasons(reasons: Iterable[str]) -> str:
    counts = Counter(reasons).most_common()
    shown = [(one_line(reason, most=_LONGEST_REASON), count) for reason, count in counts[:_MOST_REASONS]]
    if len(counts) == 1:
        return shown[0][0]
    rest = sum(count for _, count in counts[_MOST_REASONS:])
    others = [f"{rest} for other reasons"] if rest else []
    return ", ".join([*(f"{count} {reason}" for reason, count in shown), *others])
