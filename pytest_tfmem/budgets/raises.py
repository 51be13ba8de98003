"""What a change to the budgets file allows that the file did not allow before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.budgets.resolve import resolve
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from pytest_tfmem.budgets.model import BudgetsFile, Tolerance, WaiverEntry
    from pytest_tfmem.figures import Limit

_NONE = "no limit"


class Raise(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is allowed now: of the tests that `test` covers, or is.

    `where` is its line in the new file, or in the old one if it stands in the new one no more; `where_before` its line
    in the old file, if it stood there. `figure` is empty for what is of all figures.
    """

    test: str
    figure: str
    before: str
    after: str
    where: str
    where_before: str = ""


def raises(
    base: BudgetsFile, head: BudgetsFile, nodeids: Iterable[str], *, profiles: frozenset[str], today: dt.date
) -> list[Raise]:
    """Every limit that is higher, gone, or weaker, and every waiver that is new or goes further.

    Line by line for entries that both files have; for these tests, on a machine with these active profiles, also what
    other entries do to them.
    """
    found = [*_tolerance(base, head), *_entries(base, head), *_waivers(base, head)]
    known = {(one.where_before, one.figure) for one in found} | {(one.where, one.figure) for one in found}
    for nodeid in nodeids:
        for one in _of_test(base, head, nodeid, profiles=profiles, today=today):
            if (one.where_before, one.figure) not in known and (one.where, one.figure) not in known:
                known.add((one.where_before, one.figure))
                found.append(one)
    return found


def stricter(ours: Limit, than: Limit | None) -> bool:
    """Whether a limit refuses what the other one lets pass."""
    if than is None or ours.level != than.level:
        return than is None or ours.level == "error"
    return ours.bytes < than.bytes


def raised_limit(test: str, figure: str, before: Limit, after: Limit | None) -> Raise:
    """That a limit of a test, or of a pattern, is what it is now: None if it is gone."""
    return Raise(
        test=test,
        figure=figure,
        before=_shown(before),
        after=_NONE if after is None else _shown(after),
        where=before.where if after is None else after.where,
        where_before=before.where,
    )


def _tolerance(base: BudgetsFile, head: BudgetsFile) -> Iterator[Raise]:
    before, after = base.defaults.tolerance, head.defaults.tolerance
    if before is not None and after is not None and (after.fraction > before.fraction or after.bytes > before.bytes):
        words = _in_words(before), _in_words(after)
        yield Raise(test="defaults", figure="tolerance", before=words[0], after=words[1], where=head.shown)


def _in_words(tolerance: Tolerance) -> str:
    return f"{100 * tolerance.fraction:g}% and {format_size(tolerance.bytes)}"


def _entries(base: BudgetsFile, head: BudgetsFile) -> Iterator[Raise]:
    after = _limits_by_line(head)
    for (pattern, figure, profile), limit in _limits_by_line(base).items():
        now = after.get((pattern, figure, profile))
        if stricter(limit, now):
            yield raised_limit(pattern, figure, limit, now)


def _limits_by_line(file: BudgetsFile) -> dict[tuple[str, str, str], Limit]:
    """By pattern, figure and profile, the later of two entries with the same pattern, as it is the one that holds."""
    places = [("defaults", file.defaults.limits), *((entry.pattern.text, entry.limits) for entry in file.entries)]
    return {
        (pattern, figure, profile): limit
        for pattern, limits in places
        for figure, by_profile in limits.items()
        for profile, limit in [*by_profile.by_profile.items(), ("", by_profile.otherwise)]
        if limit is not None
    }


def _shown(limit: Limit) -> str:
    return f"{format_size(limit.bytes)} (warns only)" if limit.level == "warn" else format_size(limit.bytes)


def _waivers(base: BudgetsFile, head: BudgetsFile) -> Iterator[Raise]:
    before = {(waiver.pattern.text, waiver.figure): waiver for waiver in base.waivers}
    for waiver in head.waivers:
        old = before.get((waiver.pattern.text, waiver.figure))
        if old is None or waiver.bytes > old.bytes or waiver.expires > old.expires:
            yield Raise(
                test=waiver.pattern.text,
                figure=waiver.figure,
                before=_waiver(old) if old else "no waiver",
                after=_waiver(waiver),
                where=waiver.where,
                where_before=old.where if old else "",
            )


def _waiver(waiver: WaiverEntry) -> str:
    return f"waived to {format_size(waiver.bytes)} until {waiver.expires}"


def _of_test(
    base: BudgetsFile, head: BudgetsFile, nodeid: str, *, profiles: frozenset[str], today: dt.date
) -> Iterator[Raise]:
    before = resolve(nodeid, (), base, profiles=profiles, today=today).limits
    after = resolve(nodeid, (), head, profiles=profiles, today=today).limits
    for figure, limit in before.items():
        now = after.get(figure)
        if stricter(limit, now):
            yield raised_limit(nodeid, figure, limit, now)
