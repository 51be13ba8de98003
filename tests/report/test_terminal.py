# ruff: noqa: E501  the tables of 160 columns stand here as they are printed
from __future__ import annotations

from textwrap import dedent

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pytest_tfmem.figures import GpuTimeline, Timeline
from pytest_tfmem.report.terminal import Line, summary_lines
from tests.report.conftest import CARDS

MIB = 1 << 20
NOTICE = "tests in tests/test_train.py make tensors when imported: each was started in a new interpreter"


def _shown(tests, *, width=80, verbosity=0, notices=()):
    return "\n".join(line.text for line in summary_lines(tests, width=width, verbosity=verbosity, notices=notices))


def _block(text):
    return dedent(text).removeprefix("\n")


@pytest.fixture
def run(measured, waiver):
    """A run with something of everything."""
    rising = Timeline(seconds=[0.0, 0.1, 0.2, 0.3], rss_tree_bytes=[300 * MIB, 516 * MIB, 1600 * MIB, 900 * MIB])
    return [
        measured(
            "tests/test_train.py::test_step[float32]",
            judged={
                "rss": (1659 * MIB, 1536 * MIB, "over"),
                "rss_growth": (1143 * MIB, 800 * MIB, "over"),
                "rss_anon": (1300 * MIB, None, None),
            },
            timeline=rising,
        ),
        measured("tests/test_train.py::test_fit", judged={"rss": (585 * MIB, 600 * MIB, "near")}),
        measured(
            "tests/models/test_resnet.py::TestResNet::test_one_epoch_keeps_its_memory[mixed_float16-cuda_malloc_async]",
            judged={"rss_anon": (1000 * MIB, 900 * MIB, "waived")},
            waiver=waiver,
        ),
        measured("tests/test_train.py::test_eval", judged={"rss": (560 * MIB, 1024 * MIB, "ok")}),
        measured(
            "tests/test_gpu.py::test_kernel",
            judged={"rss": (516 * MIB, 512 * MIB, "over"), "gpu": ("no GPU", 512 * MIB, "not-measured")},
            level="warn",
        ),
    ]


def test_the_summary_of_80_columns_gives_each_id_a_line(run):
    assert _shown(run, notices=[NOTICE]) == _block("""
                figure           limit     reading  of limit  exactness
        over    tests/test_train.py::test_step[float32]
                rss_growth   800.0 MiB  1143.0 MiB   142.9 %  lower-bound
                rss         1536.0 MiB  1659.0 MiB   108.0 %  lower-bound
        warn    tests/test_gpu.py::test_kernel
                rss          512.0 MiB   516.0 MiB   100.8 %  lower-bound
        waived  tests/models/test_resnet.py::TestRe…ory[mixed_float16-cuda_malloc_async]
                rss_anon     900.0 MiB  1000.0 MiB   111.1 %  lower-bound
        near    tests/test_train.py::test_fit
                rss          600.0 MiB   585.0 MiB    97.5 %  lower-bound
        waived to 1.90 GiB until 2027-01-31, 167 days left: #123, float32 fallback until
          the kernel lands (budgets.yaml:30)
        not measured: gpu in tests/test_gpu.py::test_kernel: no GPU
        tests in tests/test_train.py make tensors when imported: each was started in a
          new interpreter

        measured 6 of 7 limits; 2 over, 1 over (warning only), 1 waived, 1 near,
          1 not measured (no GPU)""")


