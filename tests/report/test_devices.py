"""Allocations that a GPU refused, and waiting for GPUs, in the summary."""

from __future__ import annotations

import pytest

from pytest_tfmem.report.terminal import summary_lines

REFUSED = "GPU:0: 512.0 MiB were asked for, 1.20 GiB were in use of the 1.50 GiB that memory_limit allows"


def _lines(tests, *, width=80, verbosity=0):
    return [line.text for line in summary_lines(tests, width=width, verbosity=verbosity)]


def test_what_a_gpu_refused_has_a_block_of_its_own(measured):
    tests = [
        measured("tests/test_a.py::test_large", out_of_memory=f"out of memory on {REFUSED}", outcome="failed"),
        measured("tests/test_a.py::test_step", judged={"gpu": (9 << 20, 7 << 20, "over")}),
    ]
    assert _lines(tests) == [
        "out of memory on the GPU",
        "  tests/test_a.py::test_large",
        "    GPU:0: 512.0 MiB were asked for, 1.20 GiB were in use of the 1.50 GiB that",
        "    memory_limit allows",
        "",
        "        figure    limit  reading  of limit  exactness",
        "over    tests/test_a.py::test_step",
        "        gpu     7.0 MiB  9.0 MiB   128.6 %  lower-bound",
        "",
        "measured 1 of 1 limit; 1 over",
    ]
    assert _lines(tests, width=160)[2] == f"    {REFUSED}"
    assert not any("out of memory" in line for line in _lines(tests, verbosity=-1))


@pytest.mark.parametrize(("outcome", "colour"), [("failed", "red"), ("passed", "yellow")])
def test_a_test_that_went_on_after_a_refusal_is_not_red(measured, outcome, colour):
    lines = summary_lines(
        [measured(out_of_memory=f"out of memory on {REFUSED}", outcome=outcome)], width=160, verbosity=0
    )
    assert lines[1].markup == lines[2].markup == {colour: True}


def test_of_many_refusals_the_first_ten_are_shown(measured):
    tests = [measured(f"test_a.py::test_{at}", out_of_memory=f"out of memory on {REFUSED}") for at in range(12)]
    shown = _lines(tests, width=160)
    assert sum(REFUSED in line for line in shown) == 10
    assert "  and 2 more tests (-v shows them)" in shown
    assert sum(REFUSED in line for line in _lines(tests, width=160, verbosity=1)) == 12


def test_waiting_for_gpus_is_told_in_all_and_in_verbose_of_each_test(measured):
    tests = [measured("test_a.py::test_a", waited_seconds=3.25), measured("test_a.py::test_b", waited_seconds=9.0)]
    told = "waited 12 s in all for GPUs that other tests held"
    assert _lines(tests) == [told, "", "measured 2 tests, no limits set"]
    assert told in _lines(tests, verbosity=1)
    assert _lines(tests, verbosity=1)[2:4] == [
        "  test_a                    -       -     -",
        "    waited 3.2 s for GPUs",
    ]


def test_waiting_that_nobody_noticed_is_not_told(measured):
    assert _lines([measured(waited_seconds=0.2)] * 4, verbosity=1)[-1] == "measured 4 tests, no limits set"
    assert not any("waited" in line for line in _lines([measured(waited_seconds=0.2)] * 4, verbosity=1))


def test_nothing_of_a_refusal_is_wider_than_a_narrow_terminal(measured):
    tests = [measured(f"test_{number}", out_of_memory=f"out of memory on {REFUSED}") for number in range(12)]
    lines = _lines(tests, width=20)
    assert max(map(len, lines)) <= 20
    assert any(line.startswith("  and 2 more") for line in lines)
