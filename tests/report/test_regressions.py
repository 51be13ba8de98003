# ruff: noqa: E501  the table of 160 columns stands here as it is printed
from __future__ import annotations

import datetime as dt
import shlex
import subprocess
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.gate.changes import Baseline, Change
from pytest_tfmem.history.series import SeriesKey
from pytest_tfmem.report.commands import command_lines, quote
from pytest_tfmem.report.regressions import HeldAgainst, regression_lines
from pytest_tfmem.report.terminal import Line, summary_lines

MIB = 1 << 20


def _change(nodeid, standing, before=None, now=MIB, *, figure="rss_anon", gpu=0, differences=()):
    since = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    return Change(
        key=SeriesKey(nodeid=nodeid, figure=figure, gpu=gpu, conditions="c"),
        standing=standing,
        now_bytes=now,
        exactness="lower-bound",
        before_bytes=before,
        baseline=Baseline(values=[before] * 41, since=since, since_commit="abc1234def" * 4) if before else None,
        differences=list(differences),
    )


def _held(*changes, **rest):
    return HeldAgainst(changes=changes, **{"runs": 41, "base": "origin/main", **rest})


def _shown(held, *, width=80, verbosity=0):
    return "\n".join(line.text for line in regression_lines(held, width=width, verbosity=verbosity))


def _block(text):
    return dedent(text).removeprefix("\n")


@pytest.fixture
def something_of_everything():
    return _held(
        _change("tests/test_train.py::test_step[a b]", "suspect", 700 * MIB, 751 * MIB, figure="rss"),
        _change("tests/test_train.py::test_step[a b]", "suspect", 512 * MIB, 563 * MIB),
        _change("tests/test_gpu.py::test_kernel", "regressed", 1024 * MIB, 1126 * MIB, figure="gpu"),
        _change("tests/test_io.py::test_read", "improved", 300 * MIB, 250 * MIB),
        _change("tests/test_io.py::test_write", "steady", 300 * MIB, 301 * MIB),
        _change("tests/test_io.py::test_new", "new"),
        *(
            _change(f"tests/test_io.py::test_{number}", "incomparable", differences=["TensorFlow 2.20.0 -> 2.21.0"])
            for number in range(12)
        ),
        trims=True,
    )


def test_in_80_columns_each_id_has_a_line(something_of_everything):
    assert _shown(something_of_everything) == _block("""
        memory regressions
                   figure        before         now   change
        regressed  tests/test_gpu.py::test_kernel
                   gpu       1024.0 MiB  1126.0 MiB  +10.0 %  +102.0 MiB
                   steady since 2026-03-02 (abc1234de), 41 runs
        suspect    tests/test_train.py::test_step[a b]
                   rss_anon   512.0 MiB   563.0 MiB  +10.0 %   +51.0 MiB
                   steady since 2026-03-02 (abc1234de), 41 runs
                   rss        700.0 MiB   751.0 MiB   +7.3 %   +51.0 MiB
                   steady since 2026-03-02 (abc1234de), 41 runs
        improved   tests/test_io.py::test_read
                   rss_anon   300.0 MiB   250.0 MiB  -16.7 %   -50.0 MiB
                   steady since 2026-03-02 (abc1234de), 41 runs
        suspects are decided by running both revisions in turn:
          tfmem gate --base origin/main --all 'tests/test_train.py::test_step[a b]'
        after 5 runs at the new level, limits in the budgets file may be lowered by:
          pytest --tfmem-update=trim
        12 series not compared: TensorFlow 2.20.0 -> 2.21.0""")


def test_in_160_columns_it_is_one_table(something_of_everything):
    table = _shown(something_of_everything, width=160).split("suspects")[0]
    assert table == _block("""
        memory regressions
                   test                                 figure        before         now   change
        regressed  tests/test_gpu.py::test_kernel       gpu       1024.0 MiB  1126.0 MiB  +10.0 %  +102.0 MiB  steady since 2026-03-02 (abc1234de), 41 runs
        suspect    tests/test_train.py::test_step[a b]  rss_anon   512.0 MiB   563.0 MiB  +10.0 %   +51.0 MiB  steady since 2026-03-02 (abc1234de), 41 runs
        suspect    tests/test_train.py::test_step[a b]  rss        700.0 MiB   751.0 MiB   +7.3 %   +51.0 MiB  steady since 2026-03-02 (abc1234de), 41 runs
        improved   tests/test_io.py::test_read          rss_anon   300.0 MiB   250.0 MiB  -16.7 %   -50.0 MiB  steady since 2026-03-02 (abc1234de), 41 runs
        """)


def test_verbose_counts_what_did_not_change(something_of_everything):
    last = _shown(something_of_everything, verbosity=1).splitlines()[-1]
    assert last == "held against 41 earlier runs: 1 series steady, 1 new"


def test_quiet_shows_only_what_has_regressed(something_of_everything):
    assert [line.split()[0] for line in _shown(something_of_everything, width=160, verbosity=-1).splitlines()] == [
        "memory",
        "test",
        "regressed",
    ]


def test_lines_are_coloured_by_what_they_say(something_of_everything):
    markup = [tuple(line.markup) for line in regression_lines(something_of_everything, width=160, verbosity=0)]
    assert markup == [("bold",), ("bold",), ("red",), ("yellow",), ("yellow",), ("green",), *[()] * 5]