def test_the_summary_of_160_columns_is_one_table(run):
    assert _shown(run, width=160, notices=[NOTICE]) == _block("""
                test                                                                                           figure           limit     reading  of limit  exactness
        over    tests/test_train.py::test_step[float32]                                                        rss_growth   800.0 MiB  1143.0 MiB   142.9 %  lower-bound
        over    tests/test_train.py::test_step[float32]                                                        rss         1536.0 MiB  1659.0 MiB   108.0 %  lower-bound
        warn    tests/test_gpu.py::test_kernel                                                                 rss          512.0 MiB   516.0 MiB   100.8 %  lower-bound
        waived  tests/models/test_resnet.py::TestResNet::test_…ps_its_memory[mixed_float16-cuda_malloc_async]  rss_anon     900.0 MiB  1000.0 MiB   111.1 %  lower-bound
        near    tests/test_train.py::test_fit                                                                  rss          600.0 MiB   585.0 MiB    97.5 %  lower-bound
        waived to 1.90 GiB until 2027-01-31, 167 days left: #123, float32 fallback until the kernel lands (budgets.yaml:30)
        not measured: gpu in tests/test_gpu.py::test_kernel: no GPU
        tests in tests/test_train.py make tensors when imported: each was started in a new interpreter

        measured 6 of 7 limits; 2 over, 1 over (warning only), 1 waived, 1 near, 1 not measured (no GPU)""")


def test_verbose_shows_every_test_in_80_columns(run):
    assert _shown(run, verbosity=1).split("\n\n")[0] == _block("""
        test (sizes in MiB)                           peak rss  growth    anon  timeline
        tests/test_train.py
          test_step[float32]                            1659.0  1143.0  1300.0  ▁▂█▄
          test_fit                                       585.0       -       -
          test_eval                                      560.0       -       -
        tests/models/test_resnet.py
          TestResNet::test_on…t16-cuda_malloc_async]         -       -  1000.0
        tests/test_gpu.py
          test_kernel                                    516.0       -       -""")


def test_verbose_shows_what_became_of_the_limits_in_160_columns(run):
    assert (
        _shown(run, width=160, verbosity=1).split("\n\n")[0]
        == _block("""
        test (sizes in MiB)                                                             peak rss  growth    anon  limits  timeline
        tests/test_train.py
          test_step[float32]                                                              1659.0  1143.0  1300.0  over    ▁▂█▄
          test_fit                                                                         585.0       -       -  near
          test_eval                                                                        560.0       -       -  ok
        tests/models/test_resnet.py
          TestResNet::test_one_epoch_keeps_its_memory[mixed_float16-cuda_malloc_async]         -       -  1000.0  waived
        tests/test_gpu.py
          test_kernel                                                                      516.0       -       -  warn""")
    )


@pytest.fixture
def on_gpus(measured):
    """Tests on one GPU, on two and on none."""
    tree = [300 * MIB, 516 * MIB, 1600 * MIB, 900 * MIB]
    first, second = (
        GpuTimeline(device=CARDS[at], source="process list", bytes=sizes)
        for at, sizes in enumerate([[None, 5, 700, 1200], [None] * 4])
    )
    drawn = Timeline(seconds=[0.0, 0.1, 0.2, 0.3], rss_tree_bytes=tree, gpus=[first, second])
    return [
        measured(
            "tests/test_gpu.py::test_two",
            judged={
                "rss": (900 * MIB, None, None),
                "gpu": ([1200 * MIB, 1659 * MIB], 1536 * MIB, "over"),
                "gpu_footprint": ([1900 * MIB, "lost"], 2048 * MIB, "not-measured"),
                "gpu_reserved": (["no statistics", "no statistics"], 2048 * MIB, "not-measured"),
            },
            timeline=drawn,
            allocator="cuda_malloc",
        ),
        measured(
            "tests/test_gpu.py::test_one",
            judged={"gpu": ([1500 * MIB], 1536 * MIB, "near"), "gpu_reserved": ([], 1, "not-measured")},
            allocator="growth",
        ),
        measured("tests/test_gpu.py::test_none", judged={"rss": (500 * MIB, None, None)}),
    ]


def test_each_gpu_is_a_row_where_there_are_several_in_80_columns(on_gpus):
    assert _shown(on_gpus) == _block("""
                figure            limit   reading  of limit  exactness    on
        over    tests/test_gpu.py::test_two
                gpu            1.50 GiB  1.62 GiB   108.0 %  lower-bound  GPU:1
        near    tests/test_gpu.py::test_one
                gpu            1.50 GiB  1.46 GiB    97.7 %  lower-bound
        near    tests/test_gpu.py::test_two
                gpu_footprint  2.00 GiB  1.86 GiB    92.8 %  lower-bound  GPU:0
        not measured: gpu_footprint on GPU:1 in tests/test_gpu.py::test_two: lost
        not measured: gpu_reserved in tests/test_gpu.py::test_two: no statistics
        not measured: gpu_reserved in tests/test_gpu.py::test_one: the test used no GPU

        measured 2 of 5 limits; 1 over, 1 near, 3 not measured (1 lost, 1 no statistics,
          1 the test used no GPU)""")


