"""Waivers in words, and the ceiling that holds while one is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.report.layout import plain
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from pytest_tfmem.figures import Limit, Waiver


def ceiling(limit: Limit) -> int:
    """Bytes that may be reached today: the waiver's while it is in force and is the higher, else the limit's own."""
    return max(limit.bytes, limit.waiver.bytes) if limit.waiver and in_force(limit.waiver) else limit.bytes


def in_force(waiver: Waiver) -> bool:
    """Whether the waiver holds today: it does on the day on which it expires."""
    return waiver.days_left >= 0


def waiver_text(waiver: Waiver) -> str:
    """What the waiver allows, until when, why, and where it stands."""
    why = ", ".join(plain(part) for part in (waiver.issue, waiver.reason) if part)
    return f"{_term(waiver)}: {why} ({plain(waiver.where)})"


def _term(waiver: Waiver) -> str:
    size, day = format_size(waiver.bytes), plain(waiver.expires)
    if not in_force(waiver):
        return f"waiver to {size} ended on {day}, {_days(-waiver.days_left)} ago"
    left = f"{_days(waiver.days_left)} left" if waiver.days_left else "its last day"
    return f"waived to {size} until {day}, {left}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
