"""What is not fine, as a page tells it: in groups of one kind, each finding in sizes and words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_tfmem.digest.findings import told_since
from pytest_tfmem.page.shown import lines_of, link_to_test, shown
from pytest_tfmem.report.sizes import format_apart, format_excess, format_growths, format_percent
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.digest.model import Finding, Kind
    from pytest_tfmem.gate.result import Weight

# By kind: the heading, and what it means to the reader.
KINDS: dict[Kind, tuple[str, str]] = {
    "died": ("Died", "The test's process ended before the test did."),
    "over": ("Over the limit", "The reading is above what is allowed, and the test fails for it."),
    "regressed": ("Need more than before", "More than in earlier runs, by more than noise explains."),
    "failed": ("Failed for another reason", "Not for memory: the readings may be of half a test."),
    "out of memory": ("Out of GPU memory", "A GPU's allocator refused what was asked of it."),
    "undecided": ("Not decided", "Base and head could not both be measured."),
    "not measured": ("Limits that were not measured", "Whether they are kept is not known."),
    "unmeasured": ("Ran unmeasured", "The test ran in pytest's own process."),
    "warn": ("Over a limit that only warns", "Above what is allowed; the test does not fail for it."),
    "inherited": ("Over, as the base is", "The change at hand did not make it so."),
    "suspect": ("Suspect", "More than in earlier runs. Whether it is the change, tfmem gate decides."),
    "xfail": ("Over, as expected", "The test is marked to be over its limit."),
    "waived": ("Over, but waived", "A dated waiver allows it."),
    "near": ("Near the limit", "Over 90 % of what is allowed."),
    "improved": ("Need less than before", "Their limits could be trimmed."),
}
_FIRST = 8  # of a group, the rest being folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One finding. `now`, `other`: what it is and what it is held against, with `sign` between them; `share` fills a
    bar, 1.0 being what is allowed or what it was."""

    name: tuple[str, str]
    link: str
    figure: str
    now: str
    other: str
    is_limit: bool
    percent: str
    growth: str
    since: str
    where: str
    defined: str
    notes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Findings of one kind; `rest` is folded."""

    kind: str
    weight: Weight
    title: str
    meaning: str
    tests: int
    first: Sequence[Row]
    rest: Sequence[Row]


def groups_of(found: Sequence[Finding], *, fine: bool) -> list[Group]:
    """The findings by weight and kind, in their order: those that are `fine`, or those that are not."""
    ones = [one for one in found if (one.weight == "fine") == fine]
    return [_group([*group]) for _, group in groupby(ones, key=lambda one: (one.weight, one.kind))]


def _group(found: Sequence[Finding]) -> Group:
    rows = [*map(row_of, found)]
    title, meaning = KINDS[found[0].kind]
    return Group(
        kind=found[0].kind,
        weight=found[0].weight,
        title=title,
        meaning=meaning,
        tests=len({one.nodeid for one in found}),
        first=rows[:_FIRST],
        rest=rows[_FIRST:],
    )


def row_of(one: Finding) -> Row:
    other = one.before_bytes if one.allowed_bytes is None else one.allowed_bytes
    now, against = _pair(one.now_bytes, other)
    both = one.now_bytes is not None and other is not None
    return Row(
        name=name_parts(one.nodeid),
        link=link_to_test(one.nodeid),
        figure=figure_of(one),
        now=now,
        other=against,
        is_limit=one.allowed_bytes is not None,
        percent=_percent(one) if both else "",
        growth=format_growths([(other or 0, one.now_bytes or 0)])[0] if both else "",
        since=shown(told_since(one)),
        where=shown(one.where),
        defined=shown(one.defined),
        notes=[*map(lines_of, one.notes)],
    )


def figure_of(one: Finding) -> str:
    return f"{one.figure} on GPU:{one.gpu}" if one.gpu is not None else one.figure


def name_parts(nodeid: str) -> tuple[str, str]:
    """The file of a test, and its name within: `tests/test_a.py`, `TestB::test_c[d]`."""
    file, _, name = shown(nodeid).partition("::")
    return (file, name) if name else ("", file)


def sentence_of(one: Finding) -> str:
    """A finding in a sentence, for where the test is known: `rss 1.62 GiB > 1.50 GiB (+8.0 %), budgets.yaml:12`."""
    return ", ".join(_parts(one)) or KINDS[one.kind][1]


def _parts(one: Finding) -> Iterator[str]:
    row = row_of(one)
    by = f" ({row.percent})" if row.percent else ""
    if row.now and row.other:
        yield f"{row.figure} {row.now} > {row.other}{by}" if _is_over(one) else _held(row, by)
    elif row.figure:
        yield f"{row.figure} {row.now or 'not measured'}"
    yield from filter(None, (row.since, row.where, *map(_first_line, row.notes)))


def _first_line(text: str) -> str:
    first, _, rest = text.partition("\n")
    return f"{first} …" if rest else first


def _is_over(one: Finding) -> bool:
    return one.allowed_bytes is not None and (one.now_bytes or 0) > one.allowed_bytes


def _held(row: Row, by: str) -> str:
    return f"{row.figure} {row.now} of {row.other}{by}" if row.is_limit else f"{row.figure} {row.other} → {row.now}{by}"


def _pair(now: int | None, other: int | None) -> tuple[str, str]:
    if now is not None and other is not None:
        return format_apart(now, other)
    return "" if now is None else format_size(now), "" if other is None else format_size(other)


def _percent(one: Finding) -> str:
    now = one.now_bytes or 0
    if one.allowed_bytes is not None:
        if now > one.allowed_bytes > 0:
            return format_excess(now, one.allowed_bytes)
        return format_percent(one.allowed_bytes, now)
    return format_percent(one.before_bytes or 0, now)
