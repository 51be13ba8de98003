"""What is asked of the gate, and why it may come to no decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Say = Callable[[str, int, int], None]  # what is being done, and how many of how many sessions are


@dataclass(frozen=True, kw_only=True)
class Asked:
    """`runs`: run files of the head, made already. `attempts`: in place of those that the bound needs.

    `arguments`: pytest's. `directory`: where we were called.
    """

    base: str
    directory: Path
    runs: tuple[Path, ...] = ()
    setup: str | None = None
    python: str | None = None
    decide_all: bool = False
    allow_raises: bool = False
    history: str | None = None
    attempts: int | None = None
    arguments: tuple[str, ...] = ()


class CouldNotDecideError(Exception):
    """There is nothing to judge, and why: a sentence without a full stop."""
