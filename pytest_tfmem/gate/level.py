"""What a series is usually at: its level since the last step, and how far it moves by itself."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.gate.median import median
from pytest_tfmem.gate.nominate import LEAST_SESSIONS, improved, nominated
from pytest_tfmem.gate.steps import steps

if TYPE_CHECKING:
    from collections.abc import Sequence

_LATEST = 10  # by then a step is found, or its sessions are many enough to count as the noise of the series


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """The values since the last step, one for each session, and the place of the first of them in the series.

    Fewer than `LEAST_SESSIONS` of them know too little of the noise. Then it is taken from the levels before, too:
    `upward` and `downward` are the most that any session was above and below the median of its own level. One
    session alone may be an outlier and no level: `others` are then the values of the level before it, which counts as
    well. Both are left empty where there are enough sessions.
    """

    values: list[int]
    begin: int = 0
    upward: int = 0
    downward: int = 0
    others: list[int] = []

    @property
    def is_young(self) -> bool:
        """Whether there are fewer sessions since the last step than a nomination by them alone takes."""
        return len(self.values) < LEAST_SESSIONS

    def is_exceeded(self, now_bytes: int, floor_bytes: int) -> bool:
        """Whether a reading is suspect.

        What the latest sessions read that were suspect themselves is not of the change at hand: it is exceeded, too.
        Just after a step it exceeds every session since, too, as what they move by is in `upward`: so the chance is at
        most 1 / (m + 1) there as well.
        """
        if not self.is_young:
            return nominated(now_bytes, self.values, floor_bytes) and now_bytes > _lately(self.values, floor_bytes)
        usual = max(median(self.values), median(self.others or self.values))
        return now_bytes > usual + max(floor_bytes, self.upward)

    def is_undercut(self, now_bytes: int, floor_bytes: int) -> bool:
        """Whether a reading has improved: by the floor below the least that any session would have read."""
        if not self.is_young:
            return improved(now_bytes, self.values, floor_bytes)
        usual = min(median(self.values), median(self.others or self.values))
        return now_bytes < usual - self.downward - floor_bytes


def _lately(values: Sequence[int], floor_bytes: int) -> int:
    """What a reading has to exceed if the latest sessions were each suspect by those before them, else 0.

    They may be a step that is too short yet to be told from noise. Before they are, each further session at that level
    would be suspect for what came before it. The room above them is the noise of the sessions before.
    """
    longest = min(_LATEST, len(values) - LEAST_SESSIONS)
    for length in range(longest, 0, -1):
        before, latest = values[:-length], values[-length:]
        if all(nominated(value, before, floor_bytes) for value in latest):
            return median(latest) + max(floor_bytes, max(before) - median(before))
    return 0


def level_of(values: Sequence[int], *, least_fraction: float = 0.01) -> Level | None:
    """The level of a series, by its values in the order of the sessions; None if these are too few to know any."""
    if len(values) < LEAST_SESSIONS:
        return None
    begins = [0, *steps(values, least_fraction=least_fraction)]
    levels = [list(values[begin:end]) for begin, end in pairwise([*begins, len(values)])]
    if len(levels[-1]) >= LEAST_SESSIONS:
        return Level(values=levels[-1], begin=begins[-1])
    away = [value - median(level) for level in levels for value in level]
    return Level(
        values=levels[-1],
        begin=begins[-1],
        upward=max(away),
        downward=-min(away),
        others=levels[-2] if len(levels[-1]) == 1 else [],
    )
