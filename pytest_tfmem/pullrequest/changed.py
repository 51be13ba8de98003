"""What a change does to the budgets and to the tests themselves: raised limits, tests renamed, gone and new."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_tfmem.pullrequest.escaping import code, nodeid, prose
from pytest_tfmem.pullrequest.fitting import Block
from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.budgets.raises import Raise
    from pytest_tfmem.digest.model import Digest
    from pytest_tfmem.gate.result import GateResult

_MOST_NAMES = 5
_MOST_RAISED = 10  # so that there is room for what fails
_MOST_WARNINGS = 10


def raised(digest: Digest, *, importance: int) -> Iterator[Block]:
    """What the change allows that its base did not: for the eyes of whoever owns the budgets."""
    ones = digest.gate.raised if digest.gate else []
    if ones:
        rows = [*map(_raised, ones[:_MOST_RAISED]), *_more(len(ones) - _MOST_RAISED)]
        yield Block(
            importance=importance,
            before="**This change allows more than its base does:**\n\n",
            count=len(rows),
            rows=rows,
            after="\n",
            rest=lambda rows: f"- and {rows:,} more\n\n",
        )


def _raised(one: Raise) -> str:
    of = "" if one.test == "defaults" else f" of {nodeid(one.test)}"
    moved = f", before in {code(one.where_before)}" if one.where_before not in {"", one.where} else ""
    allowed = f"{prose(one.before, most=100)} → {prose(one.after, most=100)}"
    return f"- {code(one.figure) or 'everything'}{of}: {allowed} ({code(one.where)}{moved})"


def besides(digest: Digest, *, importance: int) -> Iterator[Block]:
    """What the reader should know of how this was found, and of the tests that the base had, or had not."""
    warnings = [*(digest.gate.warnings if digest.gate else []), *digest.notices]
    rows = [*(f"- ⚠️ {prose(one)}" for one in warnings[:_MOST_WARNINGS]), *_more(len(warnings) - _MOST_WARNINGS)]
    rows += _changed(digest.gate) if digest.gate else []
    if rows:
        yield Block(
            importance=importance,
            count=len(rows),
            rows=rows,
            after="\n",
            rest=lambda left_out: f"- and {left_out:,} more, which did not fit here\n\n",
        )


def _changed(gate: GateResult) -> Iterator[str]:
    yield from _named("Renamed", [f"{nodeid(one.nodeid)} (was {nodeid(one.renamed_from)})" for one in gate.renamed])
    yield from _named("Gone, so that they were not judged", [*map(nodeid, gate.gone)])
    new = dict.fromkeys(one.nodeid for one in gate.judged if one.verdict == "new")
    if gate.runs:
        yield from _named("New, so that their limits alone were judged", [*map(nodeid, new)])
    flaky = {one.nodeid: note for one in gate.judged for note in one.notes if one.verdict == "ok"}
    yield from _named("Measured all the same", [f"{nodeid(one)}: {prose(note)}" for one, note in flaky.items()])
    stale = [f"the {one.kind} for {nodeid(one.test)} ({code(one.where)})" for one in gate.stale]
    yield from _named("Stale, as no test matches", stale)
    found = Counter(", ".join(one.notes) for one in gate.judged if one.verdict == "incomparable")
    for differences, count in found.most_common(_MOST_NAMES):
        series = "1 figure was" if count == 1 else f"{count_of(count, 'figure')} were"
        yield f"- {series} not compared: {prose(differences or 'other conditions')}"


def _more(left_out: int) -> list[str]:
    return [f"- and {left_out:,} more"] if left_out > 0 else []


def _named(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        rest = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
        yield f"- {what}: {', '.join(names[:_MOST_NAMES])}{rest}"
