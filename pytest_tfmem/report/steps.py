"""Where series of a history went to another level, and what was committed in between: values in, lines out."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pytest_tfmem.figures import GPU_FIGURES
from pytest_tfmem.history.commits import shortened
from pytest_tfmem.report.layout import GAP, Line, align, plain, shorten_end, shorten_middle, wrap
from pytest_tfmem.report.sizes import format_growths, format_pairs, format_percent
from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.gate.stepped import Stand, Step

_HEAD = ("figure", "before", "after", "change", "", "runs")
_SIDES = "<>>>><"
_NARROWEST = 40


def step_lines(found: Sequence[Step], *, series: int, runs: int, others: int, width: int) -> list[Line]:
    """The steps, in their order, and a closing line; none wider than `width` cells (or 40, if that is more).

    Steps between the same two runs stand together, above the commits that lie in between. `series`: how many were
    looked at, of so many `runs`; `others`: how many runs of other code.
    """
    width = max(width, _NARROWEST)
    texts = iter(align([_HEAD, *_cells(found)], _SIDES))
    head = next(texts)
    lines: list[Line] = []
    for (last, first), group in groupby(found, key=lambda step: (step.last, step.first)):
        steps = list(group)
        lines += [Line(text, {"bold": True}) for text in wrap(_between(last, first), width)]
        lines.append(Line(shorten_end(f"{GAP * 2}{head}", width)))
        for nodeid, of_test in groupby(zip(steps, texts, strict=False), key=lambda one: one[0].key.nodeid):
            lines.append(Line(f"{GAP}{shorten_middle(plain(nodeid), width - len(GAP))}"))
            lines += [Line(shorten_end(f"{GAP * 2}{text}", width), _markup(step)) for step, text in of_test]
        lines += [*_commits(steps[0], width), Line("")]
    return [*lines, *(Line(text) for text in wrap(_closing(found, series=series, runs=runs, others=others), width))]


def _closing(found: Sequence[Step], *, series: int, runs: int, others: int) -> str:
    passed_over = f"; {count_of(others, 'run')} of other branches or changed work trees left out" if others else ""
    said = f"looked at {series} series of {count_of(runs, 'run')}{passed_over}"
    if not found:
        return f"{said}: no step"
    return f"{said}: {count_of(len(found), 'step')} in {len({step.key for step in found})} of them"


def _markup(step: Step) -> dict[str, bool]:
    return {"yellow": True} if step.change_bytes > 0 else {"green": True}


def _cells(found: Sequence[Step]) -> list[tuple[str, ...]]:
    pairs = [(step.before_bytes, step.after_bytes) for step in found]
    several = any(step.key.gpu for step in found)
    return [
        (_figure(step, several), *sizes, format_percent(*pair), growth, f"{step.before_runs} -> {step.after_runs}")
        for step, pair, sizes, growth in zip(found, pairs, format_pairs(pairs), format_growths(pairs), strict=True)
    ]


def _figure(step: Step, several: bool) -> str:
    return f"{step.key.figure} (GPU:{step.key.gpu})" if several and step.key.figure in GPU_FIGURES else step.key.figure


def _between(last: Stand, first: Stand) -> str:
    return f"between {_stand(last)} and {_stand(first)}"


def _stand(stand: Stand) -> str:
    """When a run began, and of which commit it was."""
    commit = f"commit {plain(shortened(stand.commit))}" if stand.commit else f"run {plain(shortened(stand.run_id))}"
    return f"{stand.started_at:%Y-%m-%d %H:%M} ({commit}{' with changes' if stand.dirty else ''})"


def _commits(step: Step, width: int) -> Iterator[Line]:
    for text in committed(step):
        yield Line(f"{GAP}{shorten_end(plain(text), width - len(GAP))}")


def committed(step: Step) -> Iterator[str]:
    """What was committed between the two runs, as far as git knows; the rest is not invented."""
    before, after, between = step.last.commit, step.first.commit, step.between
    if not before or not after:
        yield "which commits lie in between is not known"
    elif before == after:
        changed = step.last.dirty or step.first.dirty
        yield "the same commit, with changes" if changed else "the same commit: not the code, but what it runs on"
    elif between is None:
        yield f"git does not know the commits between {shortened(before)} and {shortened(after)} here"
    else:
        yield _title(between.count, back=between.backwards)
        yield from (f"{GAP}{commit.short} {commit.subject}" for commit in between.commits)
        if between.count > len(between.commits):
            yield f"{GAP}and {between.count - len(between.commits)} more"


def _title(count: int, *, back: bool) -> str:
    return f"{count_of(count, 'commit')} {'taken back' if back else 'in between'}:"
