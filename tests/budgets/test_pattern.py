"""Which tests a pattern covers, and which pattern is the more specific."""

from __future__ import annotations

import re
import time
from functools import lru_cache

import pytest
from hypothesis import assume, example, given

from pytest_tfmem.budgets.pattern import compile_pattern
from pytest_tfmem.errors import TfmemError
from tests.strategies import nodeids, patterns


def covers(pattern: str, nodeid: str) -> bool:
    return compile_pattern(pattern).covers(nodeid)


def naive_covers(pattern: str, nodeid: str) -> bool:
    """The same by trying everything: what the promise says, without regard to time."""
    whole = re.sub(r"(\*\*/){2,}", "**/", re.sub(r"\*{3,}", "**", pattern).removesuffix("/").removesuffix("::"))
    asked = tuple(re.findall(r"\*\*|\*|\?|::|.", whole, re.DOTALL))
    return any(naive_match(asked, tuple(re.findall(r"::|.", node, re.DOTALL))) for node in nodes_above(nodeid))


def nodes_above(nodeid: str) -> list[str]:
    """The node itself and all that it is in."""
    path, _, names = nodeid.partition("::")
    folders = path.split("/")
    above = ["/".join(folders[:count]) for count in range(1, len(folders) + 1)]
    without_parameters = names.partition("[")[0]
    if names:
        parts = without_parameters.split("::")
        above += ["::".join([path, *parts[:count]]) for count in range(1, len(parts) + 1)]
        above += re.findall(r"(.*\])@[^\]]*$", nodeid, re.DOTALL) if "[" in names else []
        above += [f"{path}::{without_parameters.partition('@')[0]}"] if "[" not in names else []
    return [*above, nodeid]


def naive_match(asked: tuple[str, ...], tokens: tuple[str, ...]) -> bool:
    @lru_cache(None)
    def match(i: int, j: int) -> bool:
        if i == len(asked):
            return j == len(tokens)
        if asked[i] in {"*", "**"}:
            no_folder = (
                asked[i : i + 2] == ("**", "/") and (i == 0 or asked[i - 1] == "/") and (j == 0 or tokens[j - 1] == "/")
            )
            more = j < len(tokens) and (asked[i] == "**" or tokens[j] not in {"/", "::"})
            return match(i + 1, j) or (more and match(i, j + 1)) or (no_folder and match(i + 2, j))
        same = j < len(tokens) and (asked[i] == tokens[j] or (asked[i] == "?" and tokens[j] not in {"/", "::"}))
        return same and match(i + 1, j + 1)

    return match(0, 0)


@given(patterns(), nodeids())
@example("a/**/b", "a/b")
@example("a/**/b", "a/bb")
@example("**/b", "b")
@example("**/b", "a/b")
@example("a*", "a::b")
@example("a:*", "a::b")
@example("a?b", "a::b")
@example("a::b[*]", "a::b[x/y]")
def test_a_pattern_covers_what_trying_everything_covers(pattern: str, nodeid: str) -> None:
    assume(pattern.strip("/:") and not pattern.startswith("./"))
    assert covers(pattern, nodeid) == naive_covers(pattern, nodeid)


@given(nodeids())
def test_a_node_id_covers_itself_and_all_above_it_do(nodeid: str) -> None:
    assume(nodeid.partition("[")[0].strip("/:"))
    assert all(covers(node, nodeid) for node in [nodeid, *nodes_above(nodeid)] if not node.endswith(("/", "::")))