def test_nothing_is_said_where_nothing_changed_or_where_there_is_no_history():
    assert _shown(_held(_change("test_a.py::test_a", "steady", MIB))) == ""
    assert _shown(_held(_change("test_a.py::test_a", "new"), runs=0)) == ""
    shown = _shown(_held(_change("test_a.py::test_a", "new"), runs=0), verbosity=1).splitlines()
    assert shown == ["memory, held against earlier runs", "there is no earlier run to hold this one against"]
    shown = _shown(_held(_change("test_a.py::test_a", "new"), runs=0, unread=True), verbosity=1).splitlines()
    assert shown == ["memory, held against earlier runs", "no earlier run could be read to hold this one against"]


def test_what_only_improved_is_not_called_a_regression():
    shown = _shown(_held(_change("test_a.py::test_a", "improved", 2 * MIB, MIB)))
    assert "regression" not in shown
    assert "trim" not in shown, "there is no limit that could be lowered"


def test_each_gpu_is_named_where_there_are_several():
    rows = [_change("test_a.py::test_a", "suspect", MIB, 2 * MIB, figure="gpu", gpu=gpu) for gpu in (0, 1)]
    assert [gpu in _shown(_held(*rows), width=160) for gpu in ("gpu (GPU:0)", "gpu (GPU:1)")] == [True, True]
    assert "GPU:" not in _shown(_held(rows[0]), width=160)


def test_of_many_the_worst_are_shown():
    rows = [_change(f"test_a.py::test[{by}]", "suspect", 100 * MIB, (100 + by) * MIB) for by in range(10, 31)]
    shown = _shown(_held(*rows), width=160).splitlines()
    assert [line.split()[1] for line in shown if line.startswith("suspect ")] == [
        f"test_a.py::test[{by}]" for by in range(30, 20, -1)
    ]
    assert "           and 11 more suspect (-v shows them)" in shown
    assert "test_a.py::test[10]" in _shown(_held(*rows), width=160, verbosity=1)


def test_many_suspects_are_decided_without_naming_each():
    rows = [_change(f"test_a.py::test[{by}]", "suspect", MIB, 2 * MIB) for by in range(6)]
    assert "  tfmem gate --base origin/main" in _shown(_held(*rows), width=160).splitlines()


def test_a_test_whose_id_is_too_long_for_a_line_is_decided_by_its_file():
    rows = [_change(f"test_a.py::test[{'x' * 200}]", "suspect", MIB, 2 * MIB)]
    assert _shown(_held(*rows)).splitlines()[-1] == "  tfmem gate --base origin/main --all test_a.py"


def test_without_a_base_that_git_tells_the_command_has_a_word_for_it():
    assert "--base BASE" in _shown(_held(_change("test_a.py::test_a", "suspect", MIB, 2 * MIB), base=""))


def test_changes_that_are_not_committed_are_to_be_committed_first():
    held = _held(_change("test_a.py::test_a", "suspect", MIB, 2 * MIB), uncommitted=True)
    assert "suspects are decided, once committed, by running both revisions in turn:" in _shown(held)


def test_what_differs_is_told_once_for_all_series():
    rows = [
        _change(f"test_a.py::test[{number}]", "incomparable", differences=[f"cores {number % 4} -> 9"])
        for number in range(10)
    ]
    assert _shown(_held(*rows)).splitlines() == [
        "memory, held against earlier runs",
        "3 series not compared: cores 0 -> 9",
        "3 series not compared: cores 1 -> 9",
        "2 series not compared: cores 2 -> 9",
        "2 series not compared, for other differences",
    ]


def test_an_id_cannot_move_the_cursor():
    shown = regression_lines(
        _held(_change("test_a.py::test[\x1b[2J\n]", "suspect", MIB, 2 * MIB)), width=160, verbosity=1
    )
    assert all(line.text.isprintable() for line in shown)


def test_the_closing_line_counts_what_has_grown(something_of_everything, measured):
    tests = [measured(judged={"rss": (5, 7, "ok")})]
    lines = summary_lines(tests, width=80, verbosity=0, held=something_of_everything)
    assert lines[-1] == Line("measured 1 of 1 limit; none over; 1 regressed, 2 suspect", {"red": True})
    suspect = _held(_change("test_a.py::test_a", "suspect", MIB, 2 * MIB))
    assert summary_lines(tests, width=80, verbosity=0, held=suspect)[-1].markup == {"yellow": True}
    over = [measured(judged={"rss": (9, 7, "over")})]
    assert summary_lines(over, width=80, verbosity=0, held=suspect)[-1].markup == {"red": True}


# --- commands -----------------------------------------------------------------------------------------------------


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), max_size=4), st.data())
def test_a_shell_takes_a_command_as_it_was_meant(words, data):
    width = data.draw(st.integers(100, 160))
    lines = command_lines(["tfmem", "gate", *words], width=width)
    if any(not word.isprintable() for word in words):
        return  # shlex does not know that way to quote; a shell does, below
    assert shlex.split("\n".join(lines)) == ["tfmem", "gate", *words]


def test_what_is_not_printable_reaches_a_shell_too():
    word = "it's a\nb\x1b[2J\\é\u200b"
    said = subprocess.run(
        ["bash", "-c", f"printf %s {quote(word)}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert said.stdout.decode() == word
    assert quote(word).isprintable()
