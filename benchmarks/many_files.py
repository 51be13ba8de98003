"""Many files, each with a module server of its own: `python benchmarks/many_files.py [FILES] [TESTS-OF-A-FILE]`.

100 files import TensorFlow and have ten tests that do nothing, then one test each: run by
`pytest --tfmem-all --tfmem-start-method=forkserver`, beside it with `--no-tfmem`. It takes 3 minutes.

A file's time is from the end of the last test of the file before to the end of its own last test; that of the first
file, which waits for the server, is left out. "Without its tests": less as many times the median of what its tests but
the first took. Before the first test of each file the session looks at its servers: their anonymous memory
(`RssAnon`), and how many module servers they have. The bars: at most 0.5 s for a file, one server throughout, and at
most 1 MiB more in it at the end than when a tenth of the files were done.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

from table import median, show
from timed import FORKSERVER, IN_PROCESS, NO_OPS, Stamp, judged, timed_session

MOST_SECONDS = 0.5
MOST_GROWTH_BYTES = 1 << 20
SAMPLES = """
import json
import os
import time

def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]

def named(name, pids):
    found = []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/comm") as file:
                found += [pid] if file.read().strip() == name else []
        except OSError:
            continue  # it has ended
    return found

def anonymous_bytes(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("RssAnon"))

class Samples:
    file = None

    def pytest_runtest_logstart(self, location):
        if location[0] != self.file:
            began = time.monotonic()
            servers = named("tfmem-server", children(os.getpid()))
            sample = {
                "session": anonymous_bytes("self"),
                "descriptors": len(os.listdir("/proc/self/fd")) - 1,
                "servers": [anonymous_bytes(pid) for pid in servers],
                "files": sum(len(named("tfmem-file", children(pid))) for pid in servers),
            }
            self.file = location[0]
            with open(os.environ["BENCHMARK_SAMPLES"], "a") as out:
                print(json.dumps(sample | {"seconds": time.monotonic() - began}), file=out)

def pytest_configure(config):
    if "PYTEST_TFMEM_TOKEN" not in os.environ:  # what a test's process is marked with, which loads this too
        config.pluginmanager.register(Samples())
"""


class Sample(NamedTuple):
    """Before a file's first test: bytes of the session and of its servers, and how many module servers these have."""

    session: int
    descriptors: int
    servers: list[int]
    files: int
    seconds: float


class Files(NamedTuple):
    """Seconds of each file but the first, and of these without their tests; samples of every file."""

    seconds: list[float]
    bare: list[float]
    samples: list[Sample]


def run(files: int, tests: int, options: tuple[str, ...]) -> Files:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "benchmark_samples.py").write_text(SAMPLES)
        for number in range(files):
            (folder / f"test_{number:04}.py").write_text(NO_OPS.format(tests=tests))
        more = {"BENCHMARK_SAMPLES": str(folder / "samples")}
        session = timed_session(folder, "-p", "benchmark_samples", *options, tests=files * tests, more=more)
        samples = [Sample(**json.loads(line)) for line in (folder / "samples").read_text().splitlines()]
    of_files = [list(stamps) for _, stamps in groupby(session.stamps, key=lambda stamp: stamp.file)]
    assert len(of_files) == len(samples) == files
    seconds = [
        own[-1].ended - before[-1].ended - sample.seconds
        for (before, own), sample in zip(pairwise(of_files), samples[1:], strict=True)
    ]
    bare = [one - of_tests(own) for one, own in zip(seconds, of_files[1:], strict=True)] if tests > 1 else []
    return Files(seconds, bare, samples)


def of_tests(stamps: list[Stamp]) -> float:
    return len(stamps) * statistics.median(after.ended - before.ended for before, after in pairwise(stamps))


def times(name: str, ours: Files, plain: Files) -> list[str]:
    return [
        name,
        median(plain.seconds, 3, "s"),
        f"{median(ours.seconds, 3, 's')}: {held_to_bar(ours.seconds)}",
        f"{max(ours.seconds):.3f} s",
        f"{median(ours.bare, 3, 's')}: {held_to_bar(ours.bare)}" if ours.bare else "",
    ]


def held_to_bar(seconds: list[float]) -> str:
    return judged(statistics.median(seconds) <= MOST_SECONDS)


def memory(name: str, samples: list[Sample]) -> list[str]:
    late = samples[max(1, len(samples) // 10) :]
    assert all(len(sample.servers) == 1 for sample in late), "more than one server, or none"
    grown = late[-1].servers[0] - late[0].servers[0]
    return [
        name,
        f"{late[0].servers[0] / 2**20:.2f} to {late[-1].servers[0] / 2**20:.2f} MiB",
        f"at most {MOST_GROWTH_BYTES >> 20} MiB more: {judged(grown <= MOST_GROWTH_BYTES)}",
        f"{min(sample.files for sample in late)} to {max(sample.files for sample in late)}",
        f"{late[0].session / 2**20:.1f} to {late[-1].session / 2**20:.1f} MiB",
        f"{late[0].descriptors} to {late[-1].descriptors}",
    ]


def main() -> None:
    files, tests = (int(given) for given in (*sys.argv[1:3], *("100", "10")[len(sys.argv[1:3]) :]))
    rows: list[list[str]] = []
    held: list[list[str]] = []
    for each in (tests, 1):
        name = f"{files} files of {each}"
        ours = run(files, each, FORKSERVER)
        rows.append(times(name, ours, run(files, each, IN_PROCESS)))
        held.append(memory(name, ours.samples))
    bar = f"at most {MOST_SECONDS:g} s"
    forked = [f"a file by forkserver ({bar})", "the longest", f"without its tests ({bar})"]
    show(["tests", "a file in-process", *forked], rows)
    print()
    session = ["module servers at once", "session's RssAnon", "session's descriptors"]
    show(["tests", "server's RssAnon, from a tenth of the files on", "bar", *session], held)


if __name__ == "__main__":
    main()
