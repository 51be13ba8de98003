"""Annotations, read back as GitHub's runner reads a step's output."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from msgspec.structs import replace

from pytest_tfmem.budgets.raises import Raise
from pytest_tfmem.digest.build import digest_of_gate
from pytest_tfmem.errors import one_line
from pytest_tfmem.pullrequest.annotations import commands
from pytest_tfmem.pullrequest.places import Place, place_of, prefix_of
from pytest_tfmem.pullrequest.workflow import Annotation
from tests.made import made_test
from tests.pullrequest.conftest import (
    MIB,
    digest,
    gate_digest,
    hostile,
    hostile_digest,
    hostile_gate,
    judged,
    limited,
)

OVER = limited("tests/test_a.py::test_a", 812 * MIB, "over", allowed=768 * MIB, where="budgets.yaml:12")
OVER = replace(OVER, notes=[])
FINE = limited("tests/test_b.py::test_b", 300 * MIB, "ok")
REGISTERED = {"error", "warning", "notice", "add-mask", "stop-commands", "set-env", "group", "debug"}


@dataclass
class Command:
    """A command as actions/runner has it (ActionCommand.cs)."""

    name: str
    properties: dict
    data: str

    @property
    def place(self):
        return self.properties.get("file"), self.properties.get("line")


def unescaped(text, *, in_property=False):
    # The runner's own order: `%25` comes last, so that `%250A` is `%0A` and no line's end.
    escapes = [("%0D", "\r"), ("%0A", "\n"), *([("%3A", ":"), ("%2C", ",")] if in_property else []), ("%25", "%")]
    for escape, character in escapes:
        text = text.replace(escape, character)
    return text


def read_command(line):
    """As `ActionCommand.TryParseV2` does; None for a line that is only output."""
    line = line.lstrip()
    if not line.startswith("::") or (end := line.find("::", 2)) < 0:
        return None
    name, _, properties = line[2:end].partition(" ")
    if name not in REGISTERED:
        return None
    pairs = [part.split("=", 1) for part in properties.strip().split(",") if part]
    named = {pair[0]: unescaped(pair[1], in_property=True) for pair in pairs if len(pair) == 2 and all(pair)}
    return Command(name, named, unescaped(line[end + 2 :]))


def lines_of(output):
    """As .NET's StreamReader reads lines."""
    return output.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def told(subject, *, prefix=""):
    output = commands(subject, prefix=prefix)
    assert output == "" or output.endswith("\n")
    found = [read_command(line) for line in lines_of(output) if line]
    assert None not in found
    assert "##[" not in output or all(found)
    return found


def named(nodeid, **more):
    return replace(OVER, nodeid=nodeid, **more)


def test_what_is_fine_has_no_annotation():
    near = limited("tests/test_d.py::test_d", 490 * MIB, "near")
    assert told(digest(FINE, near)) == []


def test_a_test_over_its_limit_is_shown_at_its_line_and_at_that_of_the_limit():
    test, limit = told(digest(replace(OVER, where="tests/test_a.py:31"), FINE))
    assert (test.name, test.place) == ("error", ("tests/test_a.py", "31"))
    assert test.properties["title"] == "Memory: over its limit"
    assert test.data == (
        "tests/test_a.py::test_a\nover its limit: rss 812.0 MiB > 768.0 MiB (+5.7 %); limit in budgets.yaml:12"
    )
    assert (limit.name, limit.place) == ("error", ("budgets.yaml", "12"))
    assert limit.properties["title"] == "Memory: a test is over this limit"
    assert limit.data == "tests/test_a.py::test_a: rss 812.0 MiB > 768.0 MiB (+5.7 %)"


def test_a_limit_in_a_marker_of_the_tests_own_file_has_no_annotation_of_its_own():
    marked = limited("a.py::test_a", 812 * MIB, "over", where="tests/a.py:30")
    (one,) = told(digest(replace(marked, where="tests/a.py:31")))
    assert one.place == ("tests/a.py", "31")
    assert "limit in tests/a.py:30" in one.data


def test_several_findings_of_a_test_are_one_annotation_by_the_worst_of_them():
    test = replace(
        made_test("a.py::test_a", outcome="failed"), died="killed", out_of_memory="refused 2 GiB", where="a.py:3"
    )
    (one,) = told(digest(test))
    assert one.name == "error"
    assert one.data == "a.py::test_a\ndied: killed\nout of memory: refused 2 GiB"


def test_tests_over_one_limit_are_one_annotation_there():
    *tests, limit = told(digest(named("a"), named("b")))
    assert len(tests) == 2
    assert limit.properties["title"] == "Memory: 2 tests are over this limit"


def test_what_warns_is_a_warning():
    (test, limit) = told(digest(limited("a", 812 * MIB, "over", level="warn")))
    assert {test.name, limit.name} == {"warning"}


