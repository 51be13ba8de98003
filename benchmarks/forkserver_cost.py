"""What a forked test costs: `python benchmarks/forkserver_cost.py [ROUNDS] [TESTS]`; seven rounds take ten minutes.

A file imports TensorFlow and has 100 tests that do nothing. Compared are, in turn in every round:

in-process  `pytest --tfmem-all --tfmem-start-method=forkserver --no-tfmem`
forkserver  the same without `--no-tfmem`
spawn       three such tests with `--tfmem-start-method=spawn`
floor       what no start method that forks can go below: fork, bring the file pages in, exit, reap, one after the
            other, in a process that has imported pytest, the plugin and TensorFlow like a module server. A second
            figure is of a process that has had its largest mappings carried over, as module servers have: less is
            left to bring in

A test's time is from the end of the one before it to its own end. So the first of a session, which waits for its
server, is left out; it counts in the whole sessions. The in-process and forkserver sessions and the floor are also run
with every core busy: with pytest-xdist and as many workers as there are cores, each with 50 tests (of which those
count that ran while all workers were at work), and in as many processes at once.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from processes import ENVIRONMENT
from table import median, show
from timed import FORKSERVER, IN_PROCESS, NO_OPS, SPAWN, judged, scaled, timed_session

SPAWNED_TESTS = 3
TESTS_OF_A_WORKER = 50
MOST_SECONDS = 0.045
MOST_FLOORS = 1.2
MOST_BUSY_FLOORS = 2.0
LEAST_SPAWN_RATIO = 60.0
FLOOR = """
import gc, json, os, sys, time
import pytest
import tensorflow
import pytest_tfmem.isolate.module_server
from pytest_tfmem.measure.resident import carry_over, file_ranges, populate, trim_heap

def fork(ranges):
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        populate(ranges)
        os._exit(0)
    os.waitpid(pid, 0)
    return time.perf_counter() - began

fork([])  # OpenBLAS ends its threads in its fork handler
gc.collect()
gc.freeze()
trim_heap()
seconds = {}
for kind in ("floor", "carried"):
    ranges = file_ranges() if kind == "floor" else carry_over(ranges)
    print("ready", flush=True)
    sys.stdin.readline()
    seconds[kind] = [fork(ranges) for _ in range(int(sys.argv[1]))]