def test_each_gpu_is_a_row_where_there_are_several_in_160_columns(on_gpus):
    assert _shown(on_gpus, width=160).split("not measured")[0] == _block("""
                test                         figure            limit   reading  of limit  exactness    on
        over    tests/test_gpu.py::test_two  gpu            1.50 GiB  1.62 GiB   108.0 %  lower-bound  GPU:1
        near    tests/test_gpu.py::test_one  gpu            1.50 GiB  1.46 GiB    97.7 %  lower-bound
        near    tests/test_gpu.py::test_two  gpu_footprint  2.00 GiB  1.86 GiB    92.8 %  lower-bound  GPU:0
        """)


def test_verbose_has_gpus_below_their_test(on_gpus):
    assert _shown(on_gpus, verbosity=1).split("\n\n")[0] == _block("""
        test (sizes in MiB)  peak rss  growth  anon     gpu  timeline
        tests/test_gpu.py
          test_two              900.0       -     -  1659.0  ▁▂█▄
            GPU:0                                    1200.0   ▁▅█
            GPU:1                                    1659.0
          test_one                  -       -     -  1500.0
          test_none             500.0       -     -       -""")


def test_one_gpu_has_a_line_for_its_memory_over_time(measured):
    gpu = GpuTimeline(device=CARDS[0], source="process list", bytes=[None, 5, 700])
    drawn = Timeline(seconds=[0.0, 0.1, 0.2], rss_tree_bytes=[300, 500, 400], gpus=[gpu])
    test = measured("test_a.py::test_a", judged={"gpu": ([700 * MIB], None, None)}, timeline=drawn)
    assert [line.rstrip() for line in _shown([test], verbosity=1).splitlines()[2:4]] == [
        "  test_a                    -       -     -  700.0  ▁█▄",
        "    GPU:0                                    700.0   ▁█",
    ]
    without = msgspec.structs.replace(test, timeline=msgspec.structs.replace(drawn, gpus=[]))
    assert "GPU:0" not in _shown([without], verbosity=1)


def test_verbose_names_the_allocator_in_160_columns(on_gpus):
    assert _shown(on_gpus, width=160, verbosity=1).split("\n\n")[0] == _block("""
        test (sizes in MiB)  peak rss  growth  anon     gpu  limits        allocator    timeline
        tests/test_gpu.py
          test_two              900.0       -     -  1659.0  over          cuda_malloc  ▁▂█▄
            GPU:0                                    1200.0                              ▁▅█
            GPU:1                                    1659.0
          test_one                  -       -     -  1500.0  not measured  growth
          test_none             500.0       -     -       -  -             -""")


def test_no_list_of_readings_is_shown_as_one(on_gpus):
    for width in (40, 80, 160):
        shown = _shown(on_gpus, width=width, verbosity=1)
        assert [word for word in ("Reading(", "NotMeasured(", "device=", "[", CARDS[0][:20]) if word in shown] == []


def test_quiet_shows_breaches_the_notices_and_the_closing_line(run):
    assert _shown(run, width=160, verbosity=-1, notices=[NOTICE]) == _block("""
                test                                     figure           limit     reading  of limit  exactness
        over    tests/test_train.py::test_step[float32]  rss_growth   800.0 MiB  1143.0 MiB   142.9 %  lower-bound
        over    tests/test_train.py::test_step[float32]  rss         1536.0 MiB  1659.0 MiB   108.0 %  lower-bound
        warn    tests/test_gpu.py::test_kernel           rss          512.0 MiB   516.0 MiB   100.8 %  lower-bound
        tests in tests/test_train.py make tensors when imported: each was started in a new interpreter
        measured 6 of 7 limits; 2 over, 1 over (warning only), 1 waived, 1 near, 1 not measured (no GPU)""")


