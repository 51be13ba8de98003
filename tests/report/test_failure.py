from __future__ import annotations

import datetime as dt
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.figures import Limit, NotMeasured, Reading, Regression
from pytest_tfmem.report.failure import breach_text, how_good, regression_text

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def _read(size, exactness="lower-bound", error=256 * KIB, source="VmHWM", device=None):
    return Reading(bytes=size, exactness=exactness, error_bytes=error, source=source, device=device)


def _limited(size, **rest):
    return Limit(**{"bytes": size, "where": "budgets.yaml:12", **rest})


def _first_line(size, limit, **rest):
    text = breach_text({"rss": _read(size)}, {"rss": _limited(limit, **rest)}, {"rss": "over"}, {}, over=["rss"])
    return text.splitlines()[0]


def test_a_breach_says_what_is_over_then_everything_that_is_known():
    text = breach_text(
        {
            "rss": _read(1659 * MIB),
            "rss_growth": _read(412 * MIB, "exact", 0),
            "rss_tree": _read(1660 * MIB, "sampled", None, "samples of the process tree from outside"),
            "gpu": NotMeasured("no GPU"),
        },
        {"rss": _limited(1536 * MIB), "gpu": _limited(2 * GIB, where="tests/test_train.py:7", level="warn")},
        {"rss": "over", "gpu": "not-measured"},
        {
            "setup": {"seconds": 0.124, "rss_bytes": 516 * MIB, "rss_growth_bytes": MIB, "rss_anon_bytes": 198 * MIB},
            "call": {"seconds": 1.5, "rss_bytes": 1659 * MIB, "rss_growth_bytes": 412 * MIB},
            "teardown": {"rss_bytes": float("nan")},
        },
        over=["rss"],
    )
    assert text == dedent("""\
        memory budget exceeded: rss 1.62 GiB > 1.50 GiB (+8.0 %)

          figure         reading       limit  verdict       how good
          rss         1659.0 MiB  1536.0 MiB  over          lower-bound, too low by at
                                                            most 256 KiB; VmHWM
          rss_growth   412.0 MiB           -  -             exact; VmHWM
          rss_tree    1660.0 MiB           -  -             sampled, error unknown;
                                                            samples of the process tree
                                                            from outside
          gpu                  -  2048.0 MiB  not measured  not measured: no GPU

          phase     seconds    peak rss     growth       anon
          setup        0.12   516.0 MiB    1.0 MiB  198.0 MiB
          call         1.50  1659.0 MiB  412.0 MiB          -
          teardown        -           -          -          -

          rss: limit set in budgets.yaml:12
          gpu: limit set in tests/test_train.py:7 (warns)""")


def test_several_breaches_stand_in_the_first_line():
    text = breach_text(
        {"rss": _read(2 * GIB), "rss_anon": _read(3 * GIB)},
        {"rss": _limited(GIB), "rss_anon": _limited(2 * GIB)},
        {"rss": "over", "rss_anon": "over"},
        {},
        over=["rss", "rss_anon"],
    )
    first, *_ = text.splitlines()
    assert first == (
        "memory budget exceeded: rss 2.00 GiB > 1.00 GiB (+100.0 %), rss_anon 3.00 GiB > 2.00 GiB (+50.0 %)"
    )
    assert "  rss, rss_anon: limits set in budgets.yaml:12" in text.splitlines()


def test_sizes_that_would_print_alike_are_shown_to_the_byte():
    assert _first_line(GIB + 4, GIB) == ("memory budget exceeded: rss 1,073,741,828 B > 1,073,741,824 B (+4 B)")


def test_a_limit_of_nothing_has_no_percentage():
    assert _first_line(MIB, 0) == "memory budget exceeded: rss 1.0 MiB > 0 B"


def test_a_waiver_in_force_is_the_ceiling_that_was_passed(waiver):
    text = breach_text(
        {"rss": _read(2 * GIB)}, {"rss": _limited(GIB, waiver=waiver)}, {"rss": "over"}, {}, over=["rss"]
    )
    assert text.splitlines()[0] == "memory budget exceeded: rss 2.00 GiB > 1.90 GiB (+5.3 %)"
    assert text.splitlines()[-2:] == [
        "  rss: waived to 1.90 GiB until 2027-01-31, 167 days left: #123, float32",
        "    fallback until the kernel lands (budgets.yaml:30)",
    ]


@pytest.mark.parametrize(
    ("days", "term"),
    [
        (1, "waived to 1.90 GiB until 2027-01-31, 1 day left"),
        (0, "waived to 1.90 GiB until 2027-01-31, its last day"),
        (-3, "waiver to 1.90 GiB ended on 2027-01-31, 3 days ago"),
    ],
)
def test_a_waiver_says_when_it_ends(waiver, days, term):
    waiver = type(waiver)(**{**{name: getattr(waiver, name) for name in waiver.__struct_fields__}, "days_left": days})
    text = breach_text(
        {"rss": _read(3 * GIB)}, {"rss": _limited(GIB, waiver=waiver)}, {"rss": "over"}, {}, over=["rss"]
    )
    assert f"rss: {term}" in text
    assert ("> 1.90 GiB" in text) == (days >= 0)