@pytest.mark.parametrize(
    ("pattern", "nodeid"),
    [
        ("tests", "tests/test_a.py::test_step"),
        ("tests/", "tests/test_a.py::test_step"),
        ("tests/io", "tests/io/deep/test_a.py::test_step"),
        ("tests/test_a.py", "tests/test_a.py::TestX::test_step"),
        ("tests/test_a.py::TestX", "tests/test_a.py::TestX::test_step"),
        ("tests/test_a.py::test_step", "tests/test_a.py::test_step[fp32]"),
        ("tests/test_a.py::test_step[a/b::c]", "tests/test_a.py::test_step[a/b::c]"),
        ("tests/test_a.py::test_step", "tests/test_a.py::test_step@group"),
        ("tests/test_a.py::test_step[fp32]", "tests/test_a.py::test_step[fp32]@group"),
        ("tests/test_a.py::test_step[*-fp32]", "tests/test_a.py::test_step[big-fp32]"),
        ("tests/*", "tests/io/test_a.py::test_step"),
        ("tests/**", "tests/io/test_a.py::TestX::test_step[1]"),
        ("tests/**/test_a.py", "tests/test_a.py::test_step"),
        ("tests/**/test_a.py", "tests/x/y/test_a.py::test_step"),
        ("**::test_step", "tests/test_a.py::TestX::test_step[🐍\n'\"]"),
        ("tests/test_?.py", "tests/test_a.py::test_step"),
    ],
)
def test_a_pattern_covers_its_node_and_what_is_below(pattern: str, nodeid: str) -> None:
    assert covers(pattern, nodeid)


@pytest.mark.parametrize(
    ("pattern", "nodeid"),
    [
        ("tests/io", "tests/io_extra/test_a.py::test_step"),
        ("tests/test_a.py::test_step", "tests/test_a.py::test_step_two"),
        ("tests/test_a.py::test_step[a", "tests/test_a.py::test_step[a/b]"),
        ("tests/test_a.py::test_step[a", "tests/test_a.py::test_step[a::b]"),
        ("tests/test_a.py::test_step[fp32]", "tests/test_a.py::test_step[fp16]"),
        ("tests/test_[ab].py", "tests/test_a.py::test_step"),
        ("tests/*/test_a.py", "tests/x/y/test_a.py::test_step"),
        ("tests/*step", "tests/test_a.py::test_step"),
        ("tests/test_a.py?test_step", "tests/test_a.py::test_step"),
        ("tests/**/test_a.py", "tests/xtest_a.py::test_step"),
        ("Tests", "tests/test_a.py::test_step"),
        ("io", "tests/io/test_a.py::test_step"),
    ],
)
def test_a_pattern_does_not_cover_its_neighbours(pattern: str, nodeid: str) -> None:
    assert not covers(pattern, nodeid)


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ("tests/test_a.py", "tests"),
        ("tests/test_a.py::test_*", "tests"),
        ("tests/test_a.py::*", "tests/**"),
        ("tests/test_a.py::test_step", "tests/**/test_a.py::test_step"),
        ("tests/test_a.py::test_step[a]", "tests/test_a.py::test_step"),
    ],
)
def test_with_more_characters_then_without_wildcards_is_more_specific(more: str, less: str) -> None:
    assert compile_pattern(more).rank > compile_pattern(less).rank


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tests/", "tests"),
        ("tests/*", "tests/**"),
        ("tests/**/a", "tests/***/**/a"),
        ("tests/**/a", "tests/**a"),
        ("a/*b", "a/b*"),
    ],
)
def test_what_names_no_more_characters_is_no_more_specific(one: str, other: str) -> None:
    assert compile_pattern(one).rank == compile_pattern(other).rank


@pytest.mark.parametrize(
    ("pattern", "nodeid"),
    [
        ("*a" * 2000, "a" * 4000 + "b"),
        ("**a" * 1300 + "x", "a" * 4000),
        ("**/" * 1300 + "x", "a/" * 2000),
        ("?*" * 2000, "a/" * 2000),
        ("*" * 4000 + "x", "a" * 4000),
    ],
)
def test_no_pattern_takes_long(pattern: str, nodeid: str) -> None:
    began = time.process_time()
    assert not covers(pattern, nodeid)
    assert time.process_time() - began < 1  # 2 ms here; a backtracking matcher would not end


@pytest.mark.parametrize("pattern", ["", "/", "::", "/tests", "./tests"])
def test_a_pattern_that_can_name_no_test_is_refused(pattern: str) -> None:
    with pytest.raises(TfmemError) as raised:
        compile_pattern(pattern, where="budgets.yaml:3:11")
    assert str(raised.value) == (
        f"budgets.yaml:3:11: {pattern!r} names no test; "
        "write it as a node id, relative to the root directory, such as 'tests/test_a.py::test_step'"
    )
