"""The block "memory regressions": what a run needs more or less of than earlier runs did, and what decides it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from pytest_tfmem.figures import GPU_FIGURES
from pytest_tfmem.gate.nominate import LEAST_SESSIONS
from pytest_tfmem.history.commits import shortened
from pytest_tfmem.report.commands import command_lines, nameable
from pytest_tfmem.report.layout import GAP, Line, plain, shorten_end, wrap
from pytest_tfmem.report.rows import Row, table_of_tests
from pytest_tfmem.report.sizes import format_growths, format_pairs, format_percent
from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.gate.changes import Baseline, Change, Standing

_COLUMNS = ("figure", "before", "now", "change", "")
_SIDES = "<>>>>"
_STANDING = 9  # cells of the longest standing of a row, "regressed"
_GREW: tuple[Standing, ...] = ("regressed", "suspect")
_SHOWN: tuple[Standing, ...] = (*_GREW, "improved")
CHANGE_MARKUP: dict[Standing, dict[str, bool]] = {
    "regressed": {"red": True},
    "suspect": {"yellow": True},
    "improved": {"green": True},
}
_MOST_ROWS = 10  # of each standing
_MOST_DIFFERENCES = 3
_MOST_TESTS_OF_A_COMMAND = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAgainst:
    """What became of the series of a run, held against those of `runs` earlier runs.

    `base`: the revision that a suspect is to be decided against, empty where nobody knows one. `uncommitted`: the code
    that ran is no commit's. `trims`: whether a figure that has improved has a limit. `unread`: there are
    earlier runs that could not be read, or may be.
    """

    changes: Sequence[Change] = ()
    runs: int = 0
    base: str = ""
    uncommitted: bool = False
    trims: bool = False
    unread: bool = False


def regression_lines(held: HeldAgainst, *, width: int, verbosity: int) -> list[Line]:
    """The block's lines: nothing where nothing changed, or where there is nothing to hold the run against.

    With `verbosity` above 0 every row, and how many series are new or steady; below, only what has regressed.
    """
    complete = verbosity > 0
    shown = _SHOWN if verbosity >= 0 else _SHOWN[:1]
    by_standing = {standing: _worst_first(held.changes, standing) for standing in shown}
    most = len(held.changes) if complete else _MOST_ROWS
    lines = [
        *_table([change for changes in by_standing.values() for change in changes[:most]], width),
        *chain.from_iterable(_left_out(standing, changes[most:], width) for standing, changes in by_standing.items()),
    ]
    if verbosity >= 0:
        lines += [*_advice(by_standing, held, width), *_not_compared(held.changes, width)]
    if complete:
        lines += _counted(held, width)
    return [_title(by_standing, width), *lines] if lines else []


def counted(held: HeldAgainst) -> str:
    """`1 regressed, 2 suspect`: how many series have grown, for the line that closes the summary."""
    counts = Counter(change.standing for change in held.changes)
    return ", ".join(f"{counts[standing]} {standing}" for standing in _GREW if counts[standing])


def worst_change(held: HeldAgainst) -> Standing | None:
    """The worst that became of any series, if any has grown."""
    return next((standing for standing in _GREW if any(one.standing == standing for one in held.changes)), None)


def _title(by_standing: dict[Standing, list[Change]], width: int) -> Line:
    grew = any(by_standing.get(standing) for standing in _GREW)
    title = "memory regressions" if grew else "memory, held against earlier runs"
    return Line(shorten_end(title, width), {"bold": True})


def _worst_first(changes: Sequence[Change], standing: Standing) -> list[Change]:
    """Those that have changed the most, for their size; a test's own stay together, at the place of its worst."""
    found = [change for change in changes if change.standing == standing]
    worst: dict[str, float] = {}
    for change in found:
        worst[change.key.nodeid] = max(_share(change), worst.get(change.key.nodeid, 0.0))
    return sorted(found, key=lambda change: (-worst[change.key.nodeid], change.key.nodeid, -_share(change), change.key))


