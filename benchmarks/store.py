"""What databases take as stores: `python benchmarks/store.py [RUNS] [REPEATS] [sqlite|postgresql]`.

Each is filled with 1,000,000 readings, in runs of 1,000: 200 tests with five figures, a timeline and phases. Then one
more run is pushed, again and again; the window of 500 series (100 tests) over the last 50 runs is read, as a session
does that is held against them; and one run is given back whole. Every one of them includes the connection. PostgreSQL
is a server of the benchmark's own, which waits for the disk as it does by default. The bars: a push under 1 s, the
window under 0.5 s.
"""

from __future__ import annotations

import datetime as dt
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from table import median, show

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from pytest_tfmem.figures import Measurement, Reading, Timeline  # noqa: E402
from pytest_tfmem.history.environment import describe_environment  # noqa: E402
from pytest_tfmem.history.recorded import Footer, RecordedRun  # noqa: E402
from pytest_tfmem.history.rundocument import Run  # noqa: E402
from pytest_tfmem.history.store import open_store  # noqa: E402
from tests.databases import running_server  # noqa: E402  of this checkout, whatever is installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_tfmem.history.store import Store

TESTS = 200
FIGURES = ("rss", "rss_growth", "rss_anon", "rss_tree", "cpu_tensors")
WINDOW_TESTS, WINDOW_RUNS = 100, 50  # 500 series
PUSH_SECONDS, WINDOW_SECONDS = 1.0, 0.5
ENVIRONMENT = describe_environment()
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
POINTS = 50


def nodeid(test: int) -> str:
    return f"tests/models/test_family_{test % 20}.py::TestTraining::test_step[{test}-float32]"


def measurement(test: int, noise: random.Random) -> Measurement:
    size = (100 + test) << 20
    near = [int(size * noise.gauss(1, 0.001)) for _ in range(POINTS)]
    phases = {name: {"seconds": noise.random(), "rss_bytes": near[0]} for name in ("setup", "call", "teardown")}
    return Measurement(
        nodeid=nodeid(test),
        outcome="passed",
        start_method="forkserver",
        verdict="ok",
        readings={
            figure: Reading(bytes=size, exactness="lower-bound", source="VmHWM", error_bytes=786432)
            for figure, size in zip(FIGURES, near, strict=False)
        },
        limits={},
        verdicts={},
        phases=phases,
        timeline=Timeline(seconds=[at / 50 for at in range(POINTS)], rss_tree_bytes=near),
    )


def run(number: int) -> RecordedRun:
    noise = random.Random(number)
    return RecordedRun(
        run=Run(
            id=f"{number:032x}",
            started_at=START + dt.timedelta(minutes=number),
            commit=f"{number:040x}",
            branch="main",
            dirty=False,
        ),
        environment=ENVIRONMENT,
        tests=[measurement(test, noise) for test in range(TESTS)],
        footer=Footer(duration_seconds=60.0, exit_status=0, tests=TESTS),
    )


def timed(action: Callable[[], object], repeats: int) -> list[tuple[float, float]]:
    """Seconds by the clock, and of this process's processor time: what it costs whatever else the machine does."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter(), time.process_time()
        action()
        seconds.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return seconds


def window(open_: Callable[[], Store]) -> int:
    """As many readings as it has."""
    store = open_()
    ids = [info.id for info in store.infos(last=WINDOW_RUNS)]
    history = store.history(ids, nodeids=[nodeid(test) for test in range(WINDOW_TESTS)])
    found = sum(map(len, history.points.values()))
    assert found == WINDOW_TESTS * len(FIGURES) * len(ids), found
    return found


def rows(name: str, url: str, runs: int, repeats: int) -> Iterator[list[str]]:
    def open_() -> Store:
        return open_store(url, root=Path("/"))

    began = time.perf_counter()
    open_().push(run(number) for number in range(runs))
    filled = time.perf_counter() - began
    readings = f"{runs * TESTS * len(FIGURES):,} readings"
    yield [name, f"{readings} are stored", f"{filled:.0f} s", "", "", ""]
    more = [run(runs + number) for number in range(repeats)]
    pushes = iter(more)
    pushed = timed(lambda: open_().push([next(pushes)]), repeats)
    yield row(name, "push of a run of 1,000", pushed, PUSH_SECONDS)
    yield row(name, "window: 500 series, 50 runs", timed(lambda: window(open_), repeats), WINDOW_SECONDS)
    yield row(name, "one run given back whole", timed(lambda: list(open_().runs([more[0].run.id])), repeats), None)
    yield row(name, "the same run pushed again", timed(lambda: open_().push(more[:1]), repeats), None)


def row(name: str, what: str, measured: list[tuple[float, float]], bar: float | None) -> list[str]:
    seconds, processor = [one for one, _ in measured], [one for _, one in measured]
    met = "" if bar is None else f"under {bar} s: {'met' if statistics.median(seconds) < bar else 'missed'}"
    extremes = f"{min(seconds):.3f} to {max(seconds):.3f} s"
    return [name, what, median(seconds, 3, "s"), extremes, f"{statistics.median(processor):.3f} s", met]


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    wanted = sys.argv[3:] or ["sqlite", "postgresql"]
    found: list[list[str]] = []
    if "sqlite" in wanted:
        with tempfile.TemporaryDirectory() as folder:
            found += rows("SQLite", f"sqlite:///{folder}/runs.db", runs, repeats)
            size = Path(folder, "runs.db").stat().st_size
            found.append(["SQLite", "its file", f"{size / (1 << 20):.0f} MiB", "", "", ""])
    if "postgresql" in wanted:
        with running_server(options="") as server:
            found += rows("PostgreSQL", server.new_database(), runs, repeats)
    show(["database", "what", "median", "least to most", "processor time of the client", "bar"], found)


if __name__ == "__main__":
    main()
