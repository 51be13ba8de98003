"""What `tfmem gate` prints: the verdict first, nothing wider than the terminal, and nothing that acts on one."""

from __future__ import annotations

import datetime as dt

import pytest
from rich.cells import cell_len

from pytest_tfmem.budgets.raises import Raise
from pytest_tfmem.figures import Limit
from pytest_tfmem.gate.decide import Plan
from pytest_tfmem.gate.result import GateResult, Judged, Renamed, Stale
from pytest_tfmem.report.gate import gate_lines

_MIB = 1 << 20
_LIMIT = Limit(bytes=150 * _MIB, where="budgets.yaml:5")
_PLAN = Plan(attempts=7, bound=0.0083, series=301, sessions=(20, 20), rank=1)


def _judged(nodeid="tests/test_a.py::test_a", verdict="regressed", weight="fails", **more):
    usual = {"figure": "rss_anon", "now_bytes": 77 * _MIB, "before_bytes": 74 * _MIB, "limit": _LIMIT}
    return Judged(nodeid=nodeid, verdict=verdict, weight=weight, **usual | more)


def _result(*judged, **more):
    usual = {"status": 1, "sentence": "not passed: 1 test regressed", "base": "origin/main", "plan": _PLAN}
    counts = {"tests": 300, "runs": 20, "sessions": 15, "decided": 1}
    commits = {"head": "a" * 40, "merge_base": "b" * 40}
    return GateResult(judged=list(judged), **usual | counts | commits | more)


def _text(result, width=160):
    return "\n".join(line.text for line in gate_lines(result, width=width))


def test_the_verdict_comes_first_and_the_bound_last():
    lines = _text(_result(_judged())).splitlines()
    assert lines[:2] == [
        "not passed: 1 test regressed",
        "aaaaaaaaa against bbbbbbbbb, from where it left origin/main",
    ]
    assert " ".join(" ".join(lines[-2:]).split()) == (
        "300 tests measured, 1 test decided, 15 sessions run; 301 series, 20 sessions of history each, r = 1:"
        " k = 7 attempts; chance of any false alarm at most 0.83 %"
    )


def test_a_row_tells_before_now_change_and_limit_and_what_was_decided_rather_than_what_was_first_read():
    decided = _judged(base_bytes=70 * _MIB, head_bytes=77 * _MIB, since=dt.datetime(2026, 3, 1, tzinfo=dt.UTC))
    row = next(line for line in _text(_result(decided)).splitlines() if line.startswith("regressed"))
    assert row.split() == [
        *("regressed", "tests/test_a.py::test_a", "rss_anon", "70.0", "MiB", "77.0", "MiB", "+10.0", "%"),
        *("150.0", "MiB", "steady", "since", "2026-03-01"),
    ]


def test_what_is_well_has_no_row_and_of_what_fails_nothing_ten_rows_are_enough():
    ones = [_judged(f"t.py::t{number}", "near", "fine") for number in range(12)]
    text = _text(_result(_judged("t.py::well", "ok", "fine"), *ones))
    assert "t.py::well" not in text
    assert (text.count("near "), "and 2 more near" in text) == (10, True)


def test_of_what_fails_every_row_is_shown():
    text = _text(_result(*[_judged(f"t.py::t{number}") for number in range(30)]))
    assert all(f"t.py::t{number} " in text for number in range(30))


def _up(number, base=77 * _MIB):
    return _judged(f"t.py::t{number}", "suspect", "warns", base_bytes=base, head_bytes=77 * _MIB, floor_bytes=_MIB)


def test_a_machine_that_reads_higher_throughout_is_named_as_the_reason():
    said = "readings are up throughout, in the base too: the machine, not the change"
    steady = [_judged(f"t.py::steady{number}", "ok", "fine") for number in range(5)]
    fives = [_up(number) for number in range(5)]
    assert said in _text(_result(*fives, *steady), 80).splitlines()
    assert said not in _text(_result(*fives, *steady, _judged("t.py::more", "ok", "fine")))
    assert said not in _text(_result(*fives, *steady[:4])), "nine series are too few"
    low = [_up(number, base=75 * _MIB) for number in range(5)]
    assert said not in _text(_result(*low, *steady)), "the base does not read higher"
    assert said not in _text(_result(*[_up(number, base=None) for number in range(5)], *steady))


def test_a_limit_that_could_be_lower_is_promised_no_more_than_trim_does():
    lines = _text(_result(_judged(verdict="improved", weight="fine")), 80).splitlines()
    assert "after 5 such runs --tfmem-update=trim may lower it in the budgets file" in map(str.strip, lines)
    assert "trim" not in _text(_result(_judged(verdict="improved", weight="fine", limit=None)))


def test_raises_renames_what_is_gone_new_or_stale_and_warnings_are_told():
    raised = Raise(test="t/**", figure="rss", before="1 GiB", after="2 GiB", where="b.yaml:5", where_before="b.yaml:4")
    result = _result(
        _judged("t.py::new", "new", "fine"),
        _judged("t.py::moved", "incomparable", "fine", notes=["TensorFlow 2.20.0 -> 2.21.0"]),
        raised=[raised],
        renamed=[Renamed(nodeid="t.py::b", renamed_from="t.py::a")],
        gone=["t.py::gone"],
        stale=[Stale(where="b.yaml:9", kind="waiver", test="t.py::x")],
        warnings=["something is odd"],
    )
    text = _text(result)
    for line in (
        "RAISED rss of t/**: 1 GiB -> 2 GiB (b.yaml:5, before in b.yaml:4)",
        "renamed: t.py::b (was t.py::a)",
        "gone: t.py::gone",
        "new, so that limits alone are judged: t.py::new",
        "1 series not compared: TensorFlow 2.20.0 -> 2.21.0",
        "stale, as no test matches: the waiver for t.py::x (b.yaml:9)",
        "warning: something is odd",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize("width", [40, 80, 160])
def test_no_line_is_wider_than_the_terminal_and_none_acts_on_it(width):
    evil = f"tests/test_{'long' * 30}.py::test_\x1b[2J\r\n::error::\u202e[{'日本' * 40}]"
    one = _judged(evil, renamed_from=evil, notes=[evil])
    new, failed = _judged(evil, "new", "fine"), _judged(evil, "not-measured", "undecided", now_bytes=None)
    raised = [Raise(test=evil, figure="rss", before=evil, after=evil, where=evil, where_before="b")]
    whole = {"renamed": [Renamed(nodeid=evil + "x", renamed_from=evil)], "gone": [evil], "warnings": [evil]}
    text = _text(_result(one, new, failed, raised=raised, base=evil, sentence=evil, **whole), width)
    assert max(map(cell_len, text.split("\n"))) <= width
    assert all(char.isprintable() for char in text.replace("\n", ""))
