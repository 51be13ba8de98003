"""What is folded below the verdict: every test with its figures, how it was decided, and the environment."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.figures import FIGURES, Reading, each, greatest
from pytest_tfmem.pullrequest.escaping import code, nodeid, prose
from pytest_tfmem.pullrequest.fitting import Block
from pytest_tfmem.pullrequest.wording import SYMBOLS
from pytest_tfmem.report.gate import gate_method
from pytest_tfmem.report.sections import in_order, section_name, section_peaks
from pytest_tfmem.units import count_of, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.digest.model import Digest, Told
    from pytest_tfmem.figures import Measurement, Section

_ORDER = list(SYMBOLS)
_MOST_SOURCES = 4
_SECTIONS = "| Test | Section | Times | At most |\n|---|---|--:|---|\n"


def all_tests(digest: Digest, *, importance: int) -> Iterator[Block]:
    """The tests with the greatest reading of each figure, what is not fine first."""
    told = sorted(digest.tests, key=lambda one: _ORDER.index(one.weight))
    if not told:
        return
    figures = [figure for figure in FIGURES if any(greatest(one.test.readings.get(figure)) for one in told)]
    columns = f"| | Test |{''.join(f' {code(figure)} |' for figure in figures)}\n|---|---|{'--:|' * len(figures)}\n"
    yield Block(
        importance=importance,
        before=f"<details>\n<summary>{_title(len(told))}</summary>\n\n{_sources(told, figures)}{columns}",
        count=len(told),
        rows=(_row(one, figures) for one in told),
        after="\n</details>\n\n",
        rest=_more_tests,
    )


def sections(digest: Digest, *, importance: int) -> Iterator[Block]:
    """What the sections of the tests have held, test by test."""
    rows = [_section_row(one.test, section) for one in digest.tests for section in in_order(one.test.sections)]
    if not rows:
        return
    yield Block(
        importance=importance,
        before=f"<details>\n<summary>Sections of tests</summary>\n\n{_SECTIONS}",
        count=len(rows),
        rows=rows,
        after="\n</details>\n\n",
        rest=lambda left_out: f"And {count_of(left_out, 'more section')} of tests, not shown here.\n\n",
    )


def _section_row(test: Measurement, section: Section) -> str:
    peaks = ", ".join(f"{code(name)} {format_size(one.bytes)}" for name, one in section_peaks(section))
    died = "open when the process died" if section.open_at_death else ""
    most = ", ".join(filter(None, (peaks, died)))
    return f"| {nodeid(test.nodeid)} | {code(section_name(section))} | {section.entered} | {most} |"


def conditions(digest: Digest, *, importance: int) -> Iterator[Block]:
    """How it was decided, and under which conditions it was measured."""
    rows = [*_settled(digest), *_environment(digest)]
    yield Block(
        importance=importance,
        before="<details>\n<summary>How this was decided, and where it ran</summary>\n\n",
        count=len(rows),
        rows=rows,
        after="\n</details>\n",
        rest=lambda _: "- and more, which did not fit here\n",
    )


def _title(tests: int) -> str:
    return "The test and its figures" if tests == 1 else f"All {tests:,} tests and their figures"


def _more_tests(left_out: int) -> str:
    return f"And {count_of(left_out, 'more test')}, not shown here: `tfmem report -o report.html` has them all.\n\n"


def _row(one: Told, figures: Sequence[str]) -> str:
    cells = "".join(f" {_cell(one, figure)} |" for figure in figures)
    return f"| {SYMBOLS[one.weight]} | {nodeid(one.test.nodeid)} |{cells}"


def _cell(one: Told, figure: str) -> str:
    readings = each(one.test.readings.get(figure))
    most = greatest(one.test.readings.get(figure))
    if most is None:
        return "not measured" if readings else ""
    several = sum(isinstance(reading, Reading) for reading in readings)
    return f"{format_size(most.bytes)}{f' (most of {several} GPUs)' if several > 1 else ''}"


def _sources(told: Sequence[Told], figures: Sequence[str]) -> str:
    """How each figure was got: `rss` lower-bound by VmHWM."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for one in told:
        for figure in figures:
            for reading in each(one.test.readings.get(figure)):
                if isinstance(reading, Reading):
                    found[figure][f"{reading.exactness} by {code(reading.source, most=60)}"] = None
    texts = (f"{code(figure)} {' or '.join([*ways][:_MOST_SOURCES])}" for figure, ways in found.items())
    return f"{'; '.join(texts)}\n\n" if found else ""


def _settled(digest: Digest) -> Iterator[str]:
    if digest.gate:
        yield f"- {prose(gate_method(digest.gate), most=1000)}"
    elif digest.held_against:
        runs = count_of(digest.held_against, "earlier run")
        yield f"- Held against {runs} of the same tests under the same conditions. What history alone says only warns."
    if digest.run:
        yield from _told("run", msgspec.to_builtins(digest.run))


def _environment(digest: Digest) -> Iterator[str]:
    if digest.environment:
        yield from _told("", msgspec.to_builtins(digest.environment))


def _told(of: str, value: object) -> Iterator[str]:
    """A line for each value, by the names that lead to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _told(f"{of} {name}".strip(), inner)
    elif value not in (None, [], ""):
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield f"- {prose(of.replace('_', ' '), most=100)}: {code(text)}"
