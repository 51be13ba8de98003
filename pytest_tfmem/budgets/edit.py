"""Limits and entries of a budgets file changed in its text, so that comments, order and layout stay as they are.

What comes of a change is read again, and is given up if it does not mean exactly what was meant to be changed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import yaml

from pytest_tfmem.budgets import written
from pytest_tfmem.budgets.file import read_budgets, read_text
from pytest_tfmem.budgets.model import VERSION, Entry, LimitByProfile
from pytest_tfmem.budgets.pattern import compile_pattern
from pytest_tfmem.budgets.positions import BY_HAND, Positions, is_flow
from pytest_tfmem.budgets.splice import (
    Splice,
    replaced,
    spliced,
    with_item,
    with_key,
    with_section,
    without_item,
)
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.figures import Level, Limit
from pytest_tfmem.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_OTHERWISE = "default"
_NEW = f"""\
# What tests may use at most: a file for you to change as you like.
version: {VERSION}
budgets:
""".encode()


class SetLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that is to be of another size, or to be added.

    `entry` counts the entries from 0; None is the defaults. `profile` None is the limit for all other machines.
    """

    entry: int | None
    figure: str
    size: str
    profile: str | None = None


class AddEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that is to be added, as the last: by figure its size, which is under `profiles` for some of them."""

    test: str
    limits: dict[str, str]
    profiles: dict[str, str] = {}


class Remove(msgspec.Struct, frozen=True, kw_only=True):
    """An entry or a waiver that is to go, counted from 0."""

    index: int
    section: Literal["budgets", "waivers"] = "budgets"


Edit = SetLimit | AddEntry | Remove


def edited(data: bytes, edits: Sequence[Edit], *, shown: str) -> bytes:
    """The bytes of a budgets file with these changes, and none other.

    Raises TfmemError where a value cannot be changed in its place: it has an anchor, or is written in several pieces.
    """
    removed = [edit for edit in edits if isinstance(edit, Remove)]
    added = [edit for edit in edits if isinstance(edit, AddEntry)]
    changed = [edit for edit in edits if isinstance(edit, SetLimit)]
    after = _with(data, lambda at: [_set(at, edit) for edit in changed], shown) if changed else data
    if removed:
        after = _with(after, lambda at: [splice for edit in removed for splice in _remove(at, edit)], shown)
    after = _with(after, lambda at: _add(at, added), shown) if added else after
    _verify(data, after, edits, shown)
    return after


def new_file(entries: Sequence[AddEntry], *, shown: str) -> bytes:
    """The bytes of a budgets file with these entries and nothing else."""
    return edited(_NEW, entries, shown=shown)


def _with(data: bytes, splices: Callable[[Positions], list[Splice]], shown: str) -> bytes:
    text = read_text(data, shown=shown)
    mark = data[: len(data) - len(text.encode())]
    return mark + spliced(text, splices(Positions(text, shown=shown))).encode()


def _set(at: Positions, edit: SetLimit) -> Splice:
    holder = _holder(at, edit.entry)
    limits = at.value(holder, edit.figure)
    if limits is None:
        return with_key(at, holder, edit.figure, _limit(edit.size, edit.profile))
    if not isinstance(limits, yaml.MappingNode) or _is_limit(at, limits):
        return replaced(at, _size(at, limits), edit.size)
    name = edit.profile or _OTHERWISE
    of_profile = at.value(at.own(limits), name)
    return replaced(at, _size(at, of_profile), edit.size) if of_profile else with_key(at, limits, name, edit.size)


def _holder(at: Positions, entry: int | None) -> yaml.Node:
    """The mapping that has the limits of an entry, or the default ones."""
    if entry is None:
        return at.own(_section(at, "defaults"))
    return at.own(at.own(_section(at, "budgets")).value[entry])


def _section(at: Positions, key: str) -> yaml.Node:
    node = at.value(at.root, key)
    if node is None:
        raise at.refusal(at.root, f"there is no {key!r}")
    return node


def _size(at: Positions, limit: yaml.Node) -> yaml.Node:
    """The scalar that is the size, of a limit with or without a level."""
    return at.value(at.own(limit), "limit") or limit


def _is_limit(at: Positions, limits: yaml.Node) -> bool:
    return any(at.value(limits, key) is not None for key in written.keys(written.WrittenLimit))


def _remove(at: Positions, edit: Remove) -> list[Splice]:
    return without_item(at, _section(at, edit.section), edit.index)


def _add(at: Positions, edits: Sequence[AddEntry]) -> list[Splice]:
    records = [_record(edit) for edit in edits]
    items = at.value(at.root, "budgets")
    if isinstance(items, yaml.SequenceNode) and (items.value or is_flow(items)):
        return [with_item(at, items, record) for record in records]
    return with_section(at, "budgets", records)


def _record(edit: AddEntry) -> dict[str, str]:
    return {"test": quoted(edit.test)} | {
        figure: _limit(size, edit.profiles.get(figure)) for figure, size in edit.limits.items()
    }


def _limit(size: str, profile: str | None) -> str:
    return f"{{{profile}: {size}}}" if profile else size


def quoted(text: str) -> str:
    """A text in YAML's double quotes, in one line."""
    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=sys.maxsize)).rstrip("\n")


