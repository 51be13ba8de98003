"""Limits that were learned by calibration, written into the budgets file: for each test under its own id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.budgets.edit import AddEntry, edited, new_file
from pytest_tfmem.budgets.file import read_budgets, read_data
from pytest_tfmem.budgets.model import BudgetsFile
from pytest_tfmem.budgets.ondisk import write_budgets
from pytest_tfmem.budgets.resolve import active_profiles
from pytest_tfmem.gate.calibrated import proposed
from pytest_tfmem.units import readable_ceiling
from pytest_tfmem.upkeep.placed import Places

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_tfmem.gate.calibrated import Calibration, Learned


def write_limits(path: Path, calibration: Calibration, *, exists: bool, shown: str, gpus: Sequence[str]) -> list[str]:
    """Write the proposed limits into the file at `path`; what came of it, in lines.

    A limit that stands in a marker is not touched, but told. Raises TfmemError if the file cannot be changed.
    """
    read = read_data(path, shown=shown) if exists else None
    file = read_budgets(read, shown=shown) if read is not None else BudgetsFile(shown=shown)
    found = proposed(calibration)
    by_hand = [one for one in found if one.limit and not one.limit.where.startswith(f"{shown}:")]
    ours = [one for one in found if one not in by_hand]
    places = Places(file, active_profiles(file, gpus))
    sizes: dict[str, dict[str, str]] = {}
    for one in ours:
        sizes.setdefault(one.key.nodeid, {})[one.key.figure] = _size(one)
    edits = [edit for nodeid, of_test in sizes.items() for edit in places.new_entry(nodeid, of_test)]
    if edits:
        added = [edit for edit in edits if isinstance(edit, AddEntry)]
        after = new_file(added, shown=shown) if read is None else edited(read, edits, shown=shown)
        write_budgets(path, after, read=read, shown=shown)
    told = [f"{one.limit.where}: set {one.key.figure} to {_size(one)} by hand" for one in by_hand if one.limit]
    limits = "1 limit" if len(ours) == 1 else f"{len(ours)} limits"
    return [*told, f"{shown}: {limits} written" if ours else f"{shown}: nothing to write"]


def _size(one: Learned) -> str:
    return readable_ceiling(one.limit_bytes or 0)
