"""What the benchmarks share: medians with their spread, and tables that can be pasted into README.md."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def median(values: Sequence[float], digits: int = 2, unit: str = "") -> str:
    """The median with the quartiles beside it: `2.41 (2.38-2.52) s`."""
    middle = statistics.median(values)
    low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else (middle, middle, middle)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f}) {unit}".rstrip()


def show(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table, and below it what it was measured on."""
    show_plain(header, rows)
    print(f"\nMedians, with quartiles. {machine()}.")


def show_plain(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table of what does not depend on the machine."""
    print("| " + " | ".join(header) + " |")
    print("|" + " --- |" * len(header))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def machine() -> str:
    linux = platform.release().split("-")[0]
    cores = (
        f"{os.cpu_count()}-core {platform.machine()}, {platform.system()} {linux}, Python {platform.python_version()}"
    )
    return f"{cores}; load while it was measured: {os.getloadavg()[0]:.1f}" if sys.platform != "win32" else cores
