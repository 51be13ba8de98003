"""Beside others that fork each test: `python benchmarks/peers_cost.py [ROUNDS] [TESTS] [PYTHON-WITH-PEERS]`.

pytest-forked 1.7.5 and pytest-isolate 0.0.17 fork each test off pytest's own process, and run on pytest 8.4. All run
in one environment; without an interpreter that has them, one is made first, in a temporary folder:

    python -m venv peers && peers/bin/pip install "pytest==8.4.*" pytest-forked==1.7.5 pytest-isolate==0.0.17 \
        tensorflow-cpu -e .

time    100 tests that do nothing, in a file that imports TensorFlow, in turn in every round; a test's time is from the
        end of the one before it to its own end. The first of each session is left out
memory  two more tests, one that does nothing and one that holds a NumPy array of 160 MB. Each is read by whatever ran
        it: `rss` of this plugin's run document; `peak_rss_mib`, which pytest-isolate puts on its reports; pytest-forked
        reads nothing. And each notes for itself, at its end, its process's VmHWM and VmRSS. "alone": pytest on the
        file with that test alone and without any plugin, what a new interpreter takes

Five rounds take eight minutes, and making the environment one more.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from processes import ENVIRONMENT
from table import median, show
from timed import FORKSERVER, NO_OPS, SPAWN, scaled, timed_session

MIB = 1 << 20
SPAWNED_TESTS = 3
PEERS = ("pytest==8.4.*", "pytest-forked==1.7.5", "pytest-isolate==0.0.17", "tensorflow-cpu")
KINDS = {
    "pytest alone": (),
    "pytest-forked": ("-p", "pytest_forked", "--forked"),
    "pytest-isolate": ("-p", "pytest_isolate.plugin", "--isolate"),
    "pytest-tfmem, forkserver": FORKSERVER,
    "pytest-tfmem, spawn": SPAWN,
}
BODIES = {"no-op": "pass", "NumPy, 160 MB": "held = np.ones(20_000_000)"}
NOTING = """
import json
import os

import numpy as np
import tensorflow

def test_it():
    {body}
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    with open(os.environ["BENCHMARK_NOTES"], "a") as file:
        print(json.dumps([int(fields[field].split()[0]) << 10 for field in ("VmHWM", "VmRSS")]), file=file)
"""
_ISOLATE_PEAK = re.compile(r'name="peak_rss_mib" value="([\d.]+)"')


def make_environment(folder: Path) -> str:
    subprocess.run([sys.executable, "-m", "venv", folder], env=ENVIRONMENT, check=True)
    python = str(folder / "bin" / "python")
    checkout = str(Path(__file__).parent.parent)
    subprocess.run([python, "-m", "pip", "install", "-q", *PEERS, "-e", checkout], env=ENVIRONMENT, check=True)
    return python


def versions(python: str) -> str:
    code = (
        "import importlib.metadata, json, sys\n"
        "print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))"
    )
    names = ["pytest", "pytest-forked", "pytest-isolate", "tensorflow-cpu"]
    said = subprocess.run([python, "-c", code, *names], capture_output=True, check=True, env=ENVIRONMENT)
    return ", ".join(f"{name} {version}" for name, version in json.loads(said.stdout).items())


def times(folder: Path, python: str, rounds: int, tests: int) -> dict[str, list[float]]:
    """Milliseconds of a test, the mean of each session."""
    seconds: dict[str, list[float]] = defaultdict(list)
    folders = {number: folder / f"times{number}" for number in (SPAWNED_TESTS, tests)}
    for number, place in folders.items():
        place.mkdir()
        (place / "test_it.py").write_text(NO_OPS.format(tests=number))
    for number in range(rounds + 1):
        for kind, options in KINDS.items():
            count = SPAWNED_TESTS if options == SPAWN else tests
            seconds[kind].append(timed_session(folders[count], *options, tests=count, python=python).mean())
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return {kind: scaled(measured[1:], 1000) for kind, measured in seconds.items()}  # the first warms the disk's cache


def its_own_reading(kind: str, folder: Path) -> float | None:
    """MiB that whatever ran the test says of it."""
    if kind.startswith("pytest-tfmem"):
        (test,) = json.loads((folder / "run.json").read_text())["tests"]
        return float(test["readings"]["rss"]["bytes"] / MIB)
    if kind == "pytest-isolate":
        return float(_ISOLATE_PEAK.findall((folder / "junit.xml").read_text())[-1])
    return None


def readings(folder: Path, python: str, rounds: int, body: str) -> dict[str, list[tuple[float | None, float, float]]]:
    """MiB of each round: what it was said to be, and what it noted itself, as VmHWM and VmRSS."""
    folder.mkdir()
    (folder / "test_it.py").write_text(NOTING.format(body=body))
    (folder / "notes").touch()
    seen = defaultdict(list)
    for _ in range(rounds):
        for kind, options in KINDS.items():
            where = {"pytest-isolate": ["--junit-xml=junit.xml"]}.get(kind, [])
            where = ["--tfmem-json=run.json"] if kind.startswith("pytest-tfmem") else where
            noted = {"BENCHMARK_NOTES": str(folder / "notes")}
            timed_session(folder, *options, *where, tests=1, python=python, more=noted)
            peak, resident = json.loads((folder / "notes").read_text().splitlines()[-1])
            seen[kind].append((its_own_reading(kind, folder), peak / MIB, resident / MIB))
    return seen


def said(values: list[float | None]) -> str:
    read = [value for value in values if value is not None]
    return median(read, 1) if read else "none"


def main() -> None:
    rounds, tests = (int(given) for given in (*sys.argv[1:3], *("5", "100")[len(sys.argv[1:3]) :]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = sys.argv[3] if len(sys.argv) > 3 else make_environment(folder / "peers")
        print(f"{rounds} rounds of {tests} tests; {versions(python)}\n")
        seconds = times(folder, python, rounds, tests)
        ours = seconds["pytest-tfmem, forkserver"]
        over = [
            [kind, median(of, 1, "ms"), median([one / our for one, our in zip(of, ours, strict=True)], 2, "x")]
            for kind, of in seconds.items()
        ]
        show(["run by", "a test", "over pytest-tfmem's forkserver"], over)
        rows = []
        for number, (title, body) in enumerate(BODIES.items()):
            for kind, seen in readings(folder / f"memory{number}", python, rounds, body).items():
                columns = zip(*seen, strict=True)
                rows.append([title, kind, *map(said, map(list, columns))])
    print("\nMiB of a test, alone in its session\n")
    show(["test", "run by", "it reads", "the test's VmHWM", "the test's VmRSS"], rows)


if __name__ == "__main__":
    main()