def test_lines_are_coloured_by_what_they_say(run):
    markup = [tuple(line.markup) for line in summary_lines(run, width=160, verbosity=0)]
    assert markup == [
        ("bold",),
        ("red",),
        ("red",),
        *[("yellow",)] * 5,  # warn, waived, near, the waiver, not measured
        (),
        ("red",),
    ]


def test_the_closing_line_of_a_clean_run_is_green_and_alone(measured):
    tests = [measured(judged={"rss": (5, 7, "ok")})]
    assert summary_lines(tests, width=80, verbosity=0) == [Line("measured 1 of 1 limit; none over", {"green": True})]


@pytest.mark.parametrize("verbosity", [-1, 0, 1])
def test_there_is_a_closing_line_even_of_nothing(verbosity):
    assert summary_lines([], width=80, verbosity=verbosity) == [Line("measured 0 tests, no limits set", {})]


def test_of_many_that_fail_nothing_only_the_worst_are_shown(measured):
    tests = [
        measured(f"test_io.py::test[{size}]", judged={"rss": (size * MIB, 100 * MIB, "near")})
        for size in range(80, 100)
    ]
    shown = _shown(tests).splitlines()
    assert [line.split()[1] for line in shown if line.startswith("near")] == [
        f"test_io.py::test[{size}]" for size in range(99, 89, -1)
    ]
    assert "        and 10 more near (-v shows them)" in shown
    assert "test_io.py::test[80]" in _shown(tests, verbosity=1)


def test_every_breach_is_shown_however_many(measured):
    tests = [measured(f"test_io.py::test[{number}]", judged={"rss": (9, 7, "over")}) for number in range(300)]
    assert _shown(tests, width=120).count("over    test_io.py::test[") == 300


def test_a_tests_own_breaches_stay_together_and_the_worst_test_is_first(measured):
    tests = [
        measured("test_a.py::a", judged={"rss": (300, 200, "over")}),
        measured("test_a.py::b", judged={"rss": (101, 100, "over"), "rss_growth": (1, 0, "over")}),
        measured("test_a.py::c", judged={"rss": (0, 0, "over")}),
    ]
    assert [line.split()[1:3] for line in _shown(tests, verbosity=-1).splitlines()[1:-1]] == [
        ["test_a.py::b", "rss_growth"],
        ["test_a.py::b", "rss"],
        ["test_a.py::a", "rss"],
        ["test_a.py::c", "rss"],
    ]


def test_tests_not_measured_for_one_reason_share_a_line(measured):
    judged = {"gpu": ("no GPU", 7, "not-measured"), "gpu_reserved": ("no GPU", 7, "not-measured")}
    tests = [measured(f"test_gpu.py::test[{number}]", judged=judged) for number in range(300)]
    assert _shown(tests).splitlines() == [
        "not measured: gpu, gpu_reserved in 300 tests: no GPU",
        "",
        "measured 0 of 600 limits; 600 not measured (no GPU)",
    ]


def test_reasons_beyond_the_first_ten_are_counted(measured):
    tests = [measured(judged={"gpu": (f"reason {number}", 7, "not-measured")}) for number in range(12)]
    assert _shown(tests).splitlines()[10] == "not measured: 2 more limits, for other reasons"


def test_a_breached_waiver_is_held_against_its_own_ceiling(measured, waiver):
    tests = [measured("test_a.py::test", judged={"rss": (2048 * MIB, 900 * MIB, "over")}, waiver=waiver)]
    assert _shown(tests).splitlines()[1] == "over    test_a.py::test  rss     1.90 GiB  2.00 GiB   105.3 %  lower-bound"


def test_a_waiver_that_ends_soon_is_mentioned_once(measured, waiver):
    waiver = msgspec.structs.replace(waiver, days_left=12)
    tests = [measured(judged={"rss": (5, 7, "ok")}, waiver=waiver)] * 2
    assert [line for line in _shown(tests, width=160).splitlines() if line.startswith("waived to")] == [
        "waived to 1.90 GiB until 2027-01-31, 12 days left: #123, float32 fallback until the kernel lands (budgets.yaml:30)"
    ]


