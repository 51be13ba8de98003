"""The fixture `tfmem`: sections, checkpoints, limits known only when the test runs."""

from __future__ import annotations

import importlib.util
import re

import pytest

MIB = 1 << 20

SECTIONS = """
    import threading

    MIB = 1 << 20


    @pytest.fixture
    def loaded(tfmem):
        with tfmem.section("fixture"):
            data = bytearray(16 * MIB)
            yield data


    def test_nested(tfmem):
        with tfmem.section("outer") as outer:
            with tfmem.section("load") as load:
                bytearray(256 * MIB)
            with tfmem.section("small") as small:
                bytearray(16 * MIB)
        for section, expected in ((outer, 256), (load, 256), (small, 16)):
            assert (expected - 1) * MIB < section.rss_growth < (expected + 1) * MIB
            assert section.rss_growth.error_bytes >= abs(section.rss_growth.bytes - expected * MIB)
        assert load.rss - small.rss > "239 MiB"
        assert outer.rss == load.rss
        assert load.rss_anon > "256 MiB"
        note(repr(small.rss_growth))


    def test_entered_again(tfmem):
        again = tfmem.section("again")
        for size in (8, 24, 4):
            with again:
                bytearray(size * MIB)
        assert again.entered == 3
        assert "23 MiB" < again.rss_growth < "25 MiB"
        with tfmem.section("again") as another:
            pass
        assert another.entered == 4
        assert another.rss_growth == again.rss_growth
        assert another.seconds > again.seconds


    def test_spans_phases(tfmem, loaded):
        with tfmem.section("inner") as inner:
            bytearray(32 * MIB)
        assert "31 MiB" < inner.rss_growth < "33 MiB"


    def test_left_by_an_exception(tfmem):
        with pytest.raises(KeyError):
            with tfmem.section("broken") as broken:
                data = bytearray(32 * MIB)
                raise KeyError
        assert broken.rss_growth > "31 MiB"


    def held(tfmem):
        with tfmem.section("held by a generator"):
            yield bytearray(8 * MIB)


    def test_out_of_order(tfmem):
        generator = held(tfmem)
        first = next(generator)
        with tfmem.section("beside") as beside:
            bytearray(32 * MIB)
            generator.close()
            del first
            bytearray(48 * MIB)
        assert beside.rss_growth > "39 MiB"


    def test_in_a_thread(tfmem):
        def work():
            with tfmem.section("thread") as section:
                allocated.wait()
            found.append(section)

        found, allocated = [], threading.Event()
        thread = threading.Thread(target=work)
        with tfmem.section("main"):
            thread.start()
            while not tfmem._inside._opened[1:]:
                pass
            bytearray(64 * MIB)
            allocated.set()
            thread.join()
        assert found[0].rss_growth > "62 MiB"  # of the process, not of the thread


    def test_asked_too_early(tfmem):
        with tfmem.section("open") as section:
            section.rss


    def test_not_measured(tfmem):
        with tfmem.section("any") as section:
            pass
        assert section.gpu < "3 MiB"


    def test_of_a_whole_test_only(tfmem):
        with tfmem.section("any") as section:
            pass
        assert section.rss_tree < "3 MiB"


    def test_too_much(tfmem):
        with tfmem.section("load") as load:
            bytearray(8 * MIB)
        assert load.rss_growth < "3 MiB"
"""


def sections(ran, test):
    return {" > ".join([*one["path"], one["name"]]): one for one in ran.measured[test]["sections"]}


