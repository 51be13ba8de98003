"""Whether short spikes are seen: `python benchmarks/spikes.py [REPEATS] [PYTHON-WITH-PEERS]`.

Each test takes 256 MiB, holds them for so many milliseconds, and lets them go. What this plugin reads (`rss_growth`)
stands beside what two others report of the same tests, if an interpreter is named that has them:

    python -m venv peers && peers/bin/pip install "pytest<9" pytest-monitor pytest-memray

Each reports what it is made for, its own way: pytest-monitor the resident set, asked for every 100 ms, less what was
resident before; pytest-memray what was allocated through the allocators that it follows. The bar: within 1 MiB of
256 MiB in every repeat.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from processes import ENVIRONMENT
from table import show

MIB = 1 << 20
SPIKE = 256 * MIB
TESTS = """
import mmap
import time

import pytest

SIZE = 256 << 20

@pytest.mark.parametrize("repeat", range(REPEATS))
@pytest.mark.parametrize("milliseconds", [0, 1, 5, 20, 100])
@pytest.mark.parametrize("kind", ["map", "heap"])
def test_spike(kind, milliseconds, repeat):
    if kind == "map":
        held = mmap.mmap(-1, SIZE)
        for page in range(0, SIZE, mmap.PAGESIZE):
            held[page] = 1
    else:
        held = bytearray(SIZE)  # malloc, and every byte is written
    if milliseconds:
        time.sleep(milliseconds / 1000)
    if kind == "map":
        held.close()
"""
_NODE = re.compile(r"test_spike\[(\w+)(?:-|, )(\d+)(?:-|, )\d+\]")
Case = tuple[str, int]  # kind, milliseconds
Seen = dict[Case, list[float]]  # MiB of each repeat


def case_of(nodeid: str) -> Case:
    found = _NODE.search(nodeid)
    assert found, nodeid
    return found[1], int(found[2])


def pytest_in(folder: Path, python: str, *options: str) -> str:
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *options]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [*command, "--rootdir", str(folder), "test_spikes.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def seen_by_us(folder: Path) -> Seen:
    path = folder / "run.json"
    pytest_in(folder, sys.executable, "--tfmem-all", f"--tfmem-json={path}")
    seen: Seen = defaultdict(list)
    for test in json.loads(path.read_text())["tests"]:
        seen[case_of(test["nodeid"])].append(test["readings"]["rss_growth"]["bytes"] / MIB)
    return seen


def seen_by_monitor(folder: Path, python: str) -> Seen:
    path = folder / "monitor.db"
    pytest_in(folder, python, "-p", "no:memray", f"--db={path}")
    seen: Seen = defaultdict(list)
    with sqlite3.connect(path) as database:
        for variant, mebibytes in database.execute("SELECT ITEM_VARIANT, MEM_USAGE FROM TEST_METRICS"):
            seen[case_of(variant)].append(mebibytes)
    return seen


def seen_by_memray(folder: Path, python: str) -> Seen:
    traces = folder / "traces"
    traces.mkdir()
    pytest_in(folder, python, "-p", "no:monitor", "--memray", f"--memray-bin-path={traces}")
    code = (
        "import json, memray, sys\n"
        "print(json.dumps({path: memray.FileReader(path).metadata.peak_memory for path in sys.argv[1:]}))"
    )
    read = subprocess.run([python, "-c", code, *map(str, traces.glob("*.bin"))], capture_output=True, check=True)
    seen: Seen = defaultdict(list)
    for path, peak in json.loads(read.stdout).items():
        seen[case_of(os.path.basename(path))].append(peak / MIB)
    return seen


def cell(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})" if values else "none"


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_spikes.py").write_text(TESTS.replace("REPEATS", str(repeats)))
        columns = {"pytest-tfmem": seen_by_us(folder)}
        if len(sys.argv) > 2:
            columns["pytest-monitor"] = seen_by_monitor(folder, sys.argv[2])
            columns["pytest-memray"] = seen_by_memray(folder, sys.argv[2])
    ours = columns["pytest-tfmem"]
    rows = []
    for kind, milliseconds in ours:
        off = max(abs(one - SPIKE / MIB) for one in ours[kind, milliseconds])
        cells = [cell(seen[kind, milliseconds]) for seen in columns.values()]
        rows.append([kind, f"{milliseconds} ms", *cells, f"{off:.2f} MiB"])
    print(f"MiB that each reports for 256 MiB, {repeats} repeats: median (least to most)\n")
    show(["spike", "held", *columns, "most that pytest-tfmem is off"], rows)


if __name__ == "__main__":
    main()
