"""Whole sessions of several commits, in turn: so that what the machine does meanwhile, it does to all of them."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tfmem.attempts.revision import CannotBeBuiltError, revision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_tfmem.attempts.checkout import Checkout
    from pytest_tfmem.history.recorded import RecordedRun


def in_turn(
    commits: Mapping[str, str],
    checkout: Checkout,
    *,
    sessions: int,
    arguments: Sequence[str],
    say: Callable[[str, int, int], None],
) -> dict[str, list[RecordedRun]]:
    """So many sessions of each commit, by the name that it is given: first one of each, then the next.

    The names are folders' names. `say` is told of each session when it begins, and how many of how many have ended.
    Raises CannotBeBuiltError for a commit that cannot be measured.
    """
    found: dict[str, list[RecordedRun]] = {name: [] for name in commits}
    with tempfile.TemporaryDirectory(prefix="tfmem-compare-") as folder, ExitStack() as stack:
        sides = {
            name: stack.enter_context(revision(name, commit, checkout, Path(folder), arguments=arguments))
            for name, commit in commits.items()
        }
        turns = list(product(range(1, sessions + 1), sides.items()))
        for ended, (number, (name, side)) in enumerate(turns):
            say(f"session {number} of {sessions} of {name}", ended, len(turns))
            done = side.whole()
            if done.run is None:
                raise CannotBeBuiltError(f"{name}: {done.said}")
            if done.said:
                say(f"{name}: {done.said}", ended + 1, len(turns))
            found[name].append(done.run)
    return found
