"""Which waiver holds for a limit, and which have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.budgets.pattern import most_specific_first
from pytest_tfmem.figures import Limit, Waiver

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from pytest_tfmem.budgets.model import WaiverEntry


def waive(
    limits: Mapping[str, Limit], waivers: Iterable[WaiverEntry], alive: Mapping[str, Waiver]
) -> tuple[dict[str, Limit], list[str]]:
    """A test's limits with those of its waivers that are `alive`; notes of those that expired with none in place."""
    waived, notes = {}, []
    ours = most_specific_first(waivers)
    for figure, limit in limits.items():
        waived[figure] = msgspec.structs.replace(limit, waiver=alive[figure]) if figure in alive else limit
        if figure not in alive:
            notes += [f"waiver in {one.where} expired on {one.expires}" for one in ours if one.figure == figure]
    return waived, notes


def live(waivers: Iterable[WaiverEntry], today: dt.date) -> dict[str, Waiver]:
    """By figure the waiver that lives, on the day on which it expires still; the most specific of several."""
    found: dict[str, Waiver] = {}
    for waiver in most_specific_first(waivers):
        if waiver.expires >= today:
            found.setdefault(waiver.figure, _waiver(waiver, today))
    return found


def _waiver(entry: WaiverEntry, today: dt.date) -> Waiver:
    return Waiver(
        bytes=entry.bytes,
        expires=entry.expires.isoformat(),
        days_left=(entry.expires - today).days,
        reason=entry.reason,
        where=entry.where,
        issue=entry.issue,
    )