def _verify(data: bytes, after: bytes, edits: Sequence[Edit], shown: str) -> None:
    """Raises TfmemError if the changed file does not mean what was intended."""
    at = Positions(read_text(data, shown=shown), shown=shown)
    try:
        found = _plain(read_budgets(after, shown=shown))
    except TfmemError as error:
        raise _given_up(shown) from error
    if found != _intended(_plain(read_budgets(data, shown=shown)), edits, at):
        raise _given_up(shown)


def _given_up(shown: str) -> TfmemError:
    return TfmemError("this file is written in a way that cannot be changed in place", where=shown, hint=BY_HAND)


def _intended(meaning: Any, edits: Sequence[Edit], at: Positions) -> Any:
    for edit in edits:
        if isinstance(edit, SetLimit):
            holder = meaning["defaults"] if edit.entry is None else meaning["entries"][edit.entry]
            level = at.value(_holder(at, edit.entry), "level")
            _set_meaning(holder["limits"], edit, level.value if level else "error")
    gone = {"budgets": meaning["entries"], "waivers": meaning["waivers"]}
    for edit in sorted((one for one in edits if isinstance(one, Remove)), key=lambda one: -one.index):
        del gone[edit.section][edit.index]
    meaning["entries"] += [_added(edit) for edit in edits if isinstance(edit, AddEntry)]
    return meaning


def _set_meaning(limits: dict[str, Any], edit: SetLimit, level: Level) -> None:
    of_figure = limits.setdefault(edit.figure, _plain(LimitByProfile()))
    place, key = (of_figure["by_profile"], edit.profile) if edit.profile else (of_figure, "otherwise")
    new = _plain(Limit(bytes=0, where="", level=level))
    place[key] = (place.get(key) or new) | {"bytes": parse_size(edit.size)}


def _added(edit: AddEntry) -> Any:
    limits = {}
    for figure, size in edit.limits.items():
        limit = Limit(bytes=parse_size(size), where="")
        profile = edit.profiles.get(figure)
        limits[figure] = LimitByProfile(by_profile={profile: limit}) if profile else LimitByProfile(otherwise=limit)
    return _plain(Entry(pattern=compile_pattern(edit.test), limits=limits, timeout_seconds=None, where=""))


def _plain(struct: msgspec.Struct) -> Any:
    """What a struct says, without the lines on which it stands."""
    return _without_places(msgspec.to_builtins(struct))


def _without_places(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_places(value) for key, value in data.items() if key != "where"}
    return [_without_places(value) for value in data] if isinstance(data, (list, tuple)) else data
