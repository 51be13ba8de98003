"""Whether a test reads the same by either start method: `python benchmarks/start_methods.py [RUNS] [TESTS]`.

Six workloads, each a test in a file of its own; every file imports NumPy and TensorFlow. A run is two sessions over
all six, in turn, one with `--tfmem-start-method=forkserver` and one with `=spawn`. Every forkserver session has a
server of its own, which each file's module server is forked off, so a workload's forkserver readings are of as many
servers as there are runs. The readings are those of `--tfmem-json`.

agreement  the medians of the runs: `rss` and `rss_anon` within 0.5 %, `rss_growth` within 3 % or 1 MiB
noise      the coefficient of variation of `rss`: over the runs by spawn, over the runs by forkserver (between servers),
           and over the tests of one more forkserver session, which has each test TESTS times (within a server). The
           bar: forkserver is no noisier. A ratio of two such coefficients is uncertain itself: the interval beside it
           has 95 % of the ratios of samples drawn anew from the readings, and the bar is missed where all of it is
           above 1

30 runs and 30 tests take half an hour. After every run it says on standard error what it has read;
interrupted, it prints the tables of what there is.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from table import median, show
from timed import FORKSERVER, SPAWN, judged, timed_session

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 1 << 20
FIGURES = {"rss": 0.005, "rss_anon": 0.005, "rss_growth": 0.03}  # how far the medians may be apart
MOST_GROWTH_BYTES = MIB
RESAMPLES = 4000
BEGINNING = """
import mmap

import numpy as np
import pytest
import tensorflow as tf

@pytest.mark.parametrize("n", range({tests}))
def test_it(n):
"""
WORKLOADS = {
    "no-op": "pass",
    "matrix product": "assert float((tf.ones((1500, 1500)) @ tf.ones((1500, 1500)))[0, 0]) == 1500.0",
    "Keras fit": """
    tf.keras.utils.set_random_seed(1)
    model = tf.keras.Sequential([tf.keras.Input((32, 32, 3)), tf.keras.layers.Conv2D(32, 3, activation="relu"),
                                 tf.keras.layers.Flatten(), tf.keras.layers.Dense(10)])
    model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(np.zeros((256, 32, 32, 3), "float32"), np.zeros(256), epochs=1, batch_size=32, verbose=0)
""",
    "tf.data pipeline": """
    images = tf.data.Dataset.range(2000).map(lambda i: tf.random.stateless_uniform((64, 64, 3), [1, i]))
    batches = images.shuffle(200, seed=1).batch(50).prefetch(2)
    assert sum(1 for _ in batches) == 40
""",
    "NumPy heap, 160 MB": "assert np.ones(20_000_000).size == 20_000_000",
    "spike of 256 MiB": """
    with mmap.mmap(-1, 256 << 20) as held:
        for page in range(0, 256 << 20, mmap.PAGESIZE):
            held[page] = 1
