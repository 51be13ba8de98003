"""What is claimed of TensorFlow's memory, what was measured, and what comes of it: written by a test, read by page.py.

A test states its claim in the first sentence of its docstring, and its name is the claim's: `test_load_ratio` is about
`load-ratio`. It measures both sides in fresh processes, asserts the verdict by margins that noise does not cross, and
says it:

    def test_load_ratio(tfmem, claim):
        \"\"\"A loaded model takes far more memory than its file.\"\"\"
        small = tfmem.measure(load, path, repeat=3)
        claim.row("loading 12 KiB", small)                # the figure rss_growth, bytes, each repeat
        assert small.rss_growth.least > 100 * size
        claim.depends(figure="...", why="...", objections={"...": "..."})

What a side's process was run with (`tf_runtime`) is recorded with its rows; what the code under test has chosen beside
that, and readings depend on, the test says by `claim.under(...)`.

Only what gets that far is written: a claim whose test fails keeps, on the page, what was last found.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import statistics
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import msgspec

SCHEMA = "tfmem.claim/1"
RESULTS = Path(__file__).parent / "results"

Verdict = Literal["holds", "fails", "depends"]
Unit = Literal["bytes", "bytes per call", "seconds", "times"]

WITHOUT_XLA = "Models are compiled with `jit_compile=False`, where Keras would choose by itself."
CPUINFO = Path("/proc/cpuinfo")


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was measured, `values` being one for each fresh process that measured it.

    `figure`: what was read, a figure's name or what was calculated of several. `x`: where it stands on the plot's
    axis, for those of a `series`. Those that are not `plotted` are in the table alone. `runtime`: what the process
    was run with, by name; None of what was calculated.
    """

    what: str
    figure: str
    unit: Unit
    values: list[float]
    series: str = ""
    x: float | None = None
    plotted: bool = True
    runtime: dict[str, str] | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)


class Plot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`title` says what is drawn. With an `x` rows are points of lines, one for each series; else each is a bar."""

    title: str
    x: str = ""
    log: bool = False


class Machine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where it was measured. `card`: the GPU, empty where none was used, "stand-in" where CUDA was not real.

    `processor`: its kind, as `x86_64`; `model`: as it calls itself, empty where it does not.
    """

    system: str
    processor: str
    model: str = ""
    cores: int
    python: str
    packages: dict[str, str]
    start_method: str
    card: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one claim. `id` names it; `file` and `test` are where it was measured.

    `figure`: the one figure that decides, in words. `objections`: what was tried against the verdict, and what came
    of it. `conditions`: what all sides had in common, in sentences, beside what their rows say of their processes.
    """

    id: str
    claim: str
    verdict: Verdict
    figure: str
    why: str
    objections: dict[str, str]
    plot: Plot
    rows: list[Row]
    file: str
    test: str
    measured_on: dt.date
    seconds: float
    machine: Machine
    conditions: list[str] = []
    schema: Literal["tfmem.claim/1"] = "tfmem.claim/1"


class Claim:
    """The claim that a test is about. Exactly one of `holds`, `fails` and `depends` is called, after the asserts."""

    def __init__(self, said: str) -> None:
        self.said = said
        self.rows: list[Row] = []
        self.start_method = ""
        self.plot = Plot(title="")
        self.conditions: list[str] = []
        self.concluded: dict[str, Any] = {}

    def row(self, what: str, result: Any, figure: str = "rss_growth", **more: Any) -> Row:
        """A figure of what `tfmem.measure` or `tfmem.compare` measured: each repeat's. `more`: see Row."""
        measured = result.measurements
        self.start_method = measured[0].start_method
        values = [greatest(one, figure) for one in measured]
        return self.calculated(what, figure, values, runtime=run_with(measured[0]), **more)

    def calculated(self, what: str, figure: str, values: list[float], *, unit: Unit = "bytes", **more: Any) -> Row:
        """Numbers that the test made of what it measured, such as a slope. `more`: see Row."""
        row = Row(what=what, figure=figure, unit=unit, values=list(values), **more)
        self.rows.append(row)
        return row

    def drawn(self, title: str, *, x: str = "", log: bool = False) -> None:
        """How the plot is headed, and what its axis says where its rows have an `x`. `log`: both axes are."""
        self.plot = Plot(title=title, x=x, log=log)

    def under(self, condition: str) -> None:
        """A sentence on what the code of all sides has chosen, and readings depend on."""
        self.conditions.append(condition)

    def holds(self, *, figure: str, why: str, objections: dict[str, str] | None = None) -> None:
        self._conclude("holds", figure, why, objections)

    def fails(self, *, figure: str, why: str, objections: dict[str, str]) -> None:
        """Says that the claim is false, which takes objections that were tried: its size, a warm-up, a second call."""
        self._conclude("fails", figure, why, objections)

    def depends(self, *, figure: str, why: str, objections: dict[str, str] | None = None) -> None:
        self._conclude("depends", figure, why, objections)

    def _conclude(self, verdict: Verdict, figure: str, why: str, objections: dict[str, str] | None) -> None:
        assert not self.concluded, "a claim has one verdict"
        self.concluded = {"verdict": verdict, "figure": figure, "why": why, "objections": objections or {}}


