"""Where in its text the parts of a budgets file stand, to the character: YAML's marks, and the lines around them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from pytest_tfmem.budgets.tree import compose
from pytest_tfmem.errors import TfmemError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # what ends a line for PyYAML
_BLANKS = " \t"
BY_HAND = "change it by hand"


class Positions:
    """The text of a budgets file that was read and found right, and where its parts stand in it."""

    def __init__(self, text: str, *, shown: str) -> None:
        self.text = text
        self.newline = match.group() if (match := _BREAK.search(text)) else "\n"
        self._shown = shown
        composed = compose(text, shown=shown)
        assert isinstance(composed.root, yaml.MappingNode)  # noqa: S101  it was found right
        self.root = composed.root
        self._anchored = composed.anchored  # kept, so that no other node gets the id of one
        self._anchored_ids = {id(node) for node in composed.anchored}

    def value(self, mapping: yaml.Node, key: str) -> yaml.Node | None:
        """The value that a mapping has for this key, if it has one."""
        pairs = mapping.value if isinstance(mapping, yaml.MappingNode) else []
        return next((value for name, value in pairs if name.value == key), None)

    def own(self, node: yaml.Node, *, whole: bool = False) -> yaml.Node:
        """The node, if what stands there is meant for this place alone; `whole`: with all that is in it.

        Raises TfmemError if it has an anchor: then aliases may stand for it elsewhere.
        """
        for one in _all(node) if whole else [node]:
            if id(one) in self._anchored_ids:
                raise self.refusal(one, "an anchor (&) or an alias (*) stands here, so that a change may reach further")
        return node

    def refusal(self, node: yaml.Node, what: str) -> TfmemError:
        return TfmemError(what, where=f"{self._shown}:{node.start_mark.line + 1}", hint=BY_HAND)

    def end(self, node: yaml.Node) -> int:
        """Where the node ends. YAML has a block reach to the next token, over comments and empty lines; not here."""
        if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
            return len(self.text[: node.end_mark.index].rstrip())
        if isinstance(node, yaml.ScalarNode) or is_flow(node) or not node.value:
            return int(node.end_mark.index)
        return max(self.end(child) for child in _children(node))

    def dash(self, items: yaml.Node, item: yaml.Node) -> int:
        """Where the dash of an item of a block list stands. Raises TfmemError if it is not first in its line."""
        column, at = items.start_mark.column, item.start_mark.index
        while True:
            start = self.line_start(at)
            if (
                self.text[start : start + column].strip(_BLANKS) == ""
                and self.text[start + column : start + column + 1] == "-"
            ):
                return start + column
            if start == 0:
                raise self.refusal(item, "the dash of this entry does not begin its line")
            at = start - 1

    def line_start(self, at: int) -> int:
        """Where the line begins in which `at` is. What ends a line is a part of it."""
        while at > 0:
            before = self.text[at - 1]
            if before in "\n\x85\u2028\u2029" or (before == "\r" and self.text[at : at + 1] != "\n"):
                return at
            at -= 1
        return 0

    def line_end(self, at: int) -> int:
        """Where the line ends in which `at` is, without what ends it."""
        match = _BREAK.search(self.text, at)
        return match.start() if match else len(self.text)

    def next_line(self, at: int) -> int:
        """Where the line after that of `at` begins, or the end of the text."""
        match = _BREAK.search(self.text, at)
        return match.end() if match else len(self.text)

    def line(self, start: int) -> str:
        """The line that begins at `start`, without what ends it."""
        return self.text[start : self.line_end(start)]


def is_flow(node: yaml.Node) -> bool:
    """Whether a list or a mapping stands in brackets."""
    return bool(getattr(node, "flow_style", False))


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _all(node: yaml.Node) -> Iterator[yaml.Node]:
    yield node
    for child in _children(node):
        yield from _all(child)
