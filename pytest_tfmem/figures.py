"""The vocabulary: figures, readings and measurements, typed and serialisable."""

from __future__ import annotations

import abc
import datetime as dt
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pytest_tfmem.explanations import Explanation
from pytest_tfmem.leaks import Leak

if TYPE_CHECKING:
    from collections.abc import Sequence

Phase = Literal["setup", "call", "teardown"]
Exactness = Literal["exact", "lower-bound", "upper-bound", "sampled", "estimate"]
Level = Literal["error", "warn"]
Verdict = Literal["ok", "near", "over", "waived", "not-measured", "unlimited"]

PHASES: tuple[Phase, ...] = ("setup", "call", "teardown")

HOST_FIGURES: dict[str, str] = {
    "rss": "peak resident set of the test's process, from before setup to after teardown",
    "rss_growth": "rss less what was resident just before setup: what the test itself added",
    "rss_anon": "peak anonymous memory: the high-water mark less file and shared pages",
    "rss_tree": "most that the test's process and its descendants held together",
}
DEVICE_FIGURES: dict[str, str] = {
    "gpu": "peak bytes in use in the framework's GPU allocator, per GPU",
    "gpu_tensors": "peak bytes that were requested of the GPU allocator, per GPU: gpu without what BFC rounds up",
    "gpu_reserved": "peak bytes that the GPU allocator's pool had reserved from the driver",
    "gpu_footprint": "peak device memory that the driver charges to the process",
    "cpu_tensors": "peak bytes of tensors in TensorFlow's CPU allocator",
}
CALL_FIGURES: dict[str, str] = {
    "leak": "bytes kept per call when the test's body is called again and again in one process",
}
FIGURES: dict[str, str] = HOST_FIGURES | DEVICE_FIGURES | CALL_FIGURES
GPU_FIGURES: tuple[str, ...] = tuple(figure for figure in DEVICE_FIGURES if figure != "cpu_tensors")


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a counter said of one figure, and how good that is.

    `bytes`: the reading. `exactness`: "exact"; "lower-bound" or "upper-bound", off by at most `error_bytes`
    to that side; "sampled", a lower bound whose error is unknown (`error_bytes` is then None); "estimate", of which the
    truth is between `least_bytes` and `most_bytes` with a confidence that the source states, `error_bytes` being how
    far the farther end is. `source`: the counter that gave it. `device`: the GPU it is of, for a per-GPU figure.
    """

    bytes: int
    exactness: Exactness
    source: str
    error_bytes: int | None = None
    device: str | None = None
    least_bytes: int | None = None
    most_bytes: int | None = None


class NotMeasured(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """No reading, and why. Never stands for zero. `device`: the GPU that it is said of, if of one alone."""

    not_measured: str
    device: str | None = None


AnyReading = Reading | NotMeasured

if TYPE_CHECKING:
    FigureReading = Reading | NotMeasured | list[Reading | NotMeasured]
else:

    class FigureReading(abc.ABC):  # noqa: B024  only a name for isinstance
        """What is known of one figure; of a figure per GPU, a list in the order of the visible devices.

        Stands in for the union above: msgspec decodes no untagged union of two structs; `decode_reading` does.
        """

    FigureReading.register(Reading)
    FigureReading.register(NotMeasured)
    FigureReading.register(list)


def each(reading: FigureReading | None) -> Sequence[AnyReading]:
    """The readings that a figure has: of one that is not per GPU, the one; none where there is none."""
    if reading is None:
        return []
    return reading if isinstance(reading, list) else [reading]


def greatest(reading: FigureReading | None) -> Reading | None:
    """The greatest of a figure's readings, if it has any."""
    sizes = [one for one in each(reading) if isinstance(one, Reading)]
    return max(sizes, key=lambda one: one.bytes, default=None)


def certain_bytes(reading: Reading) -> int:
    """What of a reading a limit is passed by: of an estimate the least that it may be, of all else its bytes."""
    return reading.bytes if reading.least_bytes is None else reading.least_bytes


class GpuTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of one GPU at the points of a timeline, None where it was not read. `source`: whose bytes, and by what."""

    device: str
    source: str
    bytes: list[int | None]


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A moment of a timeline with a name, such as "call" for where the call begins.

    `readings`: what was held then, of a checkpoint that the test has set.
    """

    name: str
    seconds: float
    readings: dict[str, FigureReading] = {}


