"""What pytest made of the arguments of an attempt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.isolate.identity import collected_id

if TYPE_CHECKING:
    import pytest

    from pytest_tfmem.settings import Settings


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`arguments`: files, folders and ids it was asked for. `nodeids`: of the tests that it is to run; `deselected`:
    how many more there were. `budgets` and `history` as they are settled; `gpu_off`: devices are not to be measured.
    """

    rootdir: str
    inifile: str | None
    arguments: list[str]
    nodeids: list[str]
    deselected: int
    budgets: str | None
    history: str
    gpu_off: bool


def write_facts(path: Path, session: pytest.Session, settings: Settings, *, deselected: int) -> None:
    """Write them in place of what others wrote: the workers of pytest-xdist all write the same."""
    config = session.config
    facts = Facts(
        rootdir=str(config.rootpath),
        inifile=None if config.inipath is None else str(config.inipath),
        arguments=[str(argument) for argument in config.args],
        nodeids=[collected_id(item) for item in session.items],
        deselected=deselected,
        budgets=None if settings.budgets is None else str(settings.budgets),
        history=str(config.getini("tfmem_history") or ""),
        gpu_off=settings.gpu == "off",
    )
    part = Path(f"{path}.{os.getpid()}")
    part.write_bytes(msgspec.json.encode(facts))
    part.replace(path)


def read_facts(path: Path) -> Facts | None:
    """What was written there, if anything was."""
    return msgspec.json.decode(path.read_bytes(), type=Facts) if path.exists() else None
