"""What held the memory of a test, in at most ten lines: a sentence, then the holders, what is new first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.report.layout import GAP, align, plain, shorten_end, wrap
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_tfmem.explanations import Explanation, Holder

SECTION = "what held the memory"
_MOST_LINES = 10
_LEAST_WIDTH = 40  # a terminal that is narrower folds lines itself
_WIDTH = 79  # of a terminal of 80 columns
_LEAST_SHARE = 0.01  # of the peak: what is less is among the others


def explanation_lines(explanation: Explanation, *, width: int = _WIDTH) -> list[str]:
    """At most ten lines of at most `width` cells: what held the memory, or why that is not known."""
    width = max(width, _LEAST_WIDTH)
    head = wrap(sentence(explanation), width)
    if explanation.failed:
        return head[:_MOST_LINES]
    notes = [shorten_end(f"note: {plain(note)}", width) for note in explanation.notes]
    room = _MOST_LINES - len(head) - len(notes)
    return [*head, *_holder_lines(explanation, room, width), *notes][:_MOST_LINES]


def sentence(explanation: Explanation) -> str:
    """`alive at the peak of rss_growth: 182.1 MiB by memray's count, explained by a second run of 6.0 s`.

    Or why that is not known.
    """
    if explanation.failed:
        return f"{_subject(explanation)}: not explained: {plain(explanation.failed)}"
    text = f"{_subject(explanation)}: {format_size(explanation.peak_bytes)} by {plain(explanation.source)}'s count"
    text += f", explained by a second run of {explanation.seconds:.1f} s"
    if explanation.against:
        fresh = sum(holder.bytes - (holder.before_bytes or 0) for holder in explanation.holders if holder.new)
        text += f"; {format_size(fresh)} of it is new since {plain(explanation.against)}"
    return text


def shown_holders(explanation: Explanation, most: int) -> list[Holder]:
    """The holders that matter: what is new first, then the largest; without those that hold next to nothing."""
    worth = [one for one in explanation.holders if one.bytes >= explanation.peak_bytes * _LEAST_SHARE]
    ordered = sorted(worth or explanation.holders[:1], key=lambda one: (not one.new, -one.bytes))
    return ordered[:most]


def holder_cells(holder: Holder) -> tuple[str, str, str]:
    """Its bytes, marked if it is new; the function and its place; and what was called from there."""
    size = f"{newness(holder)} {format_size(holder.bytes)}".lstrip()
    return size, place(holder), ", ".join(filter(None, [what_of_it(holder), called_from(holder)]))


def newness(holder: Holder) -> str:
    """Against an earlier run: new, grown where it held less then, or nothing."""
    return "" if not holder.new else "grown" if holder.before_bytes else "new"


def what_of_it(holder: Holder) -> str:
    """Its detail: of tensors how many there are, too, as in `3 x float32[300,512]`."""
    detail = plain(holder.detail)
    if holder.kind != "tensor" or holder.count == 1:
        return detail
    return f"{holder.count:,} x {detail}" if detail else f"{holder.count:,} tensors"


def place(holder: Holder) -> str:
    """`tests/test_a.py:4 load`: the line and the function."""
    return f"{plain(holder.where)} {plain(holder.what)}".lstrip()


def called_from(holder: Holder) -> str:
    """`from test_big tests/test_a.py:7`: who called that function, the user's own."""
    return f"from {plain(holder.path[-2])}" if len(holder.path) > 1 else ""


def put_on(report: pytest.TestReport, explanations: Sequence[Explanation]) -> None:
    """Let the explanations stand in the report: in the failure's text if there is one, which JUnit has, too."""
    text = "\n".join(line for one in explanations for line in explanation_lines(one))
    add = getattr(report.longrepr, "addsection", None)
    if report.failed and add is not None:
        add(SECTION, text)
    else:
        report.sections.append((SECTION, text))


def _subject(explanation: Explanation) -> str:
    on = f" on {plain(explanation.device)}" if explanation.device else ""
    return f"alive at the peak of {plain(explanation.figure)}{on}"


def _holder_lines(explanation: Explanation, room: int, width: int) -> list[str]:
    """A line for each holder that matters; and more for what was called there, as far as there is room."""
    shown = shown_holders(explanation, room)
    rest = explanation.peak_bytes - sum(holder.bytes for holder in shown)
    if rest > 0 and shown and len(shown) == room:
        rest += shown.pop().bytes
    rows = [holder_cells(holder) for holder in shown] + ([(format_size(rest), "the rest", "")] if rest > 0 else [])
    left = room - len(rows)
    lines = []
    for size, (_, what, detail) in zip(align([[row[0]] for row in rows], ">"), rows, strict=True):
        indent = " " * (len(size) + 2 * len(GAP))
        text = f"{GAP}{size}{GAP}{what}{GAP}{detail}".rstrip()
        whole = wrap(text, width, indent=f"{indent}{GAP}", breaks=r"(?<=\S) ")
        fits = len(whole) - 1 <= left
        left -= len(whole) - 1 if fits else 0
        lines += whole if fits else [shorten_end(text, width)]
    return lines