""",
}
Readings = dict[str, dict[str, list[int]]]  # bytes of each test, by workload and figure


def write_tests(folder: Path, tests: int) -> Path:
    folder.mkdir()
    for number, body in enumerate(WORKLOADS.values()):
        text = BEGINNING.format(tests=tests) + "    " + body.strip() + "\n"
        (folder / f"test_{number}.py").write_text(text)
    return folder


def read(folder: Path, options: Sequence[str], tests: int, into: Readings) -> str:
    """Run a session and add what it has read; its `rss` in words."""
    path = folder / "run.json"
    timed_session(folder, *options, f"--tfmem-json={path}", tests=tests * len(WORKLOADS))
    names = list(WORKLOADS)
    said = []
    for test in json.loads(path.read_text())["tests"]:
        name = names[int(test["nodeid"].split(".py")[0][-1])]
        for figure in FIGURES:
            into[name][figure].append(test["readings"][figure]["bytes"])
        said.append(f"{into[name]['rss'][-1] / MIB:.1f}")
    return " ".join(said[: len(WORKLOADS)])


def measure(runs: int, tests: int) -> dict[str, Readings]:
    kinds = ("spawn", "between", "within")
    readings: dict[str, Readings] = {kind: defaultdict(lambda: defaultdict(list)) for kind in kinds}
    with tempfile.TemporaryDirectory() as name:
        once, often = write_tests(Path(name) / "once", 1), write_tests(Path(name) / "often", tests)
        try:
            for run in range(runs):
                for kind, options in (("between", FORKSERVER), ("spawn", SPAWN)):
                    said = read(once, options, 1, readings[kind])
                    print(f"run {run + 1} of {runs}, {kind}: {said} MiB", file=sys.stderr, flush=True)
            read(often, FORKSERVER, tests, readings["within"])
        except KeyboardInterrupt:
            print("interrupted: what there is", file=sys.stderr)
    return readings


def agreement(readings: dict[str, Readings]) -> list[list[str]]:
    rows = []
    for name in WORKLOADS:
        for figure, most in FIGURES.items():
            spawned, forked = readings["spawn"][name][figure], readings["between"][name][figure]
            middle = statistics.median(spawned)
            apart = statistics.median(forked) - middle
            of_growth = figure == "rss_growth"
            holds = abs(apart) <= most * middle or (of_growth and abs(apart) <= MOST_GROWTH_BYTES)
            shown = f"{100 * apart / middle:+.2f} %" if middle > MIB else ""
            rows.append(
                [
                    name,
                    f"`{figure}`",
                    median([one / MIB for one in spawned], 2),
                    median([one / MIB for one in forked], 2),
                    f"{apart / MIB:+.2f} MiB",
                    shown,
                    f"{100 * most:g} %{' or 1 MiB' if of_growth else ''}: {judged(holds)}",
                ]
            )
    return rows


def variation(values: Sequence[int]) -> float:
    return statistics.stdev(values) / statistics.fmean(values)


def ratios_drawn_anew(forked: Sequence[int], spawned: Sequence[int]) -> list[float]:
    """The ratio of both variations, in samples drawn from the readings with replacement (Efron's bootstrap), sorted."""
    draw = random.Random(1)
    drawn = []
    for _ in range(RESAMPLES):
        one, other = (variation(draw.choices(of, k=len(of))) for of in (forked, spawned))
        drawn.append(one / other if other else float("inf"))
    return sorted(drawn)


def compared(forked: Sequence[int], spawned: Sequence[int]) -> str:
    drawn = ratios_drawn_anew(forked, spawned)
    low, high = drawn[RESAMPLES // 40], drawn[-RESAMPLES // 40]
    ratio = variation(forked) / variation(spawned) if variation(spawned) else float("inf")
    return f"{ratio:.2f} ({low:.2f} to {high:.2f}): {judged(low <= 1)}"


def noise(readings: dict[str, Readings]) -> list[list[str]]:
    rows = []
    for name in WORKLOADS:
        spawned, *forked = (readings[kind][name]["rss"] for kind in ("spawn", "between", "within"))
        shown = [f"{100 * variation(of):.3f} %" if len(of) > 1 else "" for of in (spawned, *forked)]
        rows.append([name, *shown, *(compared(of, spawned) if len(of) > 1 else "" for of in forked)])
    return rows


def main() -> None:
    runs, tests = (int(given) for given in (*sys.argv[1:3], *("30", "30")[len(sys.argv[1:3]) :]))
    readings = measure(runs, tests)
    done = len(readings["spawn"]["no-op"]["rss"])
    if done < 2:
        return
    print(f"Medians of {done} runs, in MiB\n")
    show(["workload", "figure", "spawn", "forkserver", "apart", "", "bar"], agreement(readings))
    tests_done = len(readings["within"]["no-op"]["rss"])
    print(f"\nNoise of `rss`: {done} runs, {tests_done} tests within a server\n")
    beside = ["between over spawn", "within over spawn"]
    show(["workload", "spawn", "forkserver, between servers", "within a server", *beside], noise(readings))


if __name__ == "__main__":
    main()