def test_a_waiver_that_is_not_needed_and_ends_late_is_not_mentioned(measured, waiver):
    assert "waived" not in _shown([measured(judged={"rss": (5, 7, "ok")}, waiver=waiver)])


def test_a_limit_reached_but_not_passed_is_told_from_one_passed_by_a_byte(measured):
    tests = [
        measured("test_a.py::test_a", judged={"rss": (MIB << 10, MIB << 10, "near")}),
        measured("test_a.py::test_b", judged={"rss": ((MIB << 10) + 1, MIB << 10, "over")}),
    ]
    shown = _shown(tests)
    assert "100.0 %" in shown
    assert ">100 %" in shown


def test_verbose_tells_how_a_process_died(measured):
    test = measured("test_a.py::test_a", died="killed by SIGKILL")
    assert _shown([test], verbosity=1).splitlines()[2:4] == [
        "  test_a                    -       -     -",
        "    died: killed by SIGKILL",
    ]


def test_a_note_is_told_once_for_all_the_tests_that_fail_by_it(measured):
    note = "waiver in budgets.yaml:30 expired on 2026-07-31"
    tests = [measured(f"test_a.py::test_{name}", judged={"rss": (9, 7, "over")}, notes=[note]) for name in ("a", "b")]
    assert f"{note}: 2 tests" in _shown(tests).splitlines()
    assert f"{note}: test_a.py::test_a" in _shown(tests[:1]).splitlines()


def test_a_note_on_a_limit_that_is_kept_is_for_verbose(measured):
    tests = [
        measured("test_a.py::test_a", judged={"rss": (5, 7, "ok")}, notes=[f"note {number}" for number in range(12)])
    ]
    assert "note" not in _shown(tests)
    shown = _shown(tests, verbosity=1).splitlines()
    assert "note 9: test_a.py::test_a" in shown
    assert "and 2 more notes (the run document has them all)" in shown


def test_a_waiver_that_has_ended_is_not_told_as_if_it_held(measured, waiver):
    waiver = msgspec.structs.replace(waiver, days_left=-1)
    assert "2027-01-31" not in _shown([measured(judged={"rss": (5, 7, "near")}, waiver=waiver)])


def test_wide_characters_keep_columns_aligned(measured):
    tests = [
        measured(f"test_a.py::test[{name}]", judged={"rss": (9 * MIB, 7 * MIB, "over")})
        for name in ("世界", "ascii", "👩‍🚀")
    ]
    table = summary_lines(tests, width=120, verbosity=0)[1:4]
    assert len({cell_len(line.text.partition("  rss")[0]) for line in table}) == 1


def test_an_id_cannot_move_the_cursor(measured):
    test = measured("test_a.py::test[\x1b[2J\n::error::]", judged={"rss": (9, 7, "over")})
    shown = summary_lines([test], width=160, verbosity=1, notices=["\x1b[2J"])
    assert any(r"test[\x1b[2J\n::error::]" in line.text for line in shown)
    assert all(line.text.isprintable() for line in shown)


@pytest.mark.parametrize("verbosity", [-1, 0, 1])
def test_a_terminal_too_narrow_for_tables_is_not_overrun(run, verbosity):
    lines = summary_lines(run, width=20, verbosity=verbosity, notices=[NOTICE])
    assert max(cell_len(line.text) for line in lines) <= 20


@given(data=st.data(), width=st.integers(20, 200), verbosity=st.integers(-2, 2))
def test_no_line_is_wider_than_the_terminal(measurements, held, data, width, verbosity):
    tests = data.draw(st.lists(measurements, max_size=5))
    notices = data.draw(st.lists(st.text(), max_size=2))
    against = data.draw(st.none() | held)
    lines = summary_lines(tests, width=width, verbosity=verbosity, notices=notices, held=against)
    assert [line for line in lines if cell_len(line.text) > width] == []
    assert all(line.text.isprintable() for line in lines)