def test_sections_have_peaks_of_their_own_in_whichever_way_they_are_entered_and_left(project):
    project.write("test_sections.py", SECTIONS)
    ran = project.run("--tfmem-json=run.json", "-rs")
    assert ran.outcomes == {
        "test_nested": "passed",
        "test_entered_again": "passed",
        "test_spans_phases": "passed",
        "test_left_by_an_exception": "passed",
        "test_out_of_order": "passed",
        "test_in_a_thread": "passed",
        "test_asked_too_early": "failed",
        "test_not_measured": "skipped",
        "test_of_a_whole_test_only": "skipped",
        "test_too_much": "failed",
    }
    assert len(ran.children) == 10  # without a marker, each in a process of its own
    nested = sections(ran, "test_nested")
    assert list(nested) == ["outer > load", "outer > small", "outer"]
    assert nested["outer"]["readings"]["rss"] == nested["outer > load"]["readings"]["rss"]
    assert ran.measured["test_nested"]["readings"]["rss"] == nested["outer"]["readings"]["rss"]
    assert sections(ran, "test_entered_again")["again"]["entered"] == 4
    spanning = sections(ran, "test_spans_phases")
    assert (spanning["fixture"]["phase"], spanning["fixture > inner"]["phase"]) == ("setup", "call")
    assert spanning["fixture"]["readings"]["rss_growth"]["bytes"] > 47 * MIB
    assert sections(ran, "test_left_by_an_exception")["broken"]["entered"] == 1
    assert list(sections(ran, "test_out_of_order")) == ["held by a generator", "held by a generator > beside"]
    assert set(sections(ran, "test_in_a_thread")) == {"main", "thread"}
    early = r"test_sections\.py:\d+: the section 'open' was asked for rss before it had ended; ask after its `with` bl"
    assert re.search(early, ran.text)
    assert "gpu was not measured: the test imported no framework that uses a GPU" in ran.text
    assert "SKIPPED [1] test_sections.py:" in ran.text  # the line that asked, not one of ours
    assert re.search(r"assert <[78]\.\d MiB rss_growth, lower-bound> < '3 MiB'", ran.text)


PHASES = """
    MIB = 1 << 20


    def work(tfmem, in_sections):
        import contextlib

        for size in (64, 32, 96, 16):
            with tfmem.section(f"part {size}") if in_sections else contextlib.nullcontext():
                bytearray(size * MIB)


    @pytest.mark.parametrize("in_sections", [False, True])
    def test_phases(tfmem, in_sections):
        work(tfmem, in_sections)


    @pytest.mark.memory_budget(warmup=3)
    def test_warmed_up(tfmem):
        with tfmem.section("once"):
            pass
        tfmem.checkpoint("once")
"""


def test_a_phase_reads_with_sections_in_it_what_it_reads_without(project):
    project.write("test_phases.py", PHASES)
    measured = project.run().measured
    without, with_them = (measured[f"test_phases[{in_sections}]"]["phases"]["call"] for in_sections in (False, True))
    assert without["rss_growth_bytes"] > 95 * MIB
    for figure in ("rss_bytes", "rss_growth_bytes", "rss_anon_bytes"):
        assert abs(with_them[figure] - without[figure]) < MIB  # the counter's own error
    warm = measured["test_warmed_up"]
    assert [(one["name"], one["entered"]) for one in warm["sections"]] == [("once", 1)]
    assert [one["name"] for one in warm["timeline"]["checkpoints"]] == ["setup", "call", "once", "teardown", "end"]


