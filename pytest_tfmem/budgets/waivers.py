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
    limits: Mapping[str, Limit], waivers: Iterable[WaiverEntry], today: dt.date
) -> tuple[dict[str, Limit], list[str]]:
    """A test's limits with the live ones of its waivers on them, and notes of those that expired with none in place.

    A waiver lives up to and including the day on which it expires. The most specific live one holds.
    """
    waived, notes = {}, []
    ranked = most_specific_first(waivers)
    for figure, limit in limits.items():
        ours = [waiver for waiver in ranked if waiver.figure == figure]
        live = [waiver for waiver in ours if waiver.expires >= today]
        waived[figure] = msgspec.structs.replace(limit, waiver=_waiver(live[0], today)) if live else limit
        if not live:
            notes += [f"waiver in {waiver.where} expired on {waiver.expires}" for waiver in ours]
    return waived, notes


def _waiver(entry: WaiverEntry, today: dt.date) -> Waiver:
    return Waiver(
        bytes=entry.bytes,
        expires=entry.expires.isoformat(),
        days_left=(entry.expires - today).days,
        reason=entry.reason,
        where=entry.where,
        issue=entry.issue,
    )
