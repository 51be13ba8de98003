"""What the benchmarks share: sessions that are timed from within, test by test."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from processes import Cost, cost_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OURS = ("-p", "pytest_tfmem.plugin", "--tfmem-all")
FORKSERVER = (*OURS, "--tfmem-start-method=forkserver")
SPAWN = (*OURS, "--tfmem-start-method=spawn")
IN_PROCESS = (*FORKSERVER, "--no-tfmem")
NO_OPS = """
import pytest
import tensorflow

@pytest.mark.parametrize("n", range({tests}))
def test_nothing(n):
    pass
"""
_STAMPS = """
import os
import time

import pytest

if "PYTEST_TFMEM_TOKEN" not in os.environ:  # what a test's process is marked with, which loads this too
    out = os.open(os.environ["BENCHMARK_STAMPS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(item):
        try:
            return (yield)
        finally:
            os.write(out, f"{os.getpid()} {time.monotonic()!r} {item.path.name}\\n".encode())
"""


class Stamp(NamedTuple):
    """When a test was over, on the machine's monotonic clock, and the process of the session, or of its worker."""

    process: int
    ended: float
    file: str


class Session(NamedTuple):
    cost: Cost
    stamps: list[Stamp]

    def seconds(self) -> list[float]:
        """What each test took while every worker was at work: from the end of the one before to its own end.

        So the first of each, which waits for its server, is left out, and nothing else is.
        """
        of: dict[int, list[float]] = defaultdict(list)
        for stamp in self.stamps:
            of[stamp.process].append(stamp.ended)
        begin = max(ends[0] for ends in of.values())
        end = min(ends[-1] for ends in of.values())
        return [
            after - before
            for ends in of.values()
            for before, after in pairwise(ends)
            if begin <= before and after <= end
        ]

    def mean(self) -> float:
        return statistics.fmean(self.seconds())

    def median(self) -> float:
        return statistics.median(self.seconds())


def timed_session(
    folder: Path, *options: str, tests: int, python: str = sys.executable, more: Mapping[str, str] | None = None
) -> Session:
    """A session of pytest over the folder, which has so many tests that all pass; no plugin but those named is loaded.

    `more`: variables of its environment.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "benchmark_stamps.py").write_text(_STAMPS)
        environment = {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": f"{place}:{folder}",
            "BENCHMARK_STAMPS": str(place / "stamps"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **(more or {}),
        }
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "benchmark_stamps"]
        cost = cost_of([*command, *options, "--rootdir", str(folder), str(folder)], folder, environment)
        rows = [line.split(maxsplit=2) for line in (place / "stamps").read_text().splitlines()]
    stamps = [Stamp(int(process), float(ended), file) for process, ended, file in rows]
    assert len(stamps) == tests, f"{len(stamps)} of {tests} tests ran"
    return Session(cost, stamps)


def judged(holds: bool) -> str:  # of a bar
    return "met" if holds else "missed"


def scaled(values: Sequence[float], factor: float) -> list[float]:
    return [factor * value for value in values]
