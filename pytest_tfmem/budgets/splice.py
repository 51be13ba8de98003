"""Changes of single places in the text of a budgets file: what is not touched stays as it was written, to the byte."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import yaml

from pytest_tfmem.budgets.positions import is_flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_tfmem.budgets.positions import Positions

_MAPPING_INDENT = 2
_COMMA = re.compile("(?:\\s|#[^\r\n\x85\u2028\u2029]*)*,")


class Splice(NamedTuple):
    """In place of what stands from `start` to `end` there is to be `text`."""

    start: int
    end: int
    text: str


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """The text with these changes. What is taken out may overlap; what is put in at one place keeps its order."""
    parts, done = [], 0
    for splice in sorted(splices, key=lambda one: one.start):
        parts += [text[done : splice.start], splice.text]
        done = max(done, splice.end)
    return "".join([*parts, text[done:]])


def replaced(positions: Positions, node: yaml.Node, value: str) -> Splice:
    """A scalar with another value, in the same quotes."""
    if not isinstance(node, yaml.ScalarNode) or node.style in {"|", ">"}:
        raise positions.refusal(positions.own(node), "this value is not written in one piece")
    positions.own(node)
    return Splice(node.start_mark.index, node.end_mark.index, f"{node.style or ''}{value}{node.style or ''}")


def with_key(positions: Positions, mapping: yaml.Node, key: str, value: str) -> Splice:
    """A mapping with one key more, as its last. `value` is as it is to be written, in one line."""
    positions.own(mapping)
    if mapping.value:
        positions.own(mapping.value[-1][1], whole=True)
    end = positions.end(mapping)
    if is_flow(mapping):
        return _after_last(positions, mapping, f"{key}: {value}")
    end = positions.line_end(end)
    return Splice(end, end, f"{positions.newline}{' ' * mapping.start_mark.column}{key}: {value}")


def with_item(positions: Positions, items: yaml.Node, record: Mapping[str, str]) -> Splice:
    """A list with one mapping more, as its last item and written as the one before it."""
    positions.own(items)
    if items.value:
        positions.own(items.value[-1], whole=True)
    if is_flow(items):
        return _after_last(positions, items, _in_braces(record))
    last, column = items.value[-1], items.start_mark.column
    at = _with_own_comments(positions, last, column)
    lines = [f"- {_in_braces(record)}"] if is_flow(last) else _block(record)
    return Splice(at, at, "".join(f"{positions.newline}{' ' * column}{line}" for line in lines))


def with_section(positions: Positions, key: str, records: Sequence[Mapping[str, str]]) -> list[Splice]:
    """The file with these items in a section that is not there, or is empty."""
    root, node = positions.root, positions.value(positions.root, key)
    lines = [line for record in records for line in _block(record)]
    block = "".join(f"{positions.newline}{' ' * (root.start_mark.column + 2)}{line}" for line in lines)
    flow = f"[{', '.join(map(_in_braces, records))}]"
    if node is None:
        added = with_key(positions, root, key, flow if is_flow(root) else "")
        return [added._replace(text=added.text.rstrip(" ") + block) if not is_flow(root) else added]
    positions.own(node)
    start, end = node.start_mark.index, node.end_mark.index
    if is_flow(root):
        return [Splice(start, end, flow if positions.text[start - 1].isspace() else f" {flow}")]
    line_end = positions.line_end(end)
    return [Splice(start, end, ""), Splice(line_end, line_end, block)]


def without_item(positions: Positions, items: yaml.Node, index: int) -> list[Splice]:
    """A list without one of its items.

    With an entry go the comments that belong to it: on lines of their own directly above it, in the column of its
    dash, and those within it or directly below it that are indented further. An empty line below goes if it would
    stand beside another, or first in the list.
    """
    item = positions.own(positions.own(items).value[index], whole=True)
    if is_flow(items):
        return _without_flow_item(positions, items, index)
    dash, column = positions.dash(items, item), items.start_mark.column
    start = _with_comments_above(positions, dash, column)
    end = positions.next_line(_with_own_comments(positions, item, column))
    follows_none = index == 0 or _is_empty(positions, start - 1)
    if follows_none and end < len(positions.text) and _is_empty(positions, end):
        end = positions.next_line(end)
    return [Splice(start, end, "")]


def _after_last(positions: Positions, collection: yaml.Node, text: str) -> Splice:
    """Behind the last of what stands in brackets: in front of a comma or comment that may follow it."""
    if not collection.value:
        at = collection.start_mark.index + 1
        return Splice(at, at, text)
    last = collection.value[-1]
    at = positions.end(last[1] if isinstance(last, tuple) else last)
    return Splice(at, at, f", {text}")


def _without_flow_item(positions: Positions, items: yaml.Node, index: int) -> list[Splice]:
    """Comments between the items stay; a comma may then be left behind the last, which YAML takes."""
    text, start, end = positions.text, items.value[index].start_mark.index, positions.end(items.value[index])
    following = items.value[index + 1].start_mark.index if index + 1 < len(items.value) else None
    if following is not None and "#" not in text[end:following]:
        return [Splice(start, following, "")]
    before = positions.end(items.value[index - 1]) if index and following is None else start
    if before < start and "#" not in text[before:start]:
        return [Splice(before, end, "")]
    comma = _COMMA.match(text, end)
    return [Splice(start, end, ""), *([Splice(comma.end() - 1, comma.end(), "")] if comma else [])]


def _with_comments_above(positions: Positions, at: int, column: int) -> int:
    """Where the line begins in which `at` is, or that of the first of the comments that belong to it."""
    start = positions.line_start(at)
    while start > 0:
        above = positions.line_start(start - 1)
        line = positions.line(above)
        if len(line) - len(line.lstrip(" ")) != column or not line.lstrip(" ").startswith("#"):
            break
        start = above
    return start


def _with_own_comments(positions: Positions, item: yaml.Node, column: int) -> int:
    """The end of the line in which the item ends, or of the last of the comments below it that belong to it."""
    end = positions.line_end(positions.end(item))
    while (below := positions.next_line(end)) < len(positions.text):
        line = positions.line(below)
        if len(line) - len(line.lstrip(" ")) <= column or not line.lstrip(" ").startswith("#"):
            break
        end = positions.line_end(below)
    return end


def _is_empty(positions: Positions, at: int) -> bool:
    """Whether the line is empty in which `at` is; where there is none, too."""
    return at < 0 or not positions.line(positions.line_start(at)).strip()


def _in_braces(record: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in record.items()) + "}"


def _block(record: Mapping[str, str]) -> list[str]:
    lines = [f"{key}: {value}" for key, value in record.items()]
    return [f"- {lines[0]}", *(f"{' ' * _MAPPING_INDENT}{line}" for line in lines[1:])]
