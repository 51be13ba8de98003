"""What held the memory of tests that were explained, folded below the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.pullrequest.escaping import code, nodeid, prose
from pytest_tfmem.pullrequest.fitting import Block
from pytest_tfmem.report.explanation import called_from, newness, sentence, shown_holders, what_of_it
from pytest_tfmem.units import count_of, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_tfmem.digest.model import Digest
    from pytest_tfmem.explanations import Explanation, Holder

_MOST_HOLDERS = 8


def explained(digest: Digest, *, importance: int) -> Iterator[Block]:
    """A list of the tests, what held the memory of each in a list of its own."""
    found = [(told.test.nodeid, one) for told in digest.tests for one in told.test.explanations]
    if found:
        yield Block(
            importance=importance,
            before="<details>\n<summary>What held the memory</summary>\n\n",
            count=len(found),
            rows=(_row(name, one) for name, one in found),
            after="\n</details>\n\n",
            rest=lambda left: f"And {count_of(left, 'more explanation')}, not shown here.\n\n",
        )


def _row(name: str, one: Explanation) -> str:
    holders = (f"  - {_holder(holder)}" for holder in shown_holders(one, _MOST_HOLDERS))
    notes = (f"  - {prose(note)}" for note in one.notes)
    return "\n".join([f"- {nodeid(name)}: {prose(sentence(one))}", *holders, *notes])


def _holder(holder: Holder) -> str:
    new = f"**{word}** " if (word := newness(holder)) else ""
    place = " ".join(filter(None, [code(holder.where), code(holder.what)]))
    more = ", ".join(filter(None, [code(what_of_it(holder)), code(called_from(holder))]))
    return f"{new}{format_size(holder.bytes)} {place}{f' ({more})' if more else ''}"
