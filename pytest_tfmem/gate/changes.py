"""What became of each series of a run, held against its history."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from pytest_tfmem.figures import Exactness
from pytest_tfmem.history.series import SeriesKey

Standing = Literal["regressed", "suspect", "improved", "steady", "new", "incomparable"]


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What a series was before: one value for each earlier session since its last step, the oldest first.

    `since` and `since_commit` are of the first of them.
    """

    values: list[int]
    since: dt.datetime
    since_commit: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One series, before and now.

    `before_bytes`: the median of the baseline, None where there is none. `floor_bytes`: a change counts if it is more
    than this. `differences`: of an incomparable series, how its conditions differ from those that have a history.
    """

    key: SeriesKey
    standing: Standing
    now_bytes: int
    exactness: Exactness
    before_bytes: int | None = None
    floor_bytes: int = 0
    baseline: Baseline | None = None
    differences: list[str] = []
