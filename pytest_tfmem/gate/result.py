"""What the gate found: a verdict on each figure of each test, and all that it was found by."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from pytest_tfmem.budgets.raises import Raise
from pytest_tfmem.figures import Limit
from pytest_tfmem.gate.decide import Plan

SCHEMA = "tfmem.gate/1"

GateVerdict = Literal[
    "regressed",
    "over",
    "not-measured",
    "over-inherited",
    "suspect",
    "waived",
    "near",
    "improved",
    "incomparable",
    "new",
    "ok",
]
Weight = Literal["fails", "undecided", "warns", "fine"]
Side = Literal["base", "head"]


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at one test: the `number`-th session of this gate. `bytes` is None where it gave no value."""

    side: Side
    number: int
    bytes: int | None
    said: str = ""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one test, of a figure per GPU on one GPU.

    `weight`: what the verdict does to the whole. `now_bytes`: the reading of the head's own run; `before_bytes`: the
    median of the history since its last step, `floor_bytes` what a change has to exceed. `base_limit`: the limit that
    the base has, where it is the stricter. `base_bytes` and `head_bytes`: medians of the attempts, if there were any.
    """

    nodeid: str
    figure: str
    gpu: int = 0
    verdict: GateVerdict
    weight: Weight
    notes: list[str] = []
    now_bytes: int | None = None
    before_bytes: int | None = None
    floor_bytes: int = 0
    since: dt.datetime | None = None
    since_commit: str | None = None
    base_bytes: int | None = None
    head_bytes: int | None = None
    limit: Limit | None = None
    base_limit: Limit | None = None
    attempts: list[Tried] = []
    renamed_from: str = ""


class Renamed(msgspec.Struct, frozen=True, kw_only=True):
    """A test under a new id, and the id that it had in the base."""

    nodeid: str
    renamed_from: str


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the budgets file that no test matches: a budget or a waiver."""

    where: str
    kind: Literal["budget", "waiver"]
    test: str


class GateResult(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """All of it. `status` is the exit status.

    `base` is the revision as it was named, `merge_base` the commit that the head is held against. `tests`: how many
    were measured; `runs`: earlier runs that they were held against; `sessions`: pytest sessions that this took.
    `decided`: tests that were run of base and head. `plan` is None where nothing can be nominated or decided.
    """

    status: int
    sentence: str
    base: str
    head: str
    merge_base: str
    tests: int
    runs: int
    sessions: int
    decided: int
    plan: Plan | None
    judged: list[Judged]
    raised: list[Raise] = []
    renamed: list[Renamed] = []
    gone: list[str] = []
    stale: list[Stale] = []
    warnings: list[str] = []
