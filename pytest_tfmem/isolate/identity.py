"""Which test is which: its id as collected, the same in every process that collects it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pytest_tfmem.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLLECTED_ID: pytest.StashKey[str] = pytest.StashKey()
_ORDINALS: pytest.StashKey[dict[int, int]] = pytest.StashKey()  # by id() of the session's items, which it keeps


def remember(item: pytest.Item) -> None:
    """Keep the id that the item was collected with: plugins rename items afterwards (pytest-xdist's `@group`)."""
    item.stash[_COLLECTED_ID] = escaped(item.nodeid)


def collected_id(item: pytest.Item) -> str:
    """The id that the item was collected with, in text that UTF-8 can hold."""
    return item.stash.get(_COLLECTED_ID, escaped(item.nodeid))


def ungrouped(nodeid: str) -> str:
    """The id without the `@group` that pytest-xdist adds to it under `--dist=loadgroup`."""
    at = nodeid.rfind("@")
    return nodeid[:at] if at > nodeid.rfind("]") else nodeid  # within brackets it is a parameter's


def ordinal(item: pytest.Item) -> int:
    """How many items of the session before this one have its id: usually none."""
    ordinals = item.session.stash.get(_ORDINALS, None)
    if ordinals is None:
        ordinals = item.session.stash[_ORDINALS] = _count(item.session.items)
    return ordinals.get(id(item), 0)


def _count(items: Sequence[pytest.Item]) -> dict[int, int]:
    seen: Counter[str] = Counter()
    ordinals = {}
    for item in items:
        ordinals[id(item)] = seen[collected_id(item)]
        seen[collected_id(item)] += 1
    return ordinals


def find(items: Sequence[pytest.Item], test_id: str, index: int) -> pytest.Item | None:
    """The `index`-th of the items that were collected with `test_id`."""
    same = [item for item in items if collected_id(item) == test_id]
    return same[min(index, len(same) - 1)] if same else None


def not_found(items: Sequence[pytest.Item], test_id: str) -> str:
    """What to tell the user when a test's id is not among those of a second collection of its file."""
    import difflib  # noqa: PLC0415  only where a test is not found

    close = difflib.get_close_matches(test_id[:500], [collected_id(item)[:500] for item in items], n=1, cutoff=0.3)
    found = f"the nearest found now is {one_line(close[0])}" if close else f"{len(items)} other tests were found"
    return (
        f"{one_line(test_id)} was not there when its file was collected again in a fresh process ({found});"
        " a test's id has to be the same at every collection: no random numbers, times, addresses or process ids in it"
    )


def escaped(text: str) -> str:
    """`text` with its lone surrogates escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
