"""Which tests and files come next, so that what they need is made ready while another test still runs."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from pytest_tfmem.errors import TfmemError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pytest_tfmem.isolate.order import Order
    from pytest_tfmem.isolate.starter import Starter


class Ahead:
    """Looks ahead in one session.

    `wants(item)` tells whether a test is to be measured, `order_for(item)` makes an order for it, and
    `early_order_for(item)` one without waiting for anything, which is enough for a server. `starter()` is asked for
    only when there is a test to be measured: it loads what is heavy.
    """

    def __init__(
        self,
        starter: Callable[[], Starter],
        *,
        wants: Callable[[pytest.Item], bool],
        order_for: Callable[[pytest.Item], Order],
        early_order_for: Callable[[pytest.Item], Order],
    ) -> None:
        self._starter = starter
        self._wants = wants
        self._order_for = order_for
        self._early_order_for = early_order_for
        self._is_warm = False
        self._knows_all = False
        self._next: dict[pytest.Item, pytest.Item] = {}
        self._next_file: dict[pytest.Item, pytest.Item | None] = {}
        self._opened: pytest.Item | None = None  # the first test of the file that was opened ahead last
        self._left: Counter[Path] = Counter()

    def collected(self, nodes: Iterable[object]) -> None:
        """While pytest collects: have a server started, once there is a test for it."""
        if not self._is_warm:
            found = next((node for node in nodes if isinstance(node, pytest.Item) and self._wants(node)), None)
            self._is_warm = found is not None
            if found is not None:
                self._have(self._starter().warm_up, found, self._early_order_for)

    def all_collected(self, items: Sequence[pytest.Item]) -> None:
        """These tests will run, in this order: have the first file ready. Not to be called where nobody knows yet."""
        self._knows_all = True
        wanted = [item for item in items if self._wants(item)]
        for item, following in reversed([*pairwise(wanted)]):
            self._next[item] = following
            self._next_file[item] = following if item.path != following.path else self._next_file.get(following)
        self._left.update(item.path for item in wanted)
        if wanted:
            self._have(self._starter().open_file, wanted[0])

    def started(self, item: pytest.Item, following: pytest.Item | None) -> None:
        """While this test runs: have the next one's process ready, and the next file. `following` as pytest has it."""
        if self._knows_all:
            following = self._next.get(item)
        if following is None:
            return
        if following.path == item.path:
            self._have(self._starter().expect, following)
        elif not self._knows_all:
            self._have(self._starter().open_file, following)
        if (next_file := self._next_file.get(item)) is not self._opened:
            self._opened = next_file
            self._have(self._starter().open_file, next_file)

    def ended(self, item: pytest.Item) -> None:
        """The test is over: if it was the last of its file, nothing more is kept ready for that."""
        self._left[item.path] -= 1
        if self._knows_all and self._left[item.path] == 0:
            self._starter().close_file(os.fsencode(item.path))

    def _have(
        self,
        made_ready: Callable[[Order], None],
        item: pytest.Item | None,
        order_for: Callable[[pytest.Item], Order] | None = None,
    ) -> None:
        if item is None or not self._wants(item):
            return
        # What is wrong with it is said when its turn comes.
        with contextlib.suppress(TfmemError, OSError):
            made_ready((order_for or self._order_for)(item))
