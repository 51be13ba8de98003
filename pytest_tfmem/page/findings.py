"""What is not fine, as a page tells it: in groups of one kind, each finding in sizes and words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_tfmem.digest.findings import told_since
from pytest_tfmem.page.shown import lines_of, link_to_test, shown
from pytest_tfmem.report.sizes import format_apart, format_excess, format_growths, format_percent, format_share
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from pytest_tfmem.digest.model import Finding, Kind
    from pytest_tfmem.gate.result import Weight

# By kind: the heading, and what it means to the reader.
KINDS: dict[Kind, tuple[str, str]] = {
    "died": ("Died", "The test's process ended before the test did."),
    "over": ("Over the limit", "The reading is above what is allowed, and the test fails for it."),
    "regressed": ("Need more than before", "More than before, by more than noise explains."),
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
_BY_REASON = {"not measured", "unmeasured"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure of a finding: what it is, and what it is held against, a limit if `is_limit`, else what it was."""

    figure: str
    now: str
    other: str
    is_limit: bool
    percent: str
    growth: str
    since: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Findings of one test, or one finding of several: the tests by name and link, their figures, and what else there
    is to say."""

    tests: Sequence[tuple[tuple[str, str], str]]
    lines: Sequence[Line]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Findings of one kind; `rest` is folded."""

    kind: str
    weight: Weight
    title: str
    meaning: str
    tests: int
    first: Sequence[Item]
    rest: Sequence[Item]


def groups_of(found: Sequence[Finding], *, fine: bool, known: Collection[str]) -> list[Group]:
    """The findings by weight and kind, in their order: those that are `fine`, or those that are not.

    `known`: the ids of the tests that the page can show.
    """
    ones = [one for one in found if (one.weight == "fine") == fine]
    return [_group([*group], known) for _, group in groupby(ones, key=lambda one: (one.weight, one.kind))]


def _group(found: Sequence[Finding], known: Collection[str]) -> Group:
    items = [*(_of_reasons(found, known) if found[0].kind in _BY_REASON else _of_tests(found, known))]
    title, meaning = KINDS[found[0].kind]
    return Group(
        kind=found[0].kind,
        weight=found[0].weight,
        title=title,
        meaning=meaning,
        tests=len({one.nodeid for one in found}),
        first=items[:_FIRST],
        rest=items[_FIRST:],
    )


def _of_tests(found: Sequence[Finding], known: Collection[str]) -> Iterator[Item]:
    for _, group in groupby(found, key=lambda one: one.nodeid):
        ones = [*group]
        lines = [line_of(one) for one in ones if one.figure]
        since = {line.since for line in lines}
        together = len(since) == 1  # what is the same of all is said once
        yield Item(
            tests=[_named(ones[0], known)],
            lines=[replace(line, since="") for line in lines] if together else lines,
            notes=[*(filter(None, since) if together else ()), *_once(note for one in ones for note in one.notes)],
        )


def _of_reasons(found: Sequence[Finding], known: Collection[str]) -> Iterator[Item]:
    """One for each figure and reason: a machine without a GPU says the same of a hundred tests."""
    together: dict[tuple[str, tuple[str, ...]], list[Finding]] = {}
    for one in found:
        together.setdefault((figure_of(one), one.notes), []).append(one)
    for ones in together.values():
        tests = {one.nodeid: _named(one, known) for one in ones}
        lines = {line_of(one) for one in ones if one.figure}
        some = next(iter(lines), None)
        yield Item(
            tests=[*tests.values()],
            lines=[some if len(lines) == 1 else replace(some, other="", where="")] if some else [],
            notes=_once(ones[0].notes),
        )


def _named(one: Finding, known: Collection[str]) -> tuple[tuple[str, str], str]:
    """The test by its name, and the link to it, if there is anything to lead to."""
    return name_parts(one.nodeid, one.defined), link_to_test(one.nodeid) if one.nodeid in known else ""


def _once(notes: Iterable[str]) -> list[str]:
    return [*dict.fromkeys(map(lines_of, notes))]


def line_of(one: Finding) -> Line:
    other = one.before_bytes if one.allowed_bytes is None else one.allowed_bytes
    now, against = _pair(one.now_bytes, other)
    both = one.now_bytes is not None and other is not None
    return Line(
        figure=shown(figure_of(one)),
        now=now,
        other=against,
        is_limit=one.allowed_bytes is not None,
        percent=_percent(one) if both else "",
        growth=_growth(one.now_bytes or 0, other or 0, is_limit=one.allowed_bytes is not None) if both else "",
        since=shown(told_since(one)),
        where=shown(one.where),
    )


def figure_of(one: Finding) -> str:
    return f"{one.figure} on GPU:{one.gpu}" if one.gpu is not None else one.figure


def name_parts(nodeid: str, defined: str = "") -> tuple[str, str]:
    """Where a test is, and its name there: `tests/test_a.py:12`, `TestB::test_c[d]`."""
    file, _, name = shown(nodeid).partition("::")
    return (shown(defined) or file, name) if name else (shown(defined), file)


def sentence_of(one: Finding) -> str:
    """A finding in a sentence, for where the test is known: `rss 1.62 GiB > 1.50 GiB (+8.0 %), budgets.yaml:12`."""
    return ", ".join(_parts(one)) or KINDS[one.kind][1]


def _parts(one: Finding) -> Iterator[str]:
    line = line_of(one)
    by = f" ({line.percent})" if line.percent else ""
    if line.now and line.other:
        yield f"{line.figure} {line.now} > {line.other}{by}" if _is_over(one) else _held(line, by)
    elif line.figure:
        yield f"{line.figure} {line.now or 'not measured'}"
    yield from filter(None, (line.since, line.where, *map(_first_line, map(lines_of, one.notes))))


def _first_line(text: str) -> str:
    first, _, rest = text.partition("\n")
    return f"{first} …" if rest else first


def _is_over(one: Finding) -> bool:
    return one.allowed_bytes is not None and (one.now_bytes or 0) > one.allowed_bytes


def _held(line: Line, by: str) -> str:
    if line.is_limit:
        return f"{line.figure} {line.now} of {line.other}{by}"
    return f"{line.figure} {line.other} → {line.now}{by}"


def _pair(now: int | None, other: int | None) -> tuple[str, str]:
    if now is not None and other is not None:
        return format_apart(now, other)
    return "" if now is None else format_size(now), "" if other is None else format_size(other)


def _percent(one: Finding) -> str:
    now = one.now_bytes or 0
    if one.allowed_bytes is None:
        return format_percent(one.before_bytes or 0, now)
    if now > one.allowed_bytes > 0:
        return format_excess(now, one.allowed_bytes)
    return format_share(now, one.allowed_bytes)


def _growth(now: int, other: int, *, is_limit: bool) -> str:
    """By how much it is over, or has changed; of what is under its limit, how much is left."""
    if is_limit and now <= other:
        return f"{format_size(other - now)} left"
    return format_growths([(other, now)])[0]