LIMITS = """
    MIB = 1 << 20


    @pytest.fixture
    def limited(tfmem):
        tfmem.limit(rss_growth=8 * MIB)


    def test_over(tfmem):
        tfmem.limit(rss_growth="8 MiB")
        with tfmem.section("load"):
            bytearray(24 * MIB)


    def test_within(tfmem):
        tfmem.limit(rss_growth=1.5 * 24 * MIB)
        bytearray(24 * MIB)


    def test_of_a_fixture(limited):
        bytearray(24 * MIB)


    def test_a_later_call_wins(tfmem, limited):
        tfmem.limit(rss_growth="100 MiB", rss="9 GiB")
        bytearray(24 * MIB)


    @pytest.mark.memory_budget(rss_growth="1 MiB", rss_anon="9 GiB")
    def test_closer_than_the_marker(tfmem):
        tfmem.limit(rss_growth="100 MiB")
        bytearray(24 * MIB)


    def test_warns(tfmem):
        tfmem.limit(rss_growth="8 MiB", level="warn")
        bytearray(24 * MIB)


    def test_by_a_size(tfmem):
        with tfmem.section("once") as once:
            bytearray(8 * MIB)
        tfmem.limit(rss_growth=2 * once.rss_growth)
        bytearray(24 * MIB)


    def test_not_measured(tfmem):
        tfmem.limit(gpu="1 GiB", leak="1 KiB")


    @pytest.mark.xfail(raises=budget and __import__("pytest_tfmem").MemoryBudgetExceeded, strict=True)
    def test_expected(tfmem):
        tfmem.limit(rss_growth="8 MiB")
        bytearray(24 * MIB)


    WRONG = {
        "figure": lambda tfmem: tfmem.limit(rss_grow="3 MiB"),
        "size": lambda tfmem: tfmem.limit(rss="3 megs"),
        "nothing": lambda tfmem: tfmem.limit(),
        "position": lambda tfmem: tfmem.limit("3 MiB"),
        "level": lambda tfmem: tfmem.limit(rss="3 MiB", level="loud"),
        "negative": lambda tfmem: tfmem.limit(rss=-1),
        "name": lambda tfmem: tfmem.section(" "),
        "checkpoint": lambda tfmem: tfmem.checkpoint(3),
    }


    @pytest.mark.parametrize("name", WRONG)
    def test_wrong(tfmem, name):
        WRONG[name](tfmem)


    @pytest.fixture
    def late(tfmem):
        yield
        tfmem.limit(rss="1 GiB")


    def test_too_late(late):
        pass
"""

WRONG = [
    "unknown figure 'rss_grow'; did you mean 'rss_growth'? The figures are rss, rss_growth,",
    "tfmem.limit(rss=...): '3 megs' has an unknown unit 'megs'; the units are",
    "tfmem.limit names no figure; name one, such as tfmem.limit(rss_growth='300 MiB')",
    "tfmem.limit takes no positional arguments; name the figure, such as tfmem.limit(rss_growth='300 MiB')",
    "unknown level 'loud'; the levels are error, warn",
    "tfmem.limit(rss=...): -1 is out of range for a size; write bytes or a number and a unit",
    "tfmem.section(...) needs a name; write a name, such as tfmem.section('load')",
    "tfmem.checkpoint(...) needs a name; write a name, such as tfmem.checkpoint('load')",
    "tfmem.limit comes too late: the limits were judged at the end of the test's call; call it in the test or before",
]


def test_limits_that_a_test_sets_itself_are_judged_with_the_rest(project):
    project.write("test_limits.py", LIMITS)
    ran = project.run()
    wrong = ["figure", "size", "nothing", "position", "level", "negative", "name", "checkpoint"]
    assert ran.outcomes == {
        "test_over": "failed",
        "test_within": "passed",
        "test_of_a_fixture": "failed",
        "test_a_later_call_wins": "passed",
        "test_closer_than_the_marker": "passed",
        "test_warns": "passed",
        "test_by_a_size": "failed",
        "test_not_measured": "passed",
        "test_expected": "xfailed",
        **{f"test_wrong[{name}]": "failed" for name in wrong},
        "test_too_late": "passed error",
    }
    lines = (project.path / "test_limits.py").read_text().splitlines()
    called = 1 + lines.index('    tfmem.limit(rss_growth="8 MiB")')
    over = ran.measured["test_over"]
    assert over["limits"]["rss_growth"] == {
        "bytes": 8 * MIB,
        "where": f"test_limits.py:{called}",
        "level": "error",
        "waiver": None,
    }
    assert over["verdict"] == "over"
    assert over["breached"]
    assert ran.measured["test_within"]["verdict"] == "ok"
    assert set(ran.measured["test_closer_than_the_marker"]["limits"]) == {"rss_growth", "rss_anon"}
    assert ran.measured["test_warns"]["verdicts"] == {"rss_growth": "over"}
    assert ran.measured["test_not_measured"]["verdicts"] == {"gpu": "not-measured", "leak": "not-measured"}
    (note,) = ran.measured["test_not_measured"]["notes"]
    late = "leak: a limit that the test sets itself comes too late for the test to be called again and again"
    assert note == f"{late}; memory_budget(calls=50) has it called"
    assert f"limit set in test_limits.py:{called}" in ran.text
    assert "rss_growth: the peak was in the section load, which grew by 2" in ran.text
    for said in WRONG:
        assert re.search(rf"^test_limits\.py:\d+: {re.escape(said)}", ran.text, re.MULTILINE), said
    assert "pytest_tfmem/" not in ran.text  # no traceback of ours


