"""The verdict on one figure of one test, from what was measured of it. Values in, a verdict out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from pytest_tfmem.budgets.verdict import verdict_on
from pytest_tfmem.figures import Exactness, Limit, Reading
from pytest_tfmem.gate.changes import Change
from pytest_tfmem.gate.decide import regressed
from pytest_tfmem.gate.result import GateVerdict, Weight
from pytest_tfmem.gate.tolerance import floor_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.budgets.model import Tolerance

Growth = Literal["regressed", "suspect", "undecided", "incomparable", "improved", "new", "steady"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one figure of one test.

    `now_bytes`: the head's own run, None with a `reason`. `base` and `head`: values of the attempts; `needed` of each
    were to be had, 0 where the series was not chosen for the second stage. `has_base`: the base could be run, and has
    the test. `repeats`: the same program reads the same to the byte. `differences`: between the conditions of base and
    head. `limit` is the head's; `base_limit` the base's, where it is the stricter. `raised`: the change raises its
    limit, and `raises_allowed` says that this was agreed to. `excused`: what is not measured need not be, and why.
    `failed`: in how many attempts its test failed, in words. `certain` and `certain_base`: of estimates, what is held
    against limits in place of the values of head and base: the least that each may be.
    """

    nodeid: str
    figure: str
    gpu: int = 0
    exactness: Exactness = "exact"
    now_bytes: int | None = None
    reason: str = ""
    change: Change | None = None
    base: list[int] = []
    head: list[int] = []
    needed: int = 0
    has_base: bool = True
    repeats: bool = False
    differences: list[str] = []
    limit: Limit | None = None
    base_limit: Limit | None = None
    base_limit_at: str = ""
    raises_allowed: bool = False
    raised: bool = False
    excused: str = ""
    failed: str = ""
    certain: list[int] = []
    certain_base: list[int] = []


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict as it was passed, what it does to the whole, and what is to be said with it."""

    verdict: GateVerdict
    weight: Weight
    notes: list[str] = []


def growth(known: Evidence, tolerance: Tolerance) -> Growth:
    """What history says of the figure, and what base against head says of that."""
    standing: Growth = known.change.standing if known.change else "new"
    if known.exactness == "sampled":
        return "steady"  # what a sample says of a change is nothing: its limit alone is judged
    if known.differences:
        return "incomparable"
    if not known.needed or not known.has_base:
        return standing
    if known.change is None and known.base:
        standing = "steady"  # its history was not asked, as the head's own run gave no value: the base is
    if min(len(known.base), len(known.head)) < known.needed:
        return "undecided" if standing == "suspect" else standing
    return "regressed" if _has_grown(known, tolerance) else standing


def passed(known: Evidence, tolerance: Tolerance) -> Passed:
    """The verdict: the worst that can be said."""
    grown = growth(known, tolerance)
    said = [_unmeasured(known), _regressed(known, grown), *_limits(known, grown), _undecided(known, grown)]
    worst = next((one for one in said if one is not None), None) or _harmless(known, grown)
    others = [note for one in said if one is not None and one is not worst for note in one.notes]
    others += [known.failed] if known.failed else []
    return msgspec.structs.replace(worst, notes=list(dict.fromkeys([*worst.notes, *others])))


def _has_grown(known: Evidence, tolerance: Tolerance) -> bool:
    if known.repeats:
        return min(known.head) - max(known.base) > floor_bytes(tolerance, max(known.base))
    return regressed(known.base, known.head, tolerance)


def _readings(known: Evidence) -> list[int]:
    return [*([] if known.now_bytes is None else [known.now_bytes]), *known.head]


def _unmeasured(known: Evidence) -> Passed | None:
    if _readings(known):
        return None
    reason = known.reason or "no reading"
    if known.excused:
        return Passed(verdict="not-measured", weight="warns", notes=[reason, known.excused])
    limits = [limit for limit in (known.limit, known.base_limit) if limit]
    only_warns = bool(limits) and all(limit.level == "warn" for limit in limits)
    return Passed(verdict="not-measured", weight="warns" if only_warns else "undecided", notes=[reason])


def _regressed(known: Evidence, grown: Growth) -> Passed | None:
    if grown != "regressed":
        return None
    if known.raised and known.raises_allowed:
        note = "its limit was raised by the same change, which --allow-raises accepts"
        return Passed(verdict="regressed", weight="warns", notes=[note])
    return Passed(verdict="regressed", weight="fails")


def _limits(known: Evidence, grown: Growth) -> list[Passed | None]:
    by_base = f"over the base's limit ({known.base_limit_at})"
    found = [_limit(known, known.limit, grown, "")]
    if known.base_limit is not None:
        found.append(_limit(known, known.base_limit, grown, by_base))
    return sorted(found, key=lambda one: _WEIGHTS.index(one.weight) if one else len(_WEIGHTS))


_WEIGHTS: tuple[Weight, ...] = ("fails", "undecided", "warns", "fine")


def _limit(known: Evidence, limit: Limit | None, grown: Growth, whose: str) -> Passed | None:
    readings = known.certain or _readings(known)
    if limit is None or not readings:
        return None
    notes = [whose] if whose else []
    states = [_state(limit, size) for size in readings]
    over = states.count("over")
    if over == len(states):
        return _over(known, limit, grown, notes)
    if over:
        return Passed(verdict="near", weight="fine", notes=[*notes, f"over in {over} of {len(states)} attempts"])
    if "waived" in states and limit.waiver is not None:
        left = f"waived until {limit.waiver.expires}, {_days(limit.waiver.days_left)} left ({limit.waiver.where})"
        return Passed(verdict="waived", weight="warns", notes=[*notes, left])
    if "near" in states and not whose:
        return Passed(verdict="near", weight="fine", notes=notes)
    return None


def _over(known: Evidence, limit: Limit, grown: Growth, notes: Sequence[str]) -> Passed:
    base = known.certain_base or known.base
    inherited = bool(base) and all(_state(limit, size) == "over" for size in base)
    if inherited and grown != "incomparable":
        return Passed(verdict="over-inherited", weight="warns", notes=[*notes, "the base is over, too"])
    if limit.level == "warn":
        return Passed(verdict="over", weight="warns", notes=[*notes, "the limit only warns"])
    if notes and known.raises_allowed:
        return Passed(verdict="over", weight="warns", notes=[*notes, "which --allow-raises accepts"])
    return Passed(verdict="over", weight="fails", notes=list(notes))


def _undecided(known: Evidence, grown: Growth) -> Passed | None:
    if grown == "undecided":
        told = f"values of {len(known.base)} base and {len(known.head)} head attempts of {known.needed} each"
        return Passed(verdict="not-measured", weight="undecided", notes=[known.reason or told, told])
    if grown == "suspect":
        note = "" if known.has_base else "the base could not be run: by its history alone"
        return Passed(verdict="suspect", weight="warns", notes=[note] if note else [])
    return None


def _harmless(known: Evidence, grown: Growth) -> Passed:
    if grown == "incomparable":
        told = known.differences or (known.change.differences if known.change else [])
        return Passed(verdict="incomparable", weight="fine", notes=list(told))
    if grown in {"improved", "new"}:
        return Passed(verdict=grown, weight="fine")
    return Passed(verdict="ok", weight="fine")


def _state(limit: Limit, size: int) -> str:
    return verdict_on(limit, Reading(bytes=size, exactness="exact", source=""))


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