print(json.dumps(seconds), flush=True)
"""
Figures = dict[str, list[float]]  # of each round


def floors(processes: int, forks: int) -> dict[str, list[float]]:
    """Seconds of every fork, in so many processes at once."""
    command = [sys.executable, "-c", FLOOR, str(forks)]
    started = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            text=True,
        )
        for _ in range(processes)
    ]
    for _ in ("floor", "carried"):
        for process in started:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin
            print(file=process.stdin, flush=True)
    said = [json.loads(process.communicate()[0]) for process in started]
    return {kind: [one for of in said for one in of[kind]] for kind in ("floor", "carried")}


def file_of(folder: Path, name: str, tests: int) -> Path:
    (folder / name).mkdir()
    (folder / name / "test_it.py").write_text(NO_OPS.format(tests=tests))
    return folder / name


def measure_floor(figures: Figures, prefix: str, processes: int, forks: int) -> None:
    for kind, seconds in floors(processes, forks).items():
        figures[f"{prefix}{kind}"].append(statistics.fmean(seconds))
        figures[f"{prefix}{kind} median"].append(statistics.median(seconds))


def measure_sessions(figures: Figures, prefix: str, folder: Path, tests: int, *options: str) -> None:
    """An in-process session and a forkserver session: means, medians and the whole, as one is over the other."""
    plain = timed_session(folder, *IN_PROCESS, *options, tests=tests)
    forked = timed_session(folder, *FORKSERVER, *options, tests=tests)
    figures[f"{prefix}in-process"].append(plain.mean())
    figures[f"{prefix}forkserver"].append(forked.mean())
    figures[f"{prefix}over"].append(forked.mean() - plain.mean())
    figures[f"{prefix}over median"].append(forked.median() - plain.median())
    figures[f"{prefix}whole"].append((forked.cost.clock_seconds - plain.cost.clock_seconds) / tests)


def measure(rounds: int, tests: int) -> Figures:
    cores = len(os.sched_getaffinity(0))
    busy_tests = cores * max(2, min(tests, TESTS_OF_A_WORKER))
    figures: Figures = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        one_at_a_time, busy, few = (
            file_of(Path(name), *file) for file in (("one", tests), ("busy", busy_tests), ("few", SPAWNED_TESTS))
        )
        timed_session(few, *FORKSERVER, tests=SPAWNED_TESTS)  # warms the disk's cache
        for number in range(rounds):
            measure_floor(figures, "", 1, tests)
            measure_sessions(figures, "", one_at_a_time, tests)
            measure_floor(figures, "busy ", cores, tests)
            measure_sessions(figures, "busy ", busy, busy_tests, "-p", "xdist.plugin", "-n", str(cores))
            spawned = timed_session(few, *SPAWN, tests=SPAWNED_TESTS).mean()
            figures["spawn over"].append(spawned - figures["in-process"][-1])
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return figures


def ratios(figures: Figures, one: str, other: str) -> list[float]:
    return [a / b for a, b in zip(figures[one], figures[other], strict=True)]


def times(figures: Figures) -> list[list[str]]:
    rows = [
        ("in-process, a test", "in-process"),
        ("forkserver, a test", "forkserver"),
        ("forkserver over in-process, a test in the mean", "over"),
        ("the same, of their medians", "over median"),
        ("the same, whole sessions with all that they import, a test", "whole"),
        ("floor: fork, bring in, exit; the mean", "floor"),
        ("the same, the median", "floor median"),
        ("floor of a process that has carried over; the mean", "carried"),
        ("the same, the median", "carried median"),
        ("spawn over in-process, a test", "spawn over"),
    ]
    return [
        [
            text,
            *(median(scaled(figures[key], 1e3), 1, "ms") if key in figures else "" for key in (name, f"busy {name}")),
        ]
        for text, name in rows
    ]


def bar(text: str, values: list[float], digits: int, unit: str, most: float) -> list[str]:
    return [text, median(values, digits, unit), f"at most {most:g} {unit}", judged(statistics.median(values) <= most)]


def bars(figures: Figures) -> list[list[str]]:
    cheaper = ratios(figures, "spawn over", "over")
    fewest = judged(statistics.median(cheaper) >= LEAST_SPAWN_RATIO)
    floor, busy = MOST_FLOORS, MOST_BUSY_FLOORS
    return [
        bar("over in-process, a test", scaled(figures["over"], 1e3), 1, "ms", 1e3 * MOST_SECONDS),
        bar("over in-process, in floors", ratios(figures, "over", "floor"), 2, "x", floor),
        bar("the same, of their medians", ratios(figures, "over median", "floor median"), 2, "x", floor),
        bar("the same, in floors carried over", ratios(figures, "over", "carried"), 2, "x", floor),
        bar("every core busy, in floors of one process alone", ratios(figures, "busy over", "floor"), 2, "x", busy),
        bar(
            "every core busy, in floors on every core at once", ratios(figures, "busy over", "busy floor"), 2, "x", busy
        ),
        ["spawn over forkserver", median(cheaper, 0, "x"), f"at least {LEAST_SPAWN_RATIO:g} x", fewest],
    ]


def main() -> None:
    rounds, tests = (int(given) for given in (*sys.argv[1:3], *("7", "100")[len(sys.argv[1:3]) :]))
    figures = measure(rounds, tests)
    print(f"{rounds} rounds of {tests} tests\n")
    show(["", "one at a time", f"every core busy ({len(os.sched_getaffinity(0))})"], times(figures))
    print()
    show(["bar", "median", "allowed", ""], bars(figures))


if __name__ == "__main__":
    main()