def test_a_waiver_of_the_file_holds_for_a_limit_that_a_test_sets_itself(project):
    project.write(
        "budgets.yaml",
        """
        version: 1
        waivers:
          - {test: test_it.py, figure: rss_growth, limit: 64 MiB, expires: 9999-01-01, reason: x}
        """,
    )
    project.write(
        "test_it.py",
        """
        def test_it(tfmem):
            tfmem.limit(rss_growth="8 MiB")
            bytearray(24 << 20)
        """,
    )
    ran = project.run()
    assert ran.outcomes == {"test_it": "passed"}
    assert ran.measured["test_it"]["verdict"] == "waived"


def test_a_limit_that_cannot_be_judged_fails_the_test_where_gpus_are_required(project):
    project.write(
        "test_required.py",
        """
        def test_limit(tfmem):
            tfmem.limit(gpu="1 GiB")


        def test_size(tfmem):
            with tfmem.section("train") as train:
                pass
            assert train.gpu < "1 GiB"
        """,
    )
    ran = project.run("--tfmem-gpu=require")
    assert ran.outcomes == {"test_limit": "failed", "test_size": "failed"}
    assert "gpu was not measured: the test imported no framework that uses a GPU (--tfmem-gpu=require)" in ran.text


CHECKPOINTS = """
    MIB = 1 << 20


    def test_held(tfmem):
        before = tfmem.checkpoint("before")
        data = bytearray(32 * MIB)
        after = tfmem.checkpoint("built <b>")
        assert "31 MiB" < after.rss - before.rss < "33 MiB"
        assert "31 MiB" < after.rss_anon - before.rss_anon < "33 MiB"
        del data
        assert tfmem.checkpoint("freed").rss - before.rss < "1 MiB"
        note(f"{after.rss.exactness} by {after.rss.source}")


    def test_no_peak_is_lost(tfmem):
        with tfmem.section("around") as around:
            bytearray(32 * MIB)
            tfmem.checkpoint("between")
        assert around.rss_growth > "31 MiB"
"""


def test_a_checkpoint_says_what_is_held_at_a_moment_that_the_timeline_names(project):
    project.write("test_held.py", CHECKPOINTS)
    ran = project.run()
    assert ran.outcomes == {"test_held": "passed", "test_no_peak_is_lost": "passed"}
    marked = ran.measured["test_held"]["timeline"]["checkpoints"]
    names = ["setup", "call", "before", "built <b>", "freed", "teardown", "end"]
    assert [one["name"] for one in marked] == names
    assert [one["seconds"] for one in marked] == sorted(one["seconds"] for one in marked)
    before, built = marked[2]["readings"], marked[3]["readings"]
    assert 31 * MIB < built["rss"]["bytes"] - before["rss"]["bytes"] < 33 * MIB
    assert set(built) == {"rss", "rss_anon"}


