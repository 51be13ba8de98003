"""Two sets of runs side by side, as `tfmem compare` shows them: values in, lines out."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pytest_tfmem.gate.decide import LEAST_ATTEMPTS
from pytest_tfmem.gate.sidebyside import most_by_chance
from pytest_tfmem.history.commits import shortened
from pytest_tfmem.report.layout import Line, plain, shorten_middle, wrap
from pytest_tfmem.report.rows import Row, table_of_tests
from pytest_tfmem.report.sizes import format_growths, format_pairs, format_percent
from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_tfmem.gate.sidebyside import Comparison, Missing, Pair, PairStanding, Side

_MARKUP: dict[PairStanding, dict[str, bool]] = {
    "regressed": {"red": True},
    "grew": {"yellow": True},
    "shrank": {"green": True},
    "steady": {},
    "not judged": {},
}
_CHANGED: tuple[PairStanding, ...] = ("regressed", "grew", "shrank")
_MOST_NAMES = 5
_NARROWEST = 40


def comparison_lines(comparison: Comparison, *, sides: tuple[Side, Side], width: int, complete: bool) -> list[Line]:
    """All lines, none wider than `width` cells (or 40, if that is more).

    Unless `complete`, only what changed by more than its tolerance, and only the first few ids of what has no row.
    """
    width = max(width, _NARROWEST)
    blocks = [
        [line for name, side in zip("AB", sides, strict=True) for line in _wrapped(f"{name}: {_side(side)}", width)],
        _table(comparison.pairs if complete else comparison.standing(*_CHANGED), width),
        [*_without_rows(comparison, width=width, most=None if complete else _MOST_NAMES)],
        [line for text in _remarks(comparison) for line in _wrapped(text, width)],
        _wrapped(closing_line(comparison), width),
    ]
    filled = [block for block in blocks if block]
    return [line for number, block in enumerate(filled) for line in ([Line("")] if number else []) + block]


def _side(side: Side) -> str:
    """`main (3f2a1bc09), 3 sessions run now`; `.tfmem/runs, 20 sessions, 2026-07-01 to 2026-07-29`."""
    first, last = (f"{at:%Y-%m-%d}" for at in (side.first_started_at, side.last_started_at))
    when = f", {first}" if first == last else f", {first} to {last}"
    commit = f" ({shortened(side.commit)})" if side.commit else ""
    count = "1 session" if len(side.runs) == 1 else f"{len(side.runs)} sessions"
    return f"{side.name}{commit}, {count}{' run now' if side.measured else when}"


def closing_line(comparison: Comparison) -> str:
    """How many series were compared, and how they stand: of those that are not judged, that they are not."""
    tests = len({pair.nodeid for pair in comparison.pairs})
    counts = [f"{len(found)} {word}" for word, found in _counted(comparison) if found]
    said = f"compared {len(comparison.pairs)} readings of {count_of(tests, 'test')}"
    return f"{said}: {', '.join(counts)}" if counts else "nothing could be compared"


def _counted(comparison: Comparison) -> Iterator[tuple[str, list[Pair]]]:
    for standing in _CHANGED:
        yield standing, comparison.standing(standing)
    yield "within the tolerance", comparison.standing("steady")
    yield "not judged", comparison.standing("not judged")


def _table(pairs: Sequence[Pair], width: int) -> list[Line]:
    cells, columns, sides = _cells(pairs), ["figure", *_heads(pairs), "change", ""], "<>>>>"
    if len({_sessions(pair) for pair in pairs}) > 1:
        cells = [(*row, _sessions(pair)) for row, pair in zip(cells, pairs, strict=True)]
        columns, sides = [*columns, "sessions"], sides + "<"
    rows = [
        Row(standing=pair.standing, nodeid=pair.nodeid, cells=row, markup=_MARKUP[pair.standing])
        for pair, row in zip(pairs, cells, strict=True)
    ]
    longest = max((len(pair.standing) for pair in pairs), default=0)
    return table_of_tests(rows, columns=columns, sides=sides, width=width, standing=longest)


def _cells(pairs: Sequence[Pair]) -> list[tuple[str, ...]]:
    medians = [(pair.a.median_bytes, pair.b.median_bytes) for pair in pairs]
    several = {pair.figure for pair in pairs if pair.gpu}
    names = (f"{pair.figure} (GPU:{pair.gpu})" if pair.figure in several else pair.figure for pair in pairs)
    return [
        (name, *size, format_percent(*both), growth)
        for name, both, size, growth in zip(names, medians, format_pairs(medians), format_growths(medians), strict=True)
    ]


def _heads(pairs: Iterable[Pair]) -> tuple[str, str]:
    several = any(len(pair.a.bytes) > 1 or len(pair.b.bytes) > 1 for pair in pairs)
    return ("median A", "median B") if several else ("A", "B")


def _sessions(pair: Pair) -> str:
    return f"{len(pair.a.bytes)} and {len(pair.b.bytes)}"


def _without_rows(comparison: Comparison, *, width: int, most: int | None) -> Iterator[Line]:
    by_difference = sorted(comparison.incomparable, key=lambda one: one.differences)
    for differences, group in groupby(by_difference, key=lambda one: one.differences):
        names = list(dict.fromkeys(one.nodeid for one in group))
        title = f"incomparable, for the conditions differ ({', '.join(differences)}): {count_of(len(names), 'test')}"
        yield from _listed(title, names, width, most, {"yellow": True})
    for said, missing in groupby(sorted(comparison.missing, key=_said), key=_said):
        names = [one.nodeid for one in missing]
        yield from _listed(f"{said}: {count_of(len(names), 'test')}", names, width, most, {"yellow": True})
    for side, names in (("A", comparison.only_a), ("B", comparison.only_b)):
        if names:
            yield from _listed(f"only in {side}: {count_of(len(names), 'test')}", names, width, most, {})


def _said(missing: Missing) -> str:
    return f"no {', '.join(missing.figures)} in {missing.side.upper()} ({missing.why})"


def _listed(title: str, names: Sequence[str], width: int, most: int | None, markup: dict[str, bool]) -> Iterator[Line]:
    yield from _wrapped(title, width, markup)
    for name in names[:most]:
        yield Line(f"  {shorten_middle(plain(name), width - 2)}", markup)
    if most is not None and len(names) > most:
        yield Line(f"  and {len(names) - most} more (--all shows them)", markup)


def _remarks(comparison: Comparison) -> Iterator[str]:
    told = comparison.standing("regressed")
    if told:
        chance = max(most_by_chance(pair) for pair in told)
        yield (
            "regressed: every session of B is above every one of A, which of a test that did not change is so by"
            f" chance in {100 * chance:.2g} % of the cases at most"
        )
    few = [pair for pair in comparison.standing("grew") if min(len(pair.a.bytes), len(pair.b.bytes)) < LEAST_ATTEMPTS]
    if few:
        yield (
            f"grew: by more than the tolerance; whether by more than noise is told from {LEAST_ATTEMPTS} sessions of"
            " each on"
        )


def _wrapped(text: str, width: int, markup: dict[str, bool] | None = None) -> list[Line]:
    return [Line(part, markup or {}) for part in wrap(plain(text), width)]
