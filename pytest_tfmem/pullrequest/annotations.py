"""A digest as GitHub's annotations: at the test, at the line of its limit, and no more than GitHub shows."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_tfmem.digest.verdict import listed
from pytest_tfmem.pullrequest.places import place_of
from pytest_tfmem.pullrequest.wording import WEIGHTS, change, gpu, remarks, sizes, standing
from pytest_tfmem.pullrequest.workflow import MOST_OF_LEVEL, Annotation, Level
from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_tfmem.budgets.raises import Raise
    from pytest_tfmem.digest.model import Digest, Finding
    from pytest_tfmem.gate.result import Weight
    from pytest_tfmem.pullrequest.places import Place

_LEVELS: dict[Weight, Level] = {"fails": "error", "undecided": "error", "warns": "warning", "fine": "notice"}
_OVER = ("over", "warn")
_LONGEST_ID = 200


def commands(digest: Digest, *, prefix: str) -> str:
    """Workflow commands, a line each, for what is not fine: ten errors and ten warnings at the most, the worst first.

    A last notice counts what is left out. `prefix`: where pytest's root directory is in the repository, "" at its top.
    What is fine has none; a verdict that is not fine has at least one.
    """
    found = [one for one in digest.findings if one.weight != "fine"]
    ones = [*_of_tests(found, prefix), *_of_limits(found, prefix), *_of_gate(digest, prefix)]
    level = _LEVELS[digest.weight]
    if digest.weight != "fine" and all(one.level != level for one in ones):
        title = f"Memory budgets: {WEIGHTS[digest.weight]}"
        ones.insert(0, Annotation(level=level, title=title, lines=(digest.sentence,)))
    errors = [one for one in ones if one.level == "error"]
    warned = [one for one in ones if one.level == "warning"]
    shown = [*errors[:MOST_OF_LEVEL], *warned[:MOST_OF_LEVEL]]
    lines = [*(one.command() for one in shown), *_rest(len(errors), len(warned))]
    return "".join(f"{line}\n" for line in lines)


def _rest(errors: int, warned: int) -> Iterator[str]:
    counts = {"error": errors - MOST_OF_LEVEL, "warning": warned - MOST_OF_LEVEL}
    more = listed([count_of(count, f"more {level}") for level, count in counts.items() if count > 0])
    if more:
        why = f"GitHub shows {MOST_OF_LEVEL} of each from a step"
        line = f"{more} not shown here, as {why}; tfmem report --format markdown has them"
        yield Annotation(level="notice", title="Memory budgets: there is more", lines=(line,)).command()


def _of_tests(found: Iterable[Finding], prefix: str) -> Iterator[Annotation]:
    """One for each test, with all that is to be said of it, by the worst of it."""
    by_test: dict[str, list[Finding]] = defaultdict(list)
    for one in found:
        by_test[one.nodeid].append(one)
    for nodeid, ones in by_test.items():
        worst = ones[0]
        yield Annotation(
            level=_LEVELS[worst.weight],
            title=f"Memory: {standing(worst)}",
            lines=(_shortened(nodeid), *map(_line, ones)),
            place=place_of(worst.defined, prefix=prefix),
        )


def _of_limits(found: Sequence[Finding], prefix: str) -> Iterator[Annotation]:
    """One for each line with a limit that tests are over, but for the markers of these tests: there is one already."""
    by_line: dict[Place, list[Finding]] = defaultdict(list)
    for one in found:
        place, test = place_of(one.where, prefix=prefix), place_of(one.defined, prefix=prefix)
        if one.kind in _OVER and place and not (test and test.file == place.file):
            by_line[place].append(one)
    for place, ones in by_line.items():
        tests = len({one.nodeid for one in ones})
        yield Annotation(
            level=_LEVELS[ones[0].weight],
            title=f"Memory: {'a test is' if tests == 1 else f'{tests} tests are'} over this limit",
            lines=tuple(f"{_shortened(one.nodeid)}: {_figure(one)}" for one in ones),
            place=place,
        )


def _of_gate(digest: Digest, prefix: str) -> Iterator[Annotation]:
    if digest.gate:
        yield from (_raised(one, prefix) for one in digest.gate.raised)
        for warning in digest.gate.warnings:
            yield Annotation(level="warning", title="Memory budgets: a warning", lines=(warning,))


def _raised(one: Raise, prefix: str) -> Annotation:
    figure = f"{one.figure} of " if one.figure else ""
    line = f"{figure}{_shortened(one.test)}: {one.before} → {one.after}"
    place = place_of(one.where, prefix=prefix)
    return Annotation(level="warning", title="Memory: this change allows more", lines=(line,), place=place)


def _line(one: Finding) -> str:
    """`over its limit: rss 1.20 GiB > 1.00 GiB (+20.0 %), limit in budgets.yaml:3`"""
    told = [_figure(one), *remarks(one)]
    return f"{standing(one)}: {'; '.join(filter(None, told))}"


def _figure(one: Finding) -> str:
    by = change(one)
    return " ".join(filter(None, [one.figure, gpu(one), sizes(one), f"({by})" if by else ""]))


def _shortened(nodeid: str) -> str:
    return nodeid if len(nodeid) <= _LONGEST_ID else f"{nodeid[: _LONGEST_ID // 2]}…{nodeid[-_LONGEST_ID // 2 :]}"