class Timeline(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Resident bytes of the test's process tree over time: at most 200 points, each the most of its interval.

    `gpus` has the GPUs that the process used, at the same points.
    """

    seconds: list[float]
    rss_tree_bytes: list[int]
    gpus: list[GpuTimeline] = []
    checkpoints: list[Checkpoint] = []


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a test to which the test has given a name, and what it held at most.

    `path`: names of the sections around it, the outermost first. `phase`: in which it was entered first. It was
    entered `entered` times, for `seconds` in all, and `readings` have the most of those times: peaks of the section
    alone, and growth since it began. `open_at_death`: it had been entered once more when the process died, of which
    time nothing is known.
    """

    name: str
    path: list[str]
    phase: Phase
    entered: int = 1
    seconds: float = 0.0
    readings: dict[str, FigureReading] = {}
    open_at_death: bool = False


class Waiver(msgspec.Struct, frozen=True, kw_only=True):
    """A higher ceiling with a date on which it ends, for a known and dated excess."""

    bytes: int
    expires: str
    days_left: int
    reason: str
    where: str
    issue: str = ""


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A ceiling on one figure: `bytes` may be reached, not passed. `where` is the line that set it.

    `waiver`, if any, is the ceiling that holds in its place until it expires.
    """

    bytes: int
    where: str
    level: Level = "error"
    waiver: Waiver | None = None


class Regression(msgspec.Struct, frozen=True, kw_only=True):
    """One figure that has grown against earlier runs, for which the test fails. `gpu`: its place, for a GPU's figure.

    `before_bytes`: the median of `runs` earlier runs, the first of them at `since`, of `since_commit`. `again_bytes`:
    the reading of the run that confirmed it.
    """

    figure: str
    gpu: int
    before_bytes: int
    now_bytes: int
    again_bytes: int
    runs: int
    since: dt.datetime
    since_commit: str | None = None


class MeasuredFunction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A function that a test had measured, each time in a fresh process of its own: one side of it, of a comparison.

    `measure` counts the test's wishes: sides of one comparison have the same. `side` is the name of a side, empty
    without a comparison; `runtime` what was asked for beside the test's own. `readings` and `seconds` (of the
    call alone) have an entry for each time that it came to its end, as has `value_bytes`, the deep size of what it
    returned; `failed` says why there are fewer than were wanted, if there are.
    """

    measure: int
    function: str
    side: str = ""
    repeats: int
    start_method: Literal["spawn", "forkserver", "in-process"]
    allocator: str = ""
    runtime: dict[str, str] = {}
    readings: list[dict[str, FigureReading]] = []
    seconds: list[float] = []
    value_bytes: list[int] = []
    failed: str = ""
    notes: list[str] = []


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one test in one process: rides on the test's report, and is an entry of a run document.

    `verdict` is the worst of `verdicts`, which has one for every figure that has a limit ("unlimited" if none has).
    `phases` has, by phase, `seconds` and the phase's own peaks in bytes (`rss_bytes`, `rss_growth_bytes`,
    `rss_anon_bytes`). `allocator`: TensorFlow's GPU allocator that was in force, empty where there was none.
    `runtime`: what its marker asks of the process that readings depend on, by name. `breached`: it failed for its
    limits alone, and would have passed without them. `out_of_memory`: what a GPU allocator refused, and why.
    `waited_seconds`: for cards that others held. `died` says how the process ended if it did not end well;
    `why_spawned` why `auto` took a new interpreter in place of a fork; `unmeasured` why nothing at all was measured
    (the test ran in pytest's own process); all are empty otherwise.
    `regressions` are what it failed for beside its limits; `explanations` are what held the memory; `sections` are
    those that it has entered, in the order in which they were left first; `measured` are functions that it had measured
    in processes of their own; `leak` is what calls of its body have kept, where it was called again and again. `where`
    is the line on which the test is defined, counted from the root directory: `tests/test_a.py:12`; empty where pytest
    does not know it.
    `notes` are on this test, `notices` on the session: what the user should know, each a sentence without a full stop.
    """

    nodeid: str
    outcome: Literal["passed", "failed", "skipped"]
    start_method: Literal["spawn", "forkserver", "in-process"]
    verdict: Verdict
    readings: dict[str, FigureReading]
    limits: dict[str, Limit]
    verdicts: dict[str, Verdict]
    phases: dict[Phase, dict[str, int | float]]
    timeline: Timeline | None = None
    allocator: str = ""
    runtime: dict[str, str] = {}
    breached: bool = False
    out_of_memory: str = ""
    waited_seconds: float = 0.0
    died: str = ""
    why_spawned: str = ""
    unmeasured: str = ""
    regressions: list[Regression] = []
    sections: list[Section] = []
    where: str = ""
    notes: list[str] = []
    notices: list[str] = []
    explanations: list[Explanation] = []
    measured: list[MeasuredFunction] = []
    leak: Leak | None = None


def encode_measurement(measurement: Measurement) -> dict[str, Any]:
    """The measurement in builtin types that JSON can hold, as it rides on a report."""
    encoded: dict[str, Any] = msgspec.to_builtins(measurement)
    return encoded


def decode_measurement(data: object) -> Measurement:
    """The measurement that `encode_measurement` encoded. Raises msgspec.ValidationError if it is not one."""
    return msgspec.convert(data, Measurement, dec_hook=decode_reading)


def decode_reading(_kind: type, data: object) -> FigureReading:
    """The reading, the reason for none, or the list of either, that `data` is: `dec_hook` of what holds readings."""
    try:
        if isinstance(data, list):
            return [_decoded(one) for one in data]
        return _decoded(data)
    except msgspec.ValidationError as fault:
        # msgspec adds the path of the fault to a ValueError, not to its own error.
        raise ValueError(str(fault)) from fault


def _decoded(data: object) -> AnyReading:
    if isinstance(data, dict) and "not_measured" in data:
        return msgspec.convert(data, NotMeasured)
    return msgspec.convert(data, Reading)
