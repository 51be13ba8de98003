"""What happened on devices beside the figures: allocations that were refused, and waiting for cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.report.layout import Line, plain, shorten_end, shorten_middle, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.figures import Measurement

_INDENT = "  "
_MOST = 10  # tests, unless all are asked for
_WORTH_TELLING_SECONDS = 1.0


def out_of_memory_lines(measurements: Sequence[Measurement], *, width: int, complete: bool) -> list[Line]:
    """The tests to which a GPU's allocator refused memory, each with its sentence; unless `complete` the first ten."""
    refused = [test for test in measurements if test.out_of_memory]
    shown = refused if complete else refused[:_MOST]
    lines = [Line(shorten_end("out of memory on the GPU", width), {"bold": True})] if refused else []
    for test in shown:
        # Who asked for too much on purpose, and went on, has a test that passes.
        markup = {"red" if test.outcome == "failed" else "yellow": True}
        lines.append(Line(f"{_INDENT}{shorten_middle(plain(test.nodeid), width - len(_INDENT))}", markup))
        sentence = test.out_of_memory.removeprefix("out of memory on ")  # which is said above
        texts = wrap(plain(sentence), width - 2 * len(_INDENT), indent="")
        lines += [Line(f"{2 * _INDENT}{text}", markup) for text in texts]
    if len(refused) > len(shown):
        rest = f"{_INDENT}and {len(refused) - len(shown)} more tests (-v shows them)"
        lines.append(Line(shorten_end(rest, width), {"yellow": True}))
    return lines


def waiting_lines(measurements: Sequence[Measurement], *, width: int) -> Iterator[Line]:
    """`waited 12 s in all for GPUs that other tests held`, if that was worth telling."""
    seconds = sum(test.waited_seconds for test in measurements)
    if seconds >= _WORTH_TELLING_SECONDS:
        texts = wrap(f"waited {seconds:,.0f} s in all for GPUs that other tests held", width)
        yield from (Line(text) for text in texts)


def waited(test: Measurement) -> str:
    """`waited 3.2 s for a GPU`, of one test; empty if it did not."""
    return f"waited {test.waited_seconds:,.1f} s for GPUs" if test.waited_seconds >= _WORTH_TELLING_SECONDS else ""