def test_a_limit_that_only_warns_is_told_from_one_that_fails():
    text = breach_text(
        {"rss": _read(2 * GIB), "rss_anon": _read(2 * GIB)},
        {"rss": _limited(GIB), "rss_anon": _limited(GIB, level="warn")},
        {"rss": "over", "rss_anon": "over"},
        {},
        over=["rss"],
    )
    assert "rss_anon" not in text.splitlines()[0]
    assert "over (warns)" in text


def test_a_required_figure_that_was_not_measured_says_why():
    text = breach_text({"gpu": NotMeasured("no GPU")}, {"gpu": _limited(GIB)}, {}, {}, over=["gpu"])
    assert text.splitlines()[0] == "memory budget not judged: gpu not measured (no GPU)"


def test_what_is_over_comes_before_what_was_not_measured():
    text = breach_text(
        {"gpu": NotMeasured("no GPU"), "rss": _read(2 * GIB)},
        {"gpu": _limited(GIB), "rss": _limited(GIB)},
        {},
        {},
        over=["gpu", "rss"],
    )
    assert text.splitlines()[0] == (
        "memory budget exceeded: rss 2.00 GiB > 1.00 GiB (+100.0 %);"
        " memory budget not judged: gpu not measured (no GPU)"
    )


def test_notes_on_the_budget_come_last():
    notes = ["waiver in budgets.yaml:30 expired on 2026-07-31"]
    text = breach_text({"rss": _read(2 * GIB)}, {"rss": _limited(GIB)}, {"rss": "over"}, {}, over=["rss"], notes=notes)
    assert text.splitlines()[-1] == "  waiver in budgets.yaml:30 expired on 2026-07-31"


def test_a_waiver_below_its_limit_lowers_nothing(waiver):
    assert _first_line(3 * GIB, 2 * GIB, waiver=waiver).endswith("rss 3.00 GiB > 2.00 GiB (+50.0 %)")


def test_figures_that_nobody_limited_and_nobody_measured_share_a_line():
    readings = {
        "rss": _read(2 * GIB),
        "gpu": NotMeasured("no GPU"),
        "gpu_reserved": NotMeasured("no GPU"),
        "cpu_tensors": NotMeasured("switched off"),
    }
    text = breach_text(readings, {"rss": _limited(GIB)}, {"rss": "over"}, {}, over=["rss"])
    assert text.splitlines()[2:7] == [
        "  figure   reading     limit  verdict  how good",
        "  rss     2.00 GiB  1.00 GiB  over     lower-bound, too low by at most 256 KiB;",
        "                                       VmHWM",
        "  not measured: gpu, gpu_reserved (no GPU)",
        "  not measured: cpu_tensors (switched off)",
    ]


CARDS = ("GPU-6f2c41ab-1111-2222-3333-444455556666", "GPU-0a1b2c3d-1111-2222-3333-444455556666")


def _on_gpus(*sizes):
    return [
        NotMeasured(size, f"{CARDS[at]} (GPU:{at})")
        if isinstance(size, str)
        else _read(size, "exact", None, "cuda_malloc_async", f"{CARDS[at]} (GPU:{at})")
        for at, size in enumerate(sizes)
    ]


def _first_line_of_gpus(readings, verdict, limit=1536 * MIB):
    text = breach_text({"gpu": readings}, {"gpu": _limited(limit)}, {"gpu": verdict}, {}, over=["gpu"])
    return text.splitlines()[0]


def test_of_several_gpus_each_has_a_row():
    text = breach_text(
        {
            "gpu": _on_gpus(1200 * MIB, 1659 * MIB),
            "gpu_footprint": [
                _read(1900 * MIB, "sampled", None, "process list", CARDS[0]),
                NotMeasured("lost", CARDS[1]),
            ],
            "gpu_reserved": _on_gpus("no statistics", "no statistics"),
        },
        {"gpu": _limited(1536 * MIB), "gpu_footprint": _limited(2 * GIB), "gpu_reserved": _limited(GIB)},
        {"gpu": "over", "gpu_footprint": "not-measured", "gpu_reserved": "not-measured"},
        {},
        over=["gpu"],
        allocator="cuda_malloc",
    )
    assert text == dedent("""\
        memory budget exceeded: gpu 1.62 GiB > 1.50 GiB (+8.0 %) on GPU:1

          figure          reading     limit  verdict       how good
          gpu            1.17 GiB  1.50 GiB  ok            GPU:0: exact;
                                                           cuda_malloc_async
          gpu            1.62 GiB  1.50 GiB  over          GPU:1: exact;
                                                           cuda_malloc_async
          gpu_footprint  1.86 GiB  2.00 GiB  near          GPU:0: sampled, error
                                                           unknown; process list
          gpu_footprint         -  2.00 GiB  not measured  not measured on GPU:1: lost
          gpu_reserved          -  1.00 GiB  not measured  not measured: no statistics

          allocator: cuda_malloc
          gpu, gpu_footprint, gpu_reserved: limits set in budgets.yaml:12""")


