"""The limits of an entry: by figure a size, a size with a level, or either of them by profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.budgets import written
from pytest_tfmem.budgets.model import LimitByProfile
from pytest_tfmem.budgets.names import unknown
from pytest_tfmem.budgets.shape import as_record
from pytest_tfmem.budgets.tree import Table
from pytest_tfmem.budgets.values import read_level, read_size, read_switch
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.figures import FIGURES, Level, Limit
from pytest_tfmem.units import HOW_TO_WRITE_A_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tfmem.budgets.tree import Node

_OTHERWISE = "default"


def read_limits(values: Mapping[str, Node], level: Level, profiles: tuple[str, ...]) -> dict[str, LimitByProfile]:
    """The limits among the values of an entry, by figure. `level` holds where a limit has none of its own."""
    limited = [name for name in FIGURES if name in values]
    if read_wanted(values) is not None:
        limited.remove("gpu_tensors")
    return {name: _by_profile(values[name], name, level, profiles) for name in limited}


def read_wanted(values: Mapping[str, Node]) -> bool | None:
    """Whether gpu_tensors is to be measured, where an entry has true or false for it in place of a limit."""
    return read_switch(values["gpu_tensors"]) if "gpu_tensors" in values else None


def _by_profile(node: Node, figure: str, level: Level, profiles: tuple[str, ...]) -> LimitByProfile:
    if not isinstance(node, Table) or node.values.keys() & written.keys(written.WrittenLimit):
        return LimitByProfile(otherwise=_limit(node, repr(figure), level))
    if not node.values:
        raise TfmemError(f"{figure!r} has no limit", where=str(node.place), hint=HOW_TO_WRITE_A_SIZE)
    for name, place in node.keys.items():
        if name not in {*profiles, _OTHERWISE}:
            raise unknown("profile", name, [*profiles, _OTHERWISE], where=str(place))
    limits = {name: _limit(value, f"{figure!r} under {name!r}", level) for name, value in node.values.items()}
    return LimitByProfile(
        by_profile={name: limits[name] for name in profiles if name in limits},
        otherwise=limits.get(_OTHERWISE),
    )


def _limit(node: Node, name: str, level: Level) -> Limit:
    if isinstance(node, Table):
        values = as_record(node, name, written.WrittenLimit).values
        level = read_level(values["level"]) if "level" in values else level
        node = values["limit"]
    return Limit(bytes=read_size(node, name), level=level, where=node.place.in_line)
