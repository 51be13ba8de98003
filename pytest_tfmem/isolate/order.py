"""What is needed to start one test in a process of its own, by whatever start method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_tfmem.isolate import wire


@dataclass(frozen=True, kw_only=True)
class Order:
    """One test's order. `environment` is that of its process, with what its runtime asks for.

    `file` is the test's file as pytest shows it; `frameworks` are those that it imports, as far as can be told without
    importing it again.
    """

    start: wire.Start
    environment: Mapping[str, str]
    directory: Path
    search_path: tuple[str, ...]
    shows_output: bool
    interval_seconds: float
    timeout_seconds: float | None
    file: str
    frameworks: frozenset[str]