@pytest.mark.of_any_start_method
def test_in_pytests_own_process_sections_run_and_a_comparison_is_skipped_with_the_reason(project):
    project.write(
        "test_here.py",
        """
        def test_runs(tfmem):
            with tfmem.section("load"):
                note("ran")
            tfmem.checkpoint("here")
            tfmem.limit(rss="1 KiB")


        def test_compares(tfmem):
            with tfmem.section("load") as load:
                pass
            assert load.rss < "1 GiB"


        def test_holds(tfmem):
            assert tfmem.checkpoint("here").rss < "1 GiB"


        def test_wrong(tfmem):
            tfmem.limit(rss="much")
        """,
    )
    ran = project.run("--no-tfmem", "-rs")
    assert ran.outcomes == {
        "test_runs": "passed",
        "test_compares": "skipped",
        "test_holds": "skipped",
        "test_wrong": "failed",
    }
    assert ran.notes == ["ran"]
    assert "rss was not measured: --no-tfmem runs tests in pytest's own process" in ran.text
    assert "4 tests ran unmeasured" in ran.text


@pytest.mark.of_any_start_method
def test_a_test_that_asks_for_the_fixture_only_while_it_runs_is_told_why_nothing_is_measured(project):
    project.write(
        "test_late.py",
        """
        def test_late(request):
            tfmem = request.getfixturevalue("tfmem")
            with tfmem.section("load") as load:
                pass
            note(str(load.rss))
            assert load.rss < "1 GiB"
        """,
    )
    ran = project.run("-rs")
    assert ran.outcomes == {"test_late": "skipped"}
    said = "the test asks for tfmem only while it runs: name it in its arguments, so that it has a process of its own"
    assert ran.notes == [f"not measured: {said}"]
    assert f"rss was not measured: {said}" in ran.text


@pytest.mark.of_any_start_method
def test_sections_are_told_in_the_summary_in_junit_and_in_workers_of_xdist(project):
    project.write(
        "test_told.py",
        """
        @pytest.fixture(autouse=True)
        def sectioned(tfmem):
            with tfmem.section("a | b"):
                yield


        @pytest.mark.parametrize("number", range(2))
        def test_told(number):
            bytearray(16 << 20)
        """,
    )
    ran = project.run("-v", "-n2", "--junitxml=junit.xml", with_plugins=["xdist"])
    assert ran.outcomes == {"test_told[0]": "passed", "test_told[1]": "passed"}
    assert (
        len(re.findall(r"^ +a \| b: 1[56]\.\d MiB growth, \d+\.\d MiB rss, \d\.\d\d s$", ran.text, re.MULTILINE)) == 2
    )
    assert 'name="tfmem.section.a | b.rss_growth_bytes"' in (project.path / "junit.xml").read_text()


@pytest.mark.of_any_start_method
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs TensorFlow")
def test_a_section_counts_tensorflows_tensors_exactly_under_a_cpu_allocator_that_does(project):
    project.write(
        "test_tensors.py",
        """
        MIB = 1 << 20


        @pytest.mark.tf_runtime(cpu_allocator="bfc")
        def test_tensors(tfmem):
            import tensorflow as tf

            kept = tf.zeros([4 * MIB], tf.uint8)
            with tfmem.section("outer") as outer:
                with tfmem.section("large") as large:
                    tf.zeros([64 * MIB], tf.uint8)
                with tfmem.section("small") as small:
                    tf.zeros([8 * MIB], tf.uint8)
            held = tfmem.checkpoint("held").cpu_tensors
            note(f"{large.cpu_tensors.bytes - held.bytes} {outer.cpu_tensors.bytes - held.bytes}")
            note(f"{small.cpu_tensors.bytes - held.bytes}")
            assert held >= "4 MiB"
        """,
    )
    ran = project.run()
    assert ran.outcomes == {"test_tensors": "passed"}
    value = 256  # the smallest chunk, for the number that the tensor is filled with
    assert ran.notes == [f"{64 * MIB + value} {64 * MIB + value}", f"{8 * MIB + value}"]
    measured = ran.measured["test_tensors"]
    assert measured["readings"]["cpu_tensors"] == sections(ran, "test_tensors")["outer"]["readings"]["cpu_tensors"]