def greatest(measurement: Any, figure: str) -> int:
    """Bytes of a figure; of one per GPU, those of the GPU with the most. What was not measured fails the test."""
    reading = measurement.readings[figure]
    readings = reading if isinstance(reading, list) else [reading]
    unmeasured = [one.not_measured for one in readings if hasattr(one, "not_measured")]
    assert readings, f"{figure}: no reading"
    assert not unmeasured, f"{figure} was not measured: {unmeasured[0]}"
    return max(one.bytes for one in readings)


def run_with(measurement: Any) -> dict[str, str]:
    """What was asked of the process that readings depend on, and the GPU allocator that was in force."""
    allocator = {"allocator": measurement.allocator} if measurement.allocator else {}
    return allocator | {name: value for name, value in measurement.runtime.items() if name != "gpus"}  # of the machine


def differences(less: Row, more: Row, by: float) -> list[float]:
    """How much more one row read than another, by the unit of what makes them differ, repeat by repeat."""
    return [(above - below) / by for below, above in zip(less.values, more.values, strict=True)]


def resident() -> int:
    """Bytes of this process that are in memory now, for functions that say what stays."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def id_of(test: str) -> str:
    """`test_load_ratio` -> `load-ratio`."""
    return test.removeprefix("test_").replace("_", "-")


def this_machine(start_method: str, card: str = "") -> Machine:
    names = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "tensorflow-model-optimization", "tf_keras")
    installed = {name: version for name in (*names, "pytest-tfmem") if (version := version_of(name))}
    return Machine(
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        processor=platform.machine(),
        model=said_of_processor("model name"),
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        packages=installed,
        start_method=start_method,
        card=card,
    )


def version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def said_of_processor(*names: str) -> str:
    """What Linux says of the first processor under the first of these names that it has; empty if under none."""
    lines = CPUINFO.read_text(encoding="utf-8").splitlines() if CPUINFO.exists() else []
    known = {name.strip(): value.strip() for name, _, value in reversed([line.partition(":") for line in lines])}
    return next((known[name] for name in names if name in known), "")


def calculates_in_bfloat16() -> bool:
    """Whether this processor has instructions for it."""
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(said_of_processor("flags", "Features").split())


def write(result: Result, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(result), indent=1)
    folder.joinpath(f"{result.id}.json").write_bytes(text + b"\n")


def read(folder: Path) -> list[Result]:
    """All results of a folder, by id. Raises ValueError, with the file's name, for one that is none."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> Result:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except msgspec.MsgspecError as fault:
        raise ValueError(f"{path.name}: {fault}") from fault
