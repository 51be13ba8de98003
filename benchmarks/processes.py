"""What the benchmarks share: commands, and what they cost."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Where no bytecode is written, every import compiles, and what imports more of this plugin looks dearer than it is.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Cost(NamedTuple):
    clock_seconds: float
    processor_seconds: float


def cost_of(command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> Cost:
    """What the command and all that it waits for takes, from its start to its end."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env={**ENVIRONMENT, **(more or {})}, capture_output=True, check=False)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode in {0, 5}, done.stdout.decode() + done.stderr.decode()  # 5: no tests
    return Cost(seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
