"""What it costs to have the plugin installed and not to use it: `python benchmarks/load_cost.py [REPEATS]`.

Two parts, in processor time, because the clock counts what else the machine does. The import: what Python's
`-X importtime` says of pytest_tfmem.plugin and all that it imports, where pytest is loaded. The hooks: sessions of
`pytest --collect-only` on an empty file in one process, with and without the plugin in turn. The bar: less than
5 ms together, and none of the heavy modules loaded.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from processes import ENVIRONMENT
from table import median, show

HEAVY = ("tensorflow", "numpy", "yaml", "pynvml", "rich", "click", "sqlalchemy", "psutil", "msgspec")
_IMPORT = "import _pytest.config, _pytest.pytester, _pytest.terminal, pytest; import pytest_tfmem.plugin"
_IMPORT_LINE = re.compile(r"import time:\s+\d+ \|\s+(\d+) \| pytest_tfmem\.plugin$", re.MULTILINE)
_SESSIONS = """
import contextlib, io, json, sys, time
import pytest
import pytest_tfmem.plugin

# unraisableexception collects garbage: 20 ms of it in a process as old as this.
OPTIONS = ["-q", "--collect-only", "-p", "no:cacheprovider", "-p", "no:unraisableexception", "test_empty.py"]
seconds = {"with": [], "without": []}
for repeat in range(int(sys.argv[1])):
    for kind in ("with", "without") if repeat % 2 else ("without", "with"):
        # Not by "-p": pytest then looks through all that is installed once more, which is no cost of this plugin.
        plugins = [pytest_tfmem.plugin] if kind == "with" else []
        with contextlib.redirect_stdout(io.StringIO()):
            began = time.process_time()
            pytest.main(OPTIONS, plugins=plugins)
            seconds[kind].append(time.process_time() - began)
print(json.dumps([seconds, sorted(set(sys.modules) & set(sys.argv[2:]))]))
"""


def import_milliseconds(folder: str) -> float:
    command = [sys.executable, "-X", "importtime", "-c", _IMPORT]
    said = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, check=True)
    found = _IMPORT_LINE.search(said.stderr.decode())
    assert found
    return int(found[1]) / 1000


def sessions(folder: str, repeats: int) -> tuple[dict[str, list[float]], list[str]]:
    """Milliseconds of sessions with and without the plugin, and the heavy modules that were loaded."""
    Path(folder, "test_empty.py").touch()
    said = subprocess.run(
        [sys.executable, "-c", _SESSIONS, str(repeats), *HEAVY],
        cwd=folder,
        env={**ENVIRONMENT, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        check=True,
    )
    seconds, loaded = json.loads(said.stdout.splitlines()[-1])
    return {kind: [1000 * one for one in measured[2:]] for kind, measured in seconds.items()}, loaded


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder:
        imports = [import_milliseconds(folder) for _ in range(repeats)][1:]
        times, loaded = sessions(folder, repeats)
    hooks = [one - other for one, other in zip(times["with"], times["without"], strict=True)]
    least = min(times["with"]) - min(times["without"])
    both = statistics.median(imports) + statistics.median(hooks)
    rows = [
        ["import of pytest_tfmem.plugin", median(imports, 2, "ms"), f"{min(imports):.2f} ms"],
        ["a session's hooks, with less without", median(hooks, 2, "ms"), f"{least:.2f} ms"],
        ["together", f"{both:.2f} ms", f"{min(imports) + least:.2f} ms"],
        ["heavy modules loaded", ", ".join(loaded) or "none", ""],
    ]
    show(["", "median", "least"], rows)


if __name__ == "__main__":
    main()
