"""What it costs to record a session, and to read records again: `python benchmarks/recording_cost.py [ROUNDS] [TESTS]`.

Sessions of tests that do nothing, of one and of many, with and without a run file in turn. The first of each kind is
left out: it fills the machine's caches. No session is held against earlier ones. Then a folder as it is when it is
full, 50 runs of 300 tests with a timeline of 200 points each: a glance at all of them, the series of all tests and of
some, and all runs whole. All in processor time, because the clock counts what else the machine does.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from table import median, show
from timed import FORKSERVER, scaled, timed_session

from pytest_tfmem.figures import Limit, Measurement, NotMeasured, Reading, Timeline
from pytest_tfmem.history.environment import describe_environment
from pytest_tfmem.history.folder import FolderStore
from pytest_tfmem.history.recorded import Footer, Header
from pytest_tfmem.history.rundocument import Run
from pytest_tfmem.history.runfiles import begin_run_file

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS, TESTS, POINTS = 50, 300, 200
TEST = "import pytest\n\n@pytest.mark.parametrize('n', range({tests}))\ndef test_nothing(n): pass\n"
PLAIN = (*FORKSERVER, "--tfmem-baseline=off")


def of_sessions(rounds: int, tests: int) -> list[str]:
    """The session without and with a record, and the difference of each pair."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_it.py").write_text(TEST.format(tests=tests))
        seconds: dict[str, list[float]] = {"off": [], ".tfmem/runs": []}
        for _ in range(rounds + 1):
            for history, of in seconds.items():
                session = timed_session(folder, *PLAIN, f"--tfmem-history={history}", tests=tests)
                of.append(session.cost.processor_seconds)
    without, recorded = (of[1:] for of in seconds.values())
    differences = [after - before for before, after in zip(without, recorded, strict=True)]
    cells = (median(scaled(values, 1e3), 0, "ms") for values in (without, recorded, differences))
    return [f"{tests} test{'' if tests == 1 else 's'}", *cells]


def measurement(number: int) -> Measurement:
    reading = Reading(bytes=500_000_000 + number, exactness="lower-bound", source="VmHWM", error_bytes=786432)
    return Measurement(
        nodeid=f"tests/test_models.py::test_step[{number}]",
        outcome="passed",
        start_method="forkserver",
        verdict="ok",
        readings={
            **dict.fromkeys(("rss", "rss_growth", "rss_anon", "rss_tree"), reading),
            **dict.fromkeys(("gpu", "gpu_tensors", "gpu_reserved", "gpu_footprint"), NotMeasured("no GPU")),
        },
        limits={"rss": Limit(bytes=1 << 30, where="budgets.yaml:3")},
        verdicts={"rss": "ok"},
        phases={phase: {"seconds": 0.1, "rss_bytes": 500_000_000} for phase in ("setup", "call", "teardown")},
        timeline=Timeline(
            seconds=[point * 0.0213 for point in range(POINTS)],
            rss_tree_bytes=[500_000_000 + 4096 * point for point in range(POINTS)],
        ),
    )


def fill(folder: Path) -> None:
    environment, tests = describe_environment(), [measurement(number) for number in range(TESTS)]
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for number in range(RUNS):
        run = Run(id=f"{number:032x}", started_at=start + dt.timedelta(hours=number), commit=f"{number:040x}")
        with begin_run_file(folder, Header(run=run, environment=environment)) as writer:
            for test in tests:
                writer.add(test)
            writer.finish(Footer(duration_seconds=1.0, exit_status=0, tests=TESTS))


def of_folder(rounds: int) -> list[list[str]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "runs"
        began = time.process_time()
        fill(folder)
        line = (time.process_time() - began) / RUNS / TESTS
        store = FolderStore(folder)
        ids = [info.id for info in store.infos()]
        some = [f"tests/test_models.py::test_step[{number}]" for number in range(30)]
        reads: dict[str, Callable[[], object]] = {
            f"what {RUNS} runs there are": store.infos,
            f"the series of {TESTS} tests": lambda: store.history(ids),
            f"the series of {len(some)} tests": lambda: store.history(ids, nodeids=some),
            f"{RUNS} whole runs": lambda: list(store.runs(ids)),
        }
        size = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
        rows = [["a line written", f"{1e6 * line:.0f} us"], ["a line's size", f"{size / RUNS / TESTS:.0f} B"]]
        return rows + [[what, median(scaled(timed(read, rounds), 1e3), unit="ms")] for what, read in reads.items()]


def timed(act: Callable[[], object], rounds: int) -> list[float]:
    found = []
    for _ in range(rounds):
        began = time.process_time()
        act()
        found.append(time.process_time() - began)
    return found


def main() -> None:
    given = [int(value) for value in sys.argv[1:]]
    rounds, tests = [*given, *(9, 50)[len(given) :]]
    show(
        ["a session of", "not recorded", "recorded", "difference"], [of_sessions(rounds, 1), of_sessions(rounds, tests)]
    )
    print()
    show([f"{RUNS} runs of {TESTS} tests", ""], of_folder(rounds))


if __name__ == "__main__":
    main()