def test_one_gpu_has_the_row_and_the_sentence_that_any_figure_has():
    readings = {"gpu": _on_gpus(1659 * MIB)}
    lines = breach_text(readings, {"gpu": _limited(1536 * MIB)}, {"gpu": "over"}, {}, over=["gpu"]).splitlines()
    assert lines[0] == "memory budget exceeded: gpu 1.62 GiB > 1.50 GiB (+8.0 %)"
    assert lines[3] == "  gpu     1.62 GiB  1.50 GiB  over     GPU:0: exact; cuda_malloc_async"


def test_of_several_gpus_that_are_over_the_farthest_is_named_and_the_others_are_counted():
    assert _first_line_of_gpus(_on_gpus(1600 * MIB, 1659 * MIB), "over") == (
        "memory budget exceeded: gpu 1.62 GiB > 1.50 GiB (+8.0 %) on GPU:1 and 1 more"
    )


def test_a_gpu_within_its_limit_is_not_what_a_test_fails_for_where_another_was_not_measured():
    assert _first_line_of_gpus(_on_gpus(GIB, "lost"), "not-measured") == (
        "memory budget not judged: gpu not measured on GPU:1 (lost)"
    )
    assert _first_line_of_gpus(_on_gpus("lost", "lost"), "not-measured") == (
        "memory budget not judged: gpu not measured (lost)"
    )
    assert _first_line_of_gpus([], "not-measured") == (
        "memory budget not judged: gpu not measured (the test used no GPU)"
    )


def test_text_from_tests_cannot_move_the_cursor():
    text = breach_text(
        {"rss": _read(2 * GIB, source="\x1b[2J", device="\x1b[0m"), "gpu": NotMeasured("\rno", "\n")},
        {"rss": _limited(GIB, where="x\n\x1b[31mPASSED")},
        {"rss": "over"},
        {},
        over=["rss"],
        allocator="\x1b[2J",
    )
    assert r"x\n\x1b[31mPASSED" in text
    assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize(
    ("reading", "told"),
    [
        (_read(1, "exact", 0), "exact; VmHWM"),
        (_read(1, "upper-bound", MIB), "upper-bound, too high by at most 1.0 MiB; VmHWM"),
        (_read(1, "upper-bound", None), "upper-bound, error unknown; VmHWM"),
        (_read(1, "exact", None, "cuda_malloc_async", "GPU-1f"), "exact; cuda_malloc_async"),
    ],
)
def test_a_reading_says_how_good_it_is(reading, told):
    assert how_good(reading) == told


@given(limit=st.integers(0, 1 << 50), excess=st.integers(1, 1 << 50))
def test_the_first_line_shows_two_different_sizes(limit, excess):
    first_line = _first_line(limit + excess, limit)
    used, most = first_line.removeprefix("memory budget exceeded: rss ").split(" > ")
    assert used != most.split(" (")[0]


# --- what has grown -----------------------------------------------------------------------------------------------


def _grown(**rest):
    return Regression(
        **{
            "figure": "gpu",
            "gpu": 0,
            "before_bytes": GIB,
            "now_bytes": GIB + 102 * MIB,
            "again_bytes": GIB + 102 * MIB,
            "runs": 41,
            "since": dt.datetime(2026, 3, 2, tzinfo=dt.UTC),
            "since_commit": "abc1234def" * 4,
            **rest,
        }
    )


def _regressed(*regressions, of=1):
    used = _read(GIB + 102 * MIB, "exact", None, "cuda_malloc_async (tensorflow)", "GPU-1 (GPU:0)")
    return regression_text(
        regressions, {"gpu": [used] * of}, {}, {}, {}, notes=["a note"], allocator="cuda_malloc_async"
    )


def test_a_regression_says_what_has_grown_and_since_when_it_was_steady():
    assert _regressed(_grown()) == dedent("""\
        memory regression: gpu 1.00 GiB -> 1.10 GiB (+10.0 %)

          gpu: 1.00 GiB in 41 runs since 2026-03-02 (abc1234de); 1.10 GiB now, and 1.10
            GiB in a second run

          figure   reading  limit  verdict  how good
          gpu     1.10 GiB      -  -        GPU:0: exact; cuda_malloc_async
                                            (tensorflow)

          allocator: cuda_malloc_async
          a note""")


def test_of_several_gpus_the_one_is_named_that_has_grown():
    assert "(+10.0 %) on GPU:1" in _regressed(_grown(gpu=1), of=2).splitlines()[0]


def test_growth_from_nothing_has_no_percent():
    first = _regressed(_grown(before_bytes=0, now_bytes=MIB)).splitlines()[0]
    assert first == "memory regression: gpu 0 B -> 1.0 MiB"


def test_growth_by_a_byte_is_told_apart():
    text = _regressed(_grown(now_bytes=GIB + 1, again_bytes=GIB + 2, since_commit=None, runs=1))
    assert text.splitlines()[0] == "memory regression: gpu 1,073,741,824 B -> 1,073,741,825 B (+1 B)"
    assert "in 1 run since 2026-03-02; 1,073,741,825 B now, and 1,073,741,826 B in a second run" in " ".join(
        text.split()
    )
