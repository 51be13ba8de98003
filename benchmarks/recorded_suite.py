"""A project with a long history, made to order: what a report of it takes is measured by `report_page.py`.

Its readings move as those of real machines do: anonymous memory by 0.2 %, of a tenth of the tests by 1 %; what tensors
ask for repeats to the byte; every seventh test has stepped to another level, some of them twice. The last run has a bit
of everything that is not fine.
"""

from __future__ import annotations

import datetime as dt
import random
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pytest_tfmem.figures import Checkpoint, Limit, Measurement, NotMeasured, Reading, Timeline
from pytest_tfmem.history.environment import describe_environment
from pytest_tfmem.history.recorded import Footer, Header, RecordedRun
from pytest_tfmem.history.rundocument import Run
from pytest_tfmem.history.runfiles import free_path, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_tfmem.figures import FigureReading

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
POINTS = 50
MIB = 1 << 20
PAGE = 4096  # resident memory comes in pages
STEP = 1.06
NO_GPU = {figure: NotMeasured("no GPU") for figure in ("gpu", "gpu_tensors", "gpu_reserved", "gpu_footprint")}


class Suite(NamedTuple):
    """How many tests and runs; `seed` is of its noise."""

    tests: int
    runs: int
    seed: int = 20_260_301


def write_project(folder: Path, suite: Suite) -> None:
    """A repository with a commit for each run, and the runs where a project keeps them."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    runs = folder / ".tfmem" / "runs"
    make_folder(runs)
    for run in recorded(suite, _commits(folder, suite.runs)):
        lines = [Header(run=run.run, environment=run.environment), *run.tests, run.footer]
        free_path(runs, run.run).write_bytes(msgspec.json.Encoder().encode_lines(lines))


def recorded(suite: Suite, commits: list[str]) -> Iterator[RecordedRun]:
    """The runs, the oldest first, one of each commit."""
    noise = random.Random(suite.seed)
    environment = describe_environment()
    ways = [_Test(number, suite, noise) for number in range(suite.tests)]
    for number, commit in enumerate(commits):
        is_last = number == len(commits) - 1
        tests = [one.measured(number, noise, is_last=is_last) for one in ways]
        run = Run(
            id=f"{noise.getrandbits(128):032x}",
            started_at=START + dt.timedelta(hours=6 * number),
            commit=commit,
            branch="main",
            dirty=False,
        )
        footer = Footer(duration_seconds=60.0, exit_status=0, tests=len(tests), ended=len(tests))
        yield RecordedRun(run=run, environment=environment, tests=tests, footer=footer)


class _Test:
    """One test: how much it needs, by how much that moves, and after which runs it needed more."""

    def __init__(self, number: int, suite: Suite, noise: random.Random) -> None:
        self._number = number
        self._size = (80 + noise.randrange(2000)) * MIB
        self._deviation = 0.01 if number % 10 == 0 else 0.002
        steps = 1 + (number % 21 == 0) if number % 7 == 0 else 0
        self._steps = [noise.randrange(suite.runs) for _ in range(steps)]
        self._nodeid = f"tests/models/test_family_{number % 20}.py::TestTraining::test_step[{number}-float32]"
        # The shape of its timeline, drawn once: what a report costs does not depend on how often it is drawn.
        self._shape = [0.4 + 0.6 * noise.random() for _ in range(POINTS)]

    def measured(self, run: int, noise: random.Random, *, is_last: bool) -> Measurement:
        odd = self._number % 50 if is_last else 0
        level = STEP ** sum(at <= run for at in self._steps) * (1.2 if odd == 1 else 1)
        anon = _pages(self._size * level * noise.gauss(1, self._deviation))
        readings = self._readings(anon, _pages(self._size * level / 3), noise)
        limit = Limit(bytes=int(self._size * (0.9 if odd == 2 else 2)), where=f"budgets.yaml:{self._number + 3}")
        limited = self._number % 3 == 2
        verdict = ("over" if odd == 2 else "ok") if limited else "unlimited"
        return Measurement(
            nodeid=self._nodeid,
            outcome="failed" if odd == 3 or verdict == "over" else "passed",
            start_method="forkserver",
            verdict=verdict,
            readings=readings,
            limits={"rss_anon": limit} if limited else {},
            verdicts={"rss_anon": verdict} if limited else {},
            phases={
                name: {"seconds": round(noise.random(), 6), "rss_bytes": anon, "rss_anon_bytes": anon}
                for name in ("setup", "call", "teardown")
            },
            timeline=self._timeline(anon),
            runtime={"cpu_allocator": "bfc"},
            breached=verdict == "over",
            died="it was killed by signal 9 (SIGKILL) in its call" if odd == 3 else "",
            where=f"tests/models/test_family_{self._number % 20}.py:{self._number + 10}",
        )

    def _readings(self, anon: int, tensors: int, noise: random.Random) -> dict[str, FigureReading]:
        rss = _pages(anon * noise.gauss(1.3, 0.003))
        return {
            "rss": Reading(bytes=rss, exactness="lower-bound", source="VmHWM", error_bytes=786432),
            "rss_growth": Reading(
                bytes=rss - 40 * MIB, exactness="lower-bound", source="VmHWM - VmRSS before setup", error_bytes=786432
            ),
            "rss_anon": Reading(
                bytes=anon, exactness="lower-bound", source="VmHWM - RssFile - RssShmem", error_bytes=786432
            ),
            "rss_tree": Reading(bytes=rss, exactness="sampled", source="process tree read every 20 ms at best"),
            **NO_GPU,
            "cpu_tensors": Reading(bytes=tensors, exactness="exact", source="peak_bytes_in_use"),
        }

    def _timeline(self, anon: int) -> Timeline:
        return Timeline(
            seconds=[at / 50 for at in range(POINTS)],
            rss_tree_bytes=[_pages(anon * share) for share in self._shape],
            checkpoints=[Checkpoint(name=name, seconds=at) for name, at in (("call", 0.1), ("teardown", 0.9))],
        )


def _pages(size: float) -> int:
    return int(size / PAGE) * PAGE


def _commits(folder: Path, count: int) -> list[str]:
    """So many commits in a new repository, the oldest first."""
    _git(folder, "init", "--quiet", "--initial-branch=main")
    lines = []
    for number in range(count):
        when = int((START + dt.timedelta(hours=6 * number)).timestamp())
        subject = f"Change number {number}"
        lines += [
            "commit refs/heads/main",
            f"committer A <a@example.org> {when} +0000",
            f"data {len(subject)}",
            subject,
        ]
    _git(folder, "fast-import", "--quiet", said="\n".join([*lines, ""]))
    return _git(folder, "rev-list", "--reverse", "main").split()


def _git(folder: Path, *arguments: str, said: str = "") -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, input=said, capture_output=True, text=True, check=True)
    return done.stdout
