"""What the doctor says, typed and serialisable."""

from __future__ import annotations

from typing import Literal

import msgspec

from pytest_tfmem.figures import Exactness
from pytest_tfmem.history.environment import Environment

SCHEMA = "tfmem.doctor/1"

State = Literal["ok", "note", "bad"]


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing looked at. "note": tests are measured all the same, but there is something to know or to gain;
    "bad": they cannot be measured or judged. `help`: what would mend it, or give more. `device`: UUID of the GPU that
    it is said of.
    """

    name: str
    state: State
    said: str
    help: str = ""
    device: str = ""


class FigureCheck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether a figure is measured on this machine, and how well.

    `source`, `exactness` and `error_bytes` are those of a reading that was taken here; `error_bytes` is None where
    the largest error is not known. `reason`: why the figure is not measured.
    """

    figure: str
    counts: str
    measured: bool
    source: str | None = None
    exactness: Exactness | None = None
    error_bytes: int | None = None
    reason: str = ""
    help: str = ""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """All that the doctor found. `works`: tests are measured and judged here."""

    works: bool
    version: str
    trial: list[Check]
    figures: list[FigureCheck]
    machine: list[Check]
    gpu: list[Check]
    software: list[Check]
    project: list[Check]
    environment: Environment


def to_json(diagnosis: Diagnosis) -> str:
    """The diagnosis as one JSON object, indented."""
    return msgspec.json.format(msgspec.json.encode(diagnosis), indent=2).decode()
