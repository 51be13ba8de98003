"""On which line a marker stands."""

from __future__ import annotations

import os
from textwrap import dedent

import pytest

from pytest_tfmem.budgets.source import marker_line

SOURCE = dedent(
    r"""
    import pytest
    from pytest import mark
    "\d"
    pytestmark = [
        pytest.mark.other,
        pytest.mark.memory_budget(rss="3 GiB"),
    ]

    @pytest.mark.memory_budget(
        rss="1 GiB",
        gpu="2 GiB",
    )
    def test_step(): ...

    @mark.parametrize("x", [pytest.param(1, marks=mark.memory_budget(gpu=1))])
    @mark.memory_budget
    @mark.memory_budget(rss=5)
    async def test_async(x): ...

    class TestX:
        pytestmark = pytest.mark.memory_budget(gpu_reserved=1)

        @mark.memory_budget(rss_tree=1)
        def test_step(self): ...

    @mark.memory_budget(rss_anon=1)
    class TestY:
        def test_plain(self): ...

    if True:
        @mark.memory_budget(timeout=1)
        def test_under_if(): ...
    try:
        pass
    except ImportError:
        @mark.memory_budget(timeout=2)
        def test_under_except(): ...

    @mark.memory_budget(rss=1)
    def test_twice(): ...
    @mark.memory_budget(rss=2)
    def test_twice(): ...
    def test_bare(): memory_budget(rss=1)
    """
).lstrip()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "test_a.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize(
    ("names", "keyword", "text"),
    [
        ([], None, "    pytest.mark.memory_budget(rss="),
        ([], "rss", "    pytest.mark.memory_budget(rss="),
        (["test_step"], None, "@pytest.mark.memory_budget(\n"),
        (["test_step"], "rss", '    rss="1 GiB"'),
        (["test_step"], "gpu", '    gpu="2 GiB"'),
        (["test_async"], "gpu", "@mark.parametrize"),
        (["test_async"], "rss", "@mark.memory_budget(rss=5)"),
        (["TestX"], "gpu_reserved", "    pytestmark ="),
        (["TestX", "test_step"], "rss_tree", "    @mark.memory_budget(rss_tree=1)"),
        (["TestY"], "rss_anon", "@mark.memory_budget(rss_anon=1)"),
        (["test_under_if"], "timeout", "    @mark.memory_budget(timeout=1)"),
        (["test_under_except"], "timeout", "    @mark.memory_budget(timeout=2)"),
        (["test_twice"], "rss", "@mark.memory_budget(rss=2)"),
    ],
)
def test_the_line_is_that_of_the_marker_or_of_its_keyword(path, names, keyword, text) -> None:
    line = marker_line(path, names, "memory_budget", keyword)
    assert line is not None
    assert "\n".join(SOURCE.splitlines()[line - 1 :]).startswith(text)


@pytest.mark.parametrize(
    ("names", "keyword"),
    [
        (["test_step"], "rss_tree"),
        (["TestX"], "rss_tree"),
        (["TestX", "test_step"], "gpu_reserved"),
        (["TestY", "test_plain"], None),
        (["test_bare"], None),
        (["test_missing"], None),
        (["TestX", "test_missing"], "rss"),
        ([], "gpu"),
    ],
)
def test_there_is_no_line_where_the_marker_does_not_stand(path, names, keyword) -> None:
    assert marker_line(path, names, "memory_budget", keyword) is None


def test_other_markers_are_not_taken_for_it(path) -> None:
    assert marker_line(path, [], "other") == 5
    assert marker_line(path, ["test_step"], "tf_runtime") is None


@pytest.mark.parametrize(
    "data",
    [b"def test_step(:", b"\0", b"\xff\xfe", b"# coding: nonsense\n", b"(" * 10_000, b"x = " + b"-" * 100_000 + b"1"],
    ids=["syntax", "NUL", "encoding", "coding", "brackets", "deep"],
)
def test_a_file_that_cannot_be_parsed_has_no_line(tmp_path, data) -> None:
    path = tmp_path / "test_a.py"
    path.write_bytes(data)
    assert marker_line(path, ["test_step"], "memory_budget") is None


def test_a_file_that_is_not_there_has_no_line(tmp_path) -> None:
    assert marker_line(tmp_path, [], "memory_budget") is None
    assert marker_line(tmp_path / "missing.py", [], "memory_budget") is None
    assert marker_line("a\0b", [], "memory_budget") is None


def test_a_file_that_has_changed_is_read_again(path) -> None:
    before = marker_line(path, ["test_step"], "memory_budget")
    path.write_text("\n\n" + SOURCE)
    os.utime(path, ns=(1, 1))
    assert before is not None
    assert marker_line(path, ["test_step"], "memory_budget") == before + 2
