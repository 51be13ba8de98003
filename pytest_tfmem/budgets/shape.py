"""What a node of the tree has to be: a mapping with certain keys, a list, a text. Errors say where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.budgets import written
from pytest_tfmem.budgets.names import unknown
from pytest_tfmem.budgets.tree import Items, Node, Table, Text
from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.figures import FIGURES

if TYPE_CHECKING:
    import msgspec

_HOW_TO_WRITE_A_LIST = "write a list, each entry on a line of its own that begins with '- '"
_HOW_TO_WRITE_A_TABLE = "write a mapping, such as 'key: value'"


def as_table(node: Node, name: str) -> Table:
    """The node, which is a mapping. `name` says what it is in the error."""
    if isinstance(node, Table):
        return node
    raise TfmemError(f"{name} is {_kind(node)}, not a mapping", where=str(node.place), hint=_HOW_TO_WRITE_A_TABLE)


def as_items(node: Node, name: str) -> tuple[Node, ...]:
    """The items of the node, which is a list."""
    if isinstance(node, Items):
        return node.items
    raise TfmemError(f"{name} is {_kind(node)}, not a list", where=str(node.place), hint=_HOW_TO_WRITE_A_LIST)


def as_text(node: Node, name: str, *, hint: str) -> Text:
    """The node, which is a text that is not empty."""
    if not isinstance(node, Text):
        raise TfmemError(f"{name} is {_kind(node)}", where=str(node.place), hint=hint)
    if node.empty or not node.text.strip():
        raise TfmemError(f"{name} has no value", where=str(node.place), hint=hint)
    return node


def as_record(node: Node, name: str, kind: type[msgspec.Struct]) -> Table:
    """The node, which is a mapping that has the keys of `kind`, and no others."""
    table = as_table(node, name)
    known = written.keys(kind)
    for key, place in table.keys.items():
        if key not in known:
            raise _unknown_key(key, known, str(place))
    for key, example in written.required(kind).items():
        if key not in table.values:
            raise TfmemError(f"{name} has no {key!r}", where=str(table.place), hint=f"write {key}: {example}")
    return table


def section(table: Table, key: str) -> Node | None:
    """A part of the file that may be left out, or left empty as when its last entry was removed."""
    node = table.values.get(key)
    return None if isinstance(node, Text) and node.empty else node


def _unknown_key(key: str, known: list[str], where: str) -> TfmemError:
    if set(FIGURES) <= set(known):
        others = [name for name in known if name not in FIGURES]
        return unknown("figure", key, FIGURES, where=where, besides=others)
    return unknown("key", key, known, where=where)


def _kind(node: Node) -> str:
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    return "empty" if node.empty else one_line(repr(node.text), most=60)
