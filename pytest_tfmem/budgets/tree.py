"""YAML text as a tree of plain values, each with its line and column. Nothing is constructed, nothing executed.

Scalars stay the text that was written: whether `1:30`, `yes` or `012` means something is for its reader to say,
not for YAML 1.1, which would make 90, true and 10 of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import yaml

from pytest_tfmem.errors import TfmemError, one_line

MOST_DEPTH = 16  # a budgets file needs 6; Python's own stack ends near 300
MOST_NODES = 100_000  # with every alias written out: a file of 10,000 budgets has less

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class Place(msgspec.Struct, frozen=True):
    """A line and a column of the file, both counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def in_line(self) -> str:
        """The place without its column, as limits carry it: `budgets.yaml:12`."""
        return f"{self.file}:{self.line}"


class Text(msgspec.Struct, frozen=True):
    """A scalar, as it is written. `plain`: not in quotes and not a block."""

    text: str
    plain: bool
    place: Place

    @property
    def empty(self) -> bool:
        """Whether YAML means that there is no value."""
        return self.plain and self.text in _NULLS


class Items(msgspec.Struct, frozen=True):
    """A list."""

    items: tuple[Node, ...]
    place: Place


class Table(msgspec.Struct, frozen=True):
    """A mapping: its values and the places of its keys, by key. A key is the text that was written."""

    values: dict[str, Node]
    keys: dict[str, Place]
    place: Place


Node = Text | Items | Table


def parse_yaml(text: str, *, shown: str) -> Node | None:
    """The tree of the one YAML document in `text`; None if there is no document. `shown` names the file in messages.

    The place of what an alias stands for is where its anchor is. Raises TfmemError, with the place, for what is not
    YAML and for what budgets do not need of it: tags, merge keys, several documents, duplicate keys, keys that are
    not text, nesting deeper than MOST_DEPTH, more than MOST_NODES values.
    """
    root = compose(text, shown=shown).root
    return _Builder(shown).node(root) if root else None


class Composed(NamedTuple):
    """YAML's own nodes with their marks, and those of them that have an anchor: an alias stands for one of these."""

    root: yaml.Node | None
    anchored: list[yaml.Node]


def compose(text: str, *, shown: str) -> Composed:
    """The nodes of the one YAML document in `text`. Raises TfmemError, with the place, for what is not YAML."""
    _refuse_control_characters(text, shown)
    try:
        return _compose(text, shown)
    except yaml.MarkedYAMLError as error:
        said = ", ".join(part for part in (error.context, error.problem) if part)
        mark = error.problem_mark or error.context_mark
        raise TfmemError(f"this is not YAML: {one_line(said)}", where=str(_place(mark, shown))) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # PyYAML: "\UFFFFFFFF" and %YAML 1.<5,000 digits>
        raise TfmemError(f"this is not YAML: {one_line(str(error))}", where=shown) from error


def _refuse_control_characters(text: str, shown: str) -> None:
    if bad := yaml.reader.Reader.NON_PRINTABLE.search(text):
        before = text[: bad.start()]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise TfmemError(
            f"the character U+{ord(bad.group()):04X} may not stand in YAML",
            where=str(Place(shown, line, column)),
            hint="remove it",
        )


def _compose(text: str, shown: str) -> Composed:
    loader = _Loader(text, shown)
    root = loader.get_node() if loader.check_node() else None
    if loader.check_node():
        where = str(_place(_next_event(loader).start_mark, shown))
        raise TfmemError("a second document begins here", where=where, hint="keep one")
    return Composed(root, loader.anchored)


def _next_event(loader: yaml.SafeLoader) -> Any:
    return loader.peek_event()  # type: ignore[no-untyped-call]  # its stub has no annotations


def _place(mark: Any, shown: str) -> Place:
    return Place(shown, mark.line + 1, mark.column + 1)


class _Loader(yaml.SafeLoader):
    """Composes nodes. The pure Python loader, not libyaml's: that one's nesting ends in a crash, not an error."""

    def __init__(self, text: str, shown: str) -> None:
        super().__init__(text)
        self.shown = shown
        self.depth = 0
        self.anchored: list[yaml.Node] = []

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = _next_event(self)
        where = str(_place(event.start_mark, self.shown))
        if tag := getattr(event, "tag", None):
            shown_tag = one_line(str(tag).replace("tag:yaml.org,2002:", "!!"), most=60)
            raise TfmemError(f"the tag {shown_tag} is not read here", where=where, hint="write a plain value")
        if self.depth == MOST_DEPTH:
            raise _too_deep(where)
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        if node is not None and getattr(event, "anchor", None):
            self.anchored.append(node)
        return node


def _too_deep(where: str) -> TfmemError:
    return TfmemError(f"this is nested in more than {MOST_DEPTH} levels", where=where, hint="a budgets file needs 6")


class _Builder:
    """Turns composed nodes into the tree, with every alias written out, within bounds."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.left = MOST_NODES
        self.open: set[int] = set()

    def node(self, node: yaml.Node) -> Node:
        place = _place(node.start_mark, self.shown)
        self.left -= 1
        if self.left < 0:
            raise TfmemError(f"this file has more than {MOST_NODES:,} values, aliases written out", where=self.shown)
        if isinstance(node, yaml.ScalarNode):
            return Text(node.value, node.style is None, place)
        if id(node) in self.open:
            raise TfmemError("an alias makes this a part of itself", where=str(place), hint="write the values out")
        if len(self.open) == MOST_DEPTH:
            raise _too_deep(str(place))
        self.open.add(id(node))
        built = self.table(node, place) if isinstance(node, yaml.MappingNode) else self.items(node, place)
        self.open.remove(id(node))
        return built

    def items(self, node: yaml.Node, place: Place) -> Items:
        return Items(tuple(self.node(item) for item in node.value), place)

    def table(self, node: yaml.MappingNode, place: Place) -> Table:
        values: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for key_node, value_node in node.value:
            key, at = self.key(key_node), _place(key_node.start_mark, self.shown)
            if key in keys:
                said = f"the key {one_line(repr(key), most=60)} stands here a second time"
                raise TfmemError(said, where=str(at), hint=f"the first is in line {keys[key].line}")
            values[key], keys[key] = self.node(value_node), at
        return Table(values, keys, place)

    def key(self, node: yaml.Node) -> str:
        where = str(_place(node.start_mark, self.shown))
        if not isinstance(node, yaml.ScalarNode):
            raise TfmemError("a key must be text, not a list or a mapping", where=where)
        if node.tag == "tag:yaml.org,2002:merge":
            raise TfmemError("merge keys (<<) are not read here", where=where, hint="write the keys out")
        return str(node.value)
