"""What a digest of a run holds: values, which pages, comments and exports make text of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from pytest_tfmem.figures import Exactness, Measurement
    from pytest_tfmem.gate.changes import Change
    from pytest_tfmem.gate.result import GateResult, Weight
    from pytest_tfmem.gate.stepped import Step
    from pytest_tfmem.history.environment import Environment
    from pytest_tfmem.history.rundocument import Run
    from pytest_tfmem.report.judged import Judged

Kind = Literal[
    "died",
    "over",
    "regressed",
    "failed",
    "out of memory",
    "undecided",
    "not measured",
    "unmeasured",
    "warn",
    "inherited",
    "suspect",
    "xfail",
    "waived",
    "near",
    "improved",
]
# As they are listed.
KINDS: tuple[Kind, ...] = (
    "died",
    "over",
    "regressed",
    "failed",
    "out of memory",
    "undecided",
    "not measured",
    "unmeasured",
    "warn",
    "inherited",
    "suspect",
    "xfail",
    "waived",
    "near",
    "improved",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not plainly well. `weight`: whether the run fails by it.

    `figure` is empty for what is of the whole test. `gpu` is the place of the GPU, None where the figure is not per
    GPU or has only one. `now_bytes`, `allowed_bytes`, `before_bytes`: the reading, the ceiling that it is held
    against, the median of what it was; None where there is none. `runs`: in how many it was that, from `since` on.
    `where`: the line that set the limit. `defined`: the line of the test. `notes`: what else there is to say, each
    a sentence without a full stop.
    """

    kind: Kind
    weight: Weight
    nodeid: str
    figure: str = ""
    gpu: int | None = None
    now_bytes: int | None = None
    allowed_bytes: int | None = None
    before_bytes: int | None = None
    exactness: Exactness | None = None
    since: dt.datetime | None = None
    since_commit: str | None = None
    runs: int = 0
    where: str = ""
    defined: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One figure of one test over runs under the same conditions, the oldest first; this run is the last.

    `runs`: the place of each value in the digest's `past`. `steps`: where it went to another level, the latest first.
    """

    figure: str
    gpu: int = 0
    exactness: Exactness
    runs: Sequence[int]
    bytes: Sequence[int]
    steps: Sequence[Step] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One test: its measurement, every limit as it was judged, and how its figures have changed.

    `weight` is the worst of its findings, "fine" where there is none.
    """

    test: Measurement
    weight: Weight = "fine"
    judged: Sequence[Judged] = ()
    changes: Sequence[Change] = ()
    trends: Sequence[Trend] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One run that a trend has a value of. `started_at` is in UTC."""

    id: str
    started_at: dt.datetime
    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A run, or what a gate found, summed up. `weight` and `sentence` are its verdict.

    `run` and `environment` are None where only a gate's result is at hand. `findings`: the worst first. `past`: runs,
    the oldest first, this one the last. `held_against`: how many earlier runs it was held against. `notices`: what the
    reader should know of how this was put together, each a sentence without a full stop.
    """

    weight: Weight
    sentence: str
    run: Run | None = None
    environment: Environment | None = None
    tests: Sequence[Told] = ()
    findings: Sequence[Finding] = ()
    past: Sequence[PastRun] = ()
    held_against: int = 0
    gate: GateResult | None = None
    notices: Sequence[str] = field(default_factory=tuple)
