"""What the gate found, for people: the verdict first, then what is not fine, and by what bound it was decided."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from pytest_tfmem.figures import GPU_FIGURES
from pytest_tfmem.gate.nominate import LEAST_SESSIONS
from pytest_tfmem.history.commits import shortened
from pytest_tfmem.report.layout import Line, plain, wrap
from pytest_tfmem.report.rows import Row, table_of_tests
from pytest_tfmem.report.sizes import format_column, format_pairs, format_percent
from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_tfmem.budgets.raises import Raise
    from pytest_tfmem.gate.decide import Plan
    from pytest_tfmem.gate.result import GateResult, GateVerdict, Judged, Weight

_SHOWN: tuple[GateVerdict, ...] = (
    "regressed",
    "over",
    "not-measured",
    "over-inherited",
    "suspect",
    "waived",
    "near",
    "improved",
)
_MOST_HARMLESS = 10  # rows of a verdict that fails nothing
_MOST_NAMES = 5
_FEWEST_OF_MACHINE = 10  # series: of fewer, half may be up for reasons of their own
_NARROWEST = 40
_COLUMNS = ("figure", "before", "now", "change", "limit")
_SIDES = "<>>>>"
_MARKUP: dict[Weight, dict[str, bool]] = {
    "fails": {"red": True},
    "undecided": {"red": True},
    "warns": {"yellow": True},
    "fine": {},
}


def gate_lines(result: GateResult, *, width: int) -> list[Line]:
    """All lines, none wider than `width` cells (or 40, if that is more)."""
    width = max(width, _NARROWEST)
    blocks = [
        [*_verdict(result, width)],
        [*_table(result.judged, width), *_of_machine(result.judged, width)],
        [*_raised(result.raised, width)],
        [*_changed_tests(result, width)],
        [*_warnings(result.warnings, width)],
        [*_plain(gate_method(result), width)],
    ]
    filled = [block for block in blocks if block]
    return [line for number, block in enumerate(filled) for line in ([Line("")] if number else []) + block]


def _verdict(result: GateResult, width: int) -> Iterator[Line]:
    colour = {0: "green", 1: "red"}.get(result.status, "yellow")
    yield from (Line(text, {"bold": True, colour: True}) for text in wrap(plain(result.sentence), width))
    head, base = shortened(result.head), shortened(result.merge_base)
    yield from _plain(f"{head} against {base}, from where it left {plain(result.base)}", width)


def _table(judged: Sequence[Judged], width: int) -> Iterator[Line]:
    shown = {verdict: [one for one in judged if one.verdict == verdict] for verdict in _SHOWN}
    kept = {verdict: found if _matters(found) else found[:_MOST_HARMLESS] for verdict, found in shown.items()}
    ones = list(chain.from_iterable(kept.values()))
    rows = [
        Row(
            standing=one.verdict,
            nodeid=one.nodeid,
            cells=cells,
            remark="; ".join(map(plain, _remarks(one))),
            markup={"green": True} if one.verdict == "improved" else _MARKUP[one.weight],
        )
        for one, cells in zip(ones, _cells(ones), strict=True)
    ]
    longest = max((len(row.standing) for row in rows), default=0)
    yield from table_of_tests(rows, columns=_COLUMNS, sides=_SIDES, width=width, standing=longest)
    for verdict, found in shown.items():
        if len(found) > len(kept[verdict]):
            yield from _plain(f"and {len(found) - len(kept[verdict])} more {verdict}", width)


def _of_machine(judged: Sequence[Judged], width: int) -> Iterator[Line]:
    """What many rows say together: half of the series are up, by what attempts of the base read as well."""
    known = [one for one in judged if one.before_bytes is not None]
    cleared = [one for one in known if one.verdict == "suspect" and _is_up_in_base(one)]
    if len(known) >= _FEWEST_OF_MACHINE and 2 * len(cleared) >= len(known):
        yield from _plain("readings are up throughout, in the base too: the machine, not the change", width)


def _is_up_in_base(one: Judged) -> bool:
    if one.base_bytes is None or one.before_bytes is None:
        return False
    return one.base_bytes > one.before_bytes + one.floor_bytes


def _matters(found: Sequence[Judged]) -> bool:
    return any(one.weight in {"fails", "undecided"} for one in found)


def _cells(ones: Sequence[Judged]) -> list[tuple[str, ...]]:
    pairs = [_before_and_now(one) for one in ones]
    texts = format_pairs([(before or 0, now or 0) for before, now in pairs])
    several = any(one.gpu for one in ones)
    return [
        (
            f"{one.figure} (GPU:{one.gpu})" if several and one.figure in GPU_FIGURES else one.figure,
            "" if before is None else text[0],
            "" if now is None else text[1],
            "" if before is None or now is None else format_percent(before, now),
            limit,
        )
        for one, (before, now), text, limit in zip(ones, pairs, texts, _limits(ones), strict=True)
    ]


def _before_and_now(one: Judged) -> tuple[int | None, int | None]:
    """Of what was decided the medians of base and head; else history's and the head's own run."""
    if one.base_bytes is not None and one.head_bytes is not None:
        return one.base_bytes, one.head_bytes
    return one.before_bytes, one.head_bytes if one.now_bytes is None else one.now_bytes


def _limits(ones: Sequence[Judged]) -> list[str]:
    limits = [one.base_limit if one.base_limit and one.verdict == "over" else one.limit for one in ones]
    shown = iter(format_column([limit.bytes for limit in limits if limit]))
    return [next(shown) if limit else "" for limit in limits]


def _remarks(one: Judged) -> Iterator[str]:
    if one.renamed_from:
        yield f"renamed from {one.renamed_from}"
    if one.verdict == "suspect" and one.base_bytes is not None:
        yield "up against history, not against the base"
    if one.verdict == "over" and one.limit and not one.base_limit:
        yield one.limit.where
    if one.verdict == "improved" and one.limit:
        yield f"after {LEAST_SESSIONS} such runs --tfmem-update=trim may lower it in the budgets file"
    yield from one.notes
    if one.verdict in {"regressed", "suspect"} and one.since:
        commit = f" ({shortened(one.since_commit)})" if one.since_commit else ""
        yield f"steady since {one.since:%Y-%m-%d}{commit}"


def _raised(raised: Sequence[Raise], width: int) -> Iterator[Line]:
    for one in raised:
        before = f", before in {one.where_before}" if one.where_before and one.where_before != one.where else ""
        text = f"RAISED {one.figure} of {one.test}: {one.before} -> {one.after} ({one.where}{before})"
        yield from (Line(line, {"yellow": True}) for line in wrap(plain(text), width))


def _changed_tests(result: GateResult, width: int) -> Iterator[Line]:
    told = {one.nodeid for one in result.judged if one.verdict in _SHOWN}
    renamed = [f"{one.nodeid} (was {one.renamed_from})" for one in result.renamed if one.nodeid not in told]
    new = list(dict.fromkeys(one.nodeid for one in result.judged if one.verdict == "new"))
    yield from _named("renamed", renamed, width)
    yield from _named("gone", result.gone, width)
    if result.runs:
        yield from _named("new, so that limits alone are judged", new, width)
    flaky = {one.nodeid: note for one in result.judged for note in one.notes if one.verdict == "ok"}
    yield from _named("measured all the same", [f"{name}: {note}" for name, note in flaky.items()], width)
    stale = [f"the {one.kind} for {one.test} ({one.where})" for one in result.stale]
    yield from _named("stale, as no test matches", stale, width)
    found = Counter(", ".join(one.notes) for one in result.judged if one.verdict == "incomparable")
    for differences, count in found.most_common(_MOST_NAMES):
        yield from _plain(f"{count} series not compared: {plain(differences or 'other conditions')}", width)


def _named(what: str, names: Sequence[str], width: int) -> Iterator[Line]:
    if names:
        rest = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        yield from _plain(f"{what}: {plain(', '.join(names[:_MOST_NAMES]))}{rest}", width)


def _warnings(warnings: Iterable[str], width: int) -> Iterator[Line]:
    for warning in warnings:
        yield from (Line(text, {"yellow": True}) for text in wrap(f"warning: {plain(warning)}", width))


def gate_method(result: GateResult) -> str:
    """How much was measured and run, and what bounds the chance of a false alarm."""
    decided = "none had to be decided" if not result.decided else f"{count_of(result.decided, 'test')} decided"
    took = f"{count_of(result.tests, 'test')} measured, {decided}, {count_of(result.sessions, 'session')} run"
    return f"{took}; {_bound(result.plan)}" if result.plan else took


def _bound(plan: Plan) -> str:
    least, most = plan.sessions
    sessions = f"{least} to {most}" if least != most else str(most)
    ranks = f", r = {plan.rank}"
    return (
        f"{plan.series} series, {sessions} sessions of history each{ranks}: k = {plan.attempts} attempts;"
        f" chance of any false alarm at most {100 * plan.bound:.2g} %"
    )


def _plain(text: str, width: int) -> Iterator[Line]:
    return map(Line, wrap(text, width))
