"""Tests that were spawned where a fork would have been cheaper, by reason."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_tfmem.report.layout import Line, plain, wrap
from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.figures import Measurement

_MOST = 10  # reasons, each with its file in it


def spawned_lines(measurements: Sequence[Measurement], *, width: int) -> Iterator[Line]:
    """`spawned, not forked: tests/test_x.py made tensors when imported: 6 threads (3 tests)`, once for each reason."""
    reasons = Counter(test.why_spawned for test in measurements if test.why_spawned).most_common()
    for reason, count in reasons[:_MOST]:
        yield from _lines(f"spawned, not forked: {reason} ({count_of(count, 'test')})", width)
    if rest := sum(count for _, count in reasons[_MOST:]):
        yield from _lines(
            f"spawned, not forked, for other reasons: {count_of(rest, 'test')} (see the run document)", width
        )


def _lines(text: str, width: int) -> Iterator[Line]:
    yield from (Line(line) for line in wrap(plain(text), width))