def test_places_are_counted_from_the_top_of_the_repository():
    test, limit = told(digest(replace(OVER, where="tests/test_a.py:31")), prefix="packages/models/")
    assert test.place == ("packages/models/tests/test_a.py", "31")
    assert limit.place == ("packages/models/budgets.yaml", "12")


@pytest.mark.parametrize(
    ("subject", "line"),
    [
        (digest(), "Nothing was measured."),
        (
            digest(FINE, complete=False),
            "The run did not come to its end. 1 test was measured, and the one limit was kept.",
        ),
        (gate_digest(status=3, sentence="not decided: nothing was judged"), "Not decided: nothing was judged."),
    ],
)
def test_a_verdict_that_no_test_is_the_reason_of_is_an_annotation_too(subject, line):
    (one,) = told(subject)
    assert (one.name, one.data, one.place) == ("error", line, (None, None))


def test_limits_that_the_change_raises_are_warned_of_at_their_line():
    raised = Raise(test="tests/**", figure="rss", before="1.00 GiB", after="2.00 GiB", where="budgets.yaml:5")
    (one,) = told(gate_digest(judged(verdict="ok", weight="fine"), status=0, raised=[raised]))
    assert (one.name, one.place) == ("warning", ("budgets.yaml", "5"))
    assert one.data == "rss of tests/**: 1.00 GiB → 2.00 GiB"


def test_ten_errors_and_ten_warnings_are_shown_the_worst_first_and_the_rest_is_counted():
    failing = [named(f"a{number:02}", where=f"tests/a.py:{number + 1}") for number in range(40)]
    warning = [limited(f"w{number}", 812 * MIB, "over", level="warn", where="budgets.yaml:9") for number in range(11)]
    died = replace(made_test("z", outcome="failed"), died="killed")
    found = told(digest(*warning, *failing, died))
    assert [one.name for one in found] == ["error"] * 10 + ["warning"] * 10 + ["notice"]
    assert found[0].data.startswith("z\ndied")
    assert found[-1].data.startswith("32 more errors and 2 more warnings not shown here")


def test_one_that_is_left_out_is_counted_as_one():
    found = told(digest(*[named(f"a{number}", limits=OVER.limits) for number in range(10)]))
    assert found[-1].data.startswith("1 more error not shown here")


def test_a_message_is_no_longer_than_what_github_keeps():
    long = "%\n:," * 1000
    found = told(hostile_digest(long, gate=hostile_gate(long)))
    assert max(len(one.data) for one in found) < 4096
    many = Annotation(level="error", title=long, lines=tuple([long] * 50)).command()
    assert len(read_command(many).data) < 4096
    assert read_command(many).data.endswith("\nand 40 more")


@settings(max_examples=150, deadline=None)
@given(text=hostile)
@example("\n::error::x")
@example("%0A::stop-commands::x")
@example("x:7")
def test_no_text_begins_a_command_or_changes_one(text):
    for subject in (
        hostile_digest(text),
        digest_of_gate(hostile_gate(text)),
        hostile_digest(text, gate=hostile_gate(text)),
    ):
        for one in told(subject):
            assert one.name in {"error", "warning", "notice"}
            assert one.properties["title"].startswith("Memory")
            assert set(one.properties) in ({"title"}, {"file", "line", "title"})
            assert one.properties.get("line", "1").isdecimal()
            assert one.data.replace("\n", "").isprintable()


@given(title=hostile, line=hostile)
@example(title="%2C,:", line="%0A%250A")
def test_what_comes_out_is_what_went_in(title, line):
    shown = Annotation(level="error", title=f"a{title}", lines=(line, "b"), place=Place("x,y:%.py", 3)).command()
    read = read_command(shown)
    assert "\n" not in shown
    assert read.place == ("x,y:%.py", "3")
    assert read.properties["title"] == one_line(f"a{title}", most=200).rstrip(" ")  # which the runner takes off
    assert read.data == f"{one_line(line, most=390)}\nb"


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("budgets.yaml:12", Place("sub/budgets.yaml", 12)),
        ("../budgets.yaml:12", Place("budgets.yaml", 12)),
        ("../../budgets.yaml:12", None),
        ("/etc/passwd:1", None),
        ("a.py", None),
        ("a.py:0", None),
        ("a.py:1:2", None),
        ("a\n.py:1", None),
        ("", None),
    ],
)
def test_a_place_is_a_line_of_a_file_of_the_repository(where, place):
    assert place_of(where, prefix="sub/") == place


def test_a_file_that_the_runner_would_read_otherwise_has_no_place():
    assert place_of("=a.py:1", prefix="") is None
    assert place_of(" a.py:1", prefix="") is None


def test_the_prefix_is_where_a_folder_lies_in_its_repository(tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "packages" / "a b").mkdir(parents=True)
    assert prefix_of(tmp_path / "packages" / "a b") == "packages/a b/"
    assert prefix_of(tmp_path) == ""
    assert prefix_of(tmp_path / "nowhere") == ""
