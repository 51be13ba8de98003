"""Whether a session that isolates many tests stays as it is: `python benchmarks/flatness.py [TESTS]`.

After every test the session's own process counts its resident set, the blocks that Python has allocated in it, and
its open descriptors. The slopes are least-squares lines over the second half. Beside them those of the same tests run
by pytest without the plugin: pytest keeps every report to its end, and on an isolated test's last report rides its
measurement, whose size is given. 2,000 tests take about 15 minutes.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import linear_regression

from processes import ENVIRONMENT
from table import show

TESTS_IN_A_FILE = 100
TESTS = f"""
import pytest

@pytest.mark.parametrize("n", range({TESTS_IN_A_FILE}))
def test_nothing(n):
    pass
"""
COUNTER = """
import os
import sys

# The session is the first to load this, and the tests' processes, which inherit the name, are not to count.
IS_SESSION = os.environ.setdefault("BENCHMARK_SESSION", str(os.getpid())) == str(os.getpid())

measured = 0

def size(value):
    parts = value.items() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return sys.getsizeof(value) + sum(map(size, parts))

def pytest_runtest_logreport(report):
    global measured
    if hasattr(report, "tfmem"):
        measured += size(report.tfmem)

def pytest_runtest_logfinish():
    if IS_SESSION:
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        descriptors = len(os.listdir("/proc/self/fd")) - 1
        with open(os.environ["BENCHMARK_COUNTS"], "a") as file:
            print(resident, sys.getallocatedblocks(), descriptors, measured, sep=",", file=file)
"""


def counts(folder: Path, *options: str) -> list[list[int]]:
    path = folder / f"counts{len(options)}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "benchmark_counter", *options]
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(folder), "BENCHMARK_COUNTS": str(path)}
    command += ["--rootdir", str(folder)]
    done = subprocess.run(command, cwd=folder, env={**ENVIRONMENT, **environment}, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:]
    with path.open() as file:
        return [[int(field) for field in row] for row in csv.reader(file)]


def row(name: str, counted: list[list[int]]) -> list[str]:
    half = counted[len(counted) // 2 :]
    slopes = [linear_regression(range(len(half)), column).slope for column in zip(*half, strict=True)]
    first, last = counted[len(counted) // 10], counted[-1]
    return [
        name,
        f"{len(counted)}",
        f"{first[0] / 2**20:.1f} to {last[0] / 2**20:.1f} MiB",
        f"{slopes[0]:,.0f} B",
        f"{slopes[3]:,.0f} B",
        f"{slopes[1]:,.1f}",
        f"{first[2]} to {last[2]}",
        f"{slopes[2]:.4f}",
    ]


def main() -> None:
    tests = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "benchmark_counter.py").write_text(COUNTER)
        for number in range(tests // TESTS_IN_A_FILE):
            (folder / f"test_{number:03}.py").write_text(TESTS)
        rows = [
            row("isolated", counts(folder, "-p", "pytest_tfmem.plugin", "--tfmem-all")),
            row("plain", counts(folder)),
        ]
    resident = "resident, from a tenth of the tests on"
    show(["tests", "number", resident, "per test", "measurement", "blocks per test", "descriptors", "per test"], rows)


if __name__ == "__main__":
    main()
