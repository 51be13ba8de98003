"""The data of a page, as its scripts read it: one JSON document inside the HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.figures import Exactness

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "tfmem.page/1"

# Numbers as [first, step, difference, ...]: the first, then each as how many steps it is from the one before it, None
# where there is none.
Packed = list[int | None]

_ESCAPED: Mapping[str, str] = {one: f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}


class FigureColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that any test of the run has: what it is, and the unit that suits all of its sizes in a column."""

    name: str
    what: str
    unit: str
    unit_bytes: int
    digits: int


class RunPoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of the trends: when it began, in UTC, and the commit that it was of."""

    at: str
    commit: str = ""
    branch: str = ""
    changed: bool = False


class StepData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a trend went to another level. `place`: of the first value after it. `said`: what lies in between."""

    place: int
    at: str
    before_bytes: int
    after_bytes: int
    change: str
    said: list[str] = []


class FigureData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One figure of one test; of a figure that has several GPUs, on one of them, `gpu` being its name.

    `bytes` is None where it was not measured, for the `reason`. `how`: its exactness, largest error and source.
    `limit_bytes`: what the reading is held against, if anything; `standing`: what became of that. `before_bytes`,
    `change`, `changed`: against earlier runs. `gate`: the gate's word on it. `runs`: the places of the runs of the
    trend, empty where they are the last ones. `steps_sought`: whether `steps` would have those that there are.
    """

    figure: str
    gpu: str = ""
    bytes: int | None = None
    exactness: Exactness | None = None
    how: str = ""
    reason: str = ""
    limit_bytes: int | None = None
    share: str = ""
    standing: str = ""
    limit_notes: list[str] = []
    before_bytes: int | None = None
    change: str = ""
    changed: str = ""
    change_notes: list[str] = []
    gate: str = ""
    trend: Packed = []
    runs: list[int] = []
    steps: list[StepData] = []
    steps_sought: bool = False


class PhaseData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One phase of a test, and its own peaks."""

    name: str
    seconds: float | None = None
    rss_bytes: int | None = None
    rss_growth_bytes: int | None = None
    rss_anon_bytes: int | None = None


class SectionData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stretch of a test that the test has named, and its own peaks. `depth`: how many others it lies in.

    Nothing is known of the time that it was open as the process died, which its other figures are without.
    """

    name: str
    depth: int = 0
    phase: str
    entered: int
    seconds: float | None = None
    bytes: dict[str, int]
    open_at_death: bool = False


class CheckpointData(msgspec.Struct, frozen=True, kw_only=True):
    """What was held when a test came to a checkpoint that it has set. `seconds`: on its timeline."""

    name: str
    seconds: float
    bytes: dict[str, int]


class MeasuredData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A function that a test had measured. `sizes`: by figure the least, the median and the most of its `times`."""

    name: str
    times: int
    seconds: float | None = None
    sizes: dict[str, tuple[int, int, int]] = {}
    failed: str = ""


class GpuLine(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of one GPU over time."""

    name: str
    source: str
    bytes: Packed


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A moment of a timeline that has a name."""

    name: str
    milliseconds: int


class TimelineData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A test's memory over time: at the same points the host's and each GPU's."""

    milliseconds: Packed
    host_bytes: Packed
    gpus: list[GpuLine] = []
    marks: list[Mark] = []


class FindingData(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not plainly well with a test, as a sentence."""

    kind: str
    weight: str
    text: str


class HolderData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What held memory at a peak. `share` of the whole, in a thousand; `new`: "new", "grown" or nothing."""

    size: str
    share: int
    new: str = ""
    place: str
    detail: str = ""


class HeldData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What held the memory of a test, in a sentence and by holders.

    `flame`: the file that has all of it; `picture`: that file as a `data:` address, where it could be read.
    """

    said: str
    holders: list[HolderData] = []
    notes: list[str] = []
    flame: str = ""
    picture: str = ""


class TestData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One test. `id` is pytest's own; `shown`, where it differs, is fit to be looked at. `where` it is defined.

    `kind`: the worst of its findings, "fine" where there is none. `nearest`: the place, among its figures, of the one
    that is nearest to its limit, or matters most where none has a limit.
    """

    __test__ = False

    id: str
    shown: str = ""
    weight: str = "fine"
    kind: str = "fine"
    where: str = ""
    outcome: str
    seconds: float | None = None
    nearest: int | None = None
    facts: list[tuple[str, str]] = []
    findings: list[FindingData] = []
    died: str = ""
    out_of_memory: str = ""
    unmeasured: str = ""
    notes: list[str] = []
    figures: list[FigureData] = []
    phases: list[PhaseData] = []
    sections: list[SectionData] = []
    checkpoints: list[CheckpointData] = []
    measured: list[MeasuredData] = []
    held: list[HeldData] = []
    timeline: TimelineData | None = None


class PageData(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """All of it."""

    figures: list[FigureColumn]
    runs: list[RunPoint]
    tests: list[TestData]


def island(data: PageData) -> str:
    """The data as JSON that may stand in a `script` element: nothing in it ends that, or begins another."""
    text = msgspec.json.encode(data).decode()
    for character, escaped in _ESCAPED.items():  # one by one: str.translate takes longer than all else does together
        text = text.replace(character, escaped)
    return text
