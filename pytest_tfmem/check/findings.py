"""What is to be mended: entries and waivers that do nothing or have ended, markers that are wrong."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from pytest_tfmem.budgets.audit import shadowed, stale
from pytest_tfmem.budgets.model import BudgetsFile, Entry, WaiverEntry
from pytest_tfmem.check.nearest import nearest
from pytest_tfmem.errors import one_line
from pytest_tfmem.isolate.ignored import ignored_values
from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_tfmem.check.collected import Collected

_MOST_ID_CHARS = 120
_WILDCARD = re.compile(r"[*?]")


def find(
    collected: Collected,
    file: BudgetsFile | None,
    *,
    today: dt.date,
    soon_days: int,
    environ: Mapping[str, str] = os.environ,
) -> list[str]:
    """One line each, beginning with the place: first what is wrong around the tests, then the file's, by its lines.

    A waiver that ends within `soon_days` is found, too.
    """
    found = [f"environment: {sentence}" for sentence in ignored_values(environ)]
    found += [f"{one_line(part.nodeid)}: could not be collected: {part.said}" for part in collected.uncollected]
    # A dict for its order: the same marker is wrong for each of a test's parameters.
    problems = dict.fromkeys(problem for test in collected.tests for problem in test.problems)
    found += [one_line(problem, most=500) for problem in problems]
    if file is None:
        return found
    of_file = [*_stale(collected, file), *_shadowed(collected, file), *_ending(file, today, soon_days)]
    return found + [f"{where}: {what}" for where, what in sorted(of_file, key=lambda line: _line_number(line[0]))]


def _unmatched(collected: Collected, file: BudgetsFile) -> list[Entry | WaiverEntry]:
    return stale(file, [test.nodeid for test in collected.tests])


def _is_judged(entry: Entry | WaiverEntry, collected: Collected) -> bool:
    """Whether a test that the entry covers would have been found if there were one."""
    beginning = entry.pattern.prefix
    asked_for = any(_is_within(beginning, place) for place in collected.places)
    return asked_for and not any(_may_overlap(beginning, part.nodeid) for part in collected.uncollected)


def _is_within(nodeid: str, place: str) -> bool:
    return not place or nodeid == place or nodeid.startswith((f"{place}/", f"{place}::"))


def _may_overlap(beginning: str, place: str) -> bool:
    return place.startswith(beginning) or beginning.startswith(place)


def _stale(collected: Collected, file: BudgetsFile) -> Iterator[tuple[str, str]]:
    ids = [test.nodeid for test in collected.tests]
    for entry in _unmatched(collected, file):
        if not _is_judged(entry, collected):
            continue
        text = entry.pattern.text
        close = "" if _WILDCARD.search(text) else nearest(text, ids)
        meant = f"; did you mean {_shown(close)}?" if close else ""
        kind = "waiver" if isinstance(entry, WaiverEntry) else "budget"
        yield entry.where, f"no test matches the {kind} for {_shown(text)}{meant}"


def _shadowed(collected: Collected, file: BudgetsFile) -> Iterator[tuple[str, str]]:
    for found in shadowed(file, [test.nodeid for test in collected.tests]):
        if not _is_judged(found.entry, collected):
            continue  # it may win for a test that was not collected
        others = ", ".join(f"{_shown(other.pattern.text)} in {other.where}" for other in found.by)
        yield found.entry.where, f"the budget for {_shown(found.entry.pattern.text)} never wins: {others} comes first"


def _ending(file: BudgetsFile, today: dt.date, soon_days: int) -> Iterator[tuple[str, str]]:
    for waiver in file.waivers:
        days = (waiver.expires - today).days
        what = f"the waiver of {waiver.figure} for {_shown(waiver.pattern.text)}"
        why = f" ({', '.join(part for part in (waiver.issue, waiver.reason) if part)})"
        if days < 0:
            yield waiver.where, one_line(f"{what} expired on {waiver.expires}{why}", most=500)
        elif days <= soon_days:
            yield waiver.where, one_line(f"{what} expires {_in_days(days)}, on {waiver.expires}{why}", most=500)


def _in_days(days: int) -> str:
    return ("today", "tomorrow")[days] if days <= 1 else f"in {days} days"


def _shown(nodeid: str) -> str:
    return one_line(repr(nodeid), most=_MOST_ID_CHARS)


def _line_number(where: str) -> int:
    return int(where.rpartition(":")[2])


def summary(collected: Collected, file: BudgetsFile | None, found: Sequence[str]) -> list[str]:
    """What was looked at, and how much was found."""
    measured = sum(1 for test in collected.tests if test.measured)
    lines = [f"{count_of(len(collected.tests), 'test')} collected, {measured} to be measured"]
    if file is None:
        lines.append("no budgets file")
    else:
        entries, waivers = count_of(len(file.entries), "budget"), count_of(len(file.waivers), "waiver")
        lines.append(f"{entries} and {waivers} in {file.shown}{_unjudged(collected, file)}")
    lines.append(f"{count_of(len(found), 'thing')} to mend" if found else "nothing to mend")
    return lines


def _unjudged(collected: Collected, file: BudgetsFile) -> str:
    left = sum(1 for entry in _unmatched(collected, file) if not _is_judged(entry, collected))
    return f", {left} of them for tests that were not collected, and not looked at" if left else ""