def _share(change: Change) -> float:
    before = change.before_bytes or 0
    return abs(change.now_bytes - before) / before if before else float("inf")


def _table(changes: Sequence[Change], width: int) -> list[Line]:
    rows = [
        Row(
            standing=change.standing,
            nodeid=change.key.nodeid,
            cells=cells,
            remark=_since(change.baseline),
            markup=CHANGE_MARKUP[change.standing],
        )
        for change, cells in zip(changes, _cells(changes), strict=True)
    ]
    return table_of_tests(rows, columns=_COLUMNS, sides=_SIDES, width=width, standing=_STANDING)


def _cells(rows: Sequence[Change]) -> list[tuple[str, ...]]:
    pairs = [(row.before_bytes or 0, row.now_bytes) for row in rows]
    several = any(row.key.gpu for row in rows)
    return [
        (_figure(row, several), before, now, format_percent(*pair), growth)
        for row, pair, (before, now), growth in zip(
            rows, pairs, format_pairs(pairs), format_growths(pairs), strict=True
        )
    ]


def _figure(row: Change, several: bool) -> str:
    return f"{row.key.figure} (GPU:{row.key.gpu})" if several and row.key.figure in GPU_FIGURES else row.key.figure


def _since(baseline: Baseline | None) -> str:
    if baseline is None:
        return ""
    commit = f" ({plain(shortened(baseline.since_commit))})" if baseline.since_commit else ""
    return f"steady since {baseline.since:%Y-%m-%d}{commit}, {count_of(len(baseline.values), 'run')}"


def _left_out(standing: Standing, changes: Sequence[Change], width: int) -> Iterator[Line]:
    if changes:
        text = f"{'':{_STANDING}}{GAP}and {len(changes)} more {standing} (-v shows them)"
        yield Line(shorten_end(text, width), CHANGE_MARKUP[standing])


def _advice(by_standing: dict[Standing, list[Change]], held: HeldAgainst, width: int) -> Iterator[Line]:
    suspects = list(dict.fromkeys(change.key.nodeid for change in by_standing["suspect"]))
    if suspects:
        named = nameable(suspects, width=width) if len(suspects) <= _MOST_TESTS_OF_A_COMMAND else []
        # --all: the gate reckons with all tests that a suspect was picked out of, and here they are picked already.
        of = ["--all", *named] if named else []
        once = ", once committed," if held.uncommitted else ""
        yield from _wrapped(f"suspects are decided{once} by running both revisions in turn:", width)
        command = ["tfmem", "gate", "--base", held.base or "BASE", *of]
        yield from map(Line, command_lines(command, width=width))
    if by_standing["improved"] and held.trims:
        text = f"after {LEAST_SESSIONS} runs at the new level, limits in the budgets file may be lowered by:"
        yield from _wrapped(text, width)
        yield from map(Line, command_lines(["pytest", "--tfmem-update=trim"], width=width))


def _not_compared(changes: Sequence[Change], width: int) -> Iterator[Line]:
    found = Counter(tuple(change.differences) for change in changes if change.standing == "incomparable")
    for differences, count in found.most_common(_MOST_DIFFERENCES):
        yield from _wrapped(
            f"{count} series not compared: {plain(', '.join(differences) or 'other conditions')}", width
        )
    rest = sum(count for _, count in found.most_common()[_MOST_DIFFERENCES:])
    if rest:
        yield from _wrapped(f"{rest} series not compared, for other differences", width)


def _counted(held: HeldAgainst, width: int) -> Iterator[Line]:
    if not held.runs:
        what = "no earlier run could be read" if held.unread else "there is no earlier run"
        yield from _wrapped(f"{what} to hold this one against", width)
        return
    counts = Counter(change.standing for change in held.changes)
    text = f"held against {count_of(held.runs, 'earlier run')}: {counts['steady']} series steady, {counts['new']} new"
    yield from _wrapped(text, width)


def _wrapped(text: str, width: int) -> Iterator[Line]:
    return map(Line, wrap(text, width))
