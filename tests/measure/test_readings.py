"""Which number is which figure, and how good it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.figures import HOST_FIGURES, NotMeasured, Reading, Section
from pytest_tfmem.measure.marks import Marks, PhaseMarks
from pytest_tfmem.measure.readings import host_readings, phase_figures, readings_of_the_dead
from pytest_tfmem.measure.sampler import Samples

ENDED_EARLY = NotMeasured("the test's process ended before it could be read")


def marks(peak, rss=None, *, file=0, shmem=0, error=768, exact_now=True, since_reset=True):
    return Marks(
        peak=peak,
        rss=peak if rss is None else rss,
        file=file,
        shmem=shmem,
        error=error,
        exact_now=exact_now,
        since_reset=since_reset,
        source="VmHWM",
    )


def phases(setup, call=None, teardown=None, *, before=None):
    """Phases by their end's marks; each starts where `before`, or the end before it, left off."""
    ended, start = {}, before or marks(1000)
    for name, end in (("setup", setup), ("call", call), ("teardown", teardown)):
        if end is not None:
            ended[name] = PhaseMarks(start=start, end=end, seconds=0.25)
            start = end
    return ended


def samples(*trees, own=0, anon=None, before_setup=None):
    seen = Samples(0.02)
    if before_setup is not None:
        seen.setup_begins(before_setup)
    for tree in trees:
        seen.add(0.0, own_peak=own, anon=anon, tree=tree)
    return seen


def test_the_peak_is_that_of_the_highest_phase():
    read = host_readings(phases(marks(2000), marks(5000, 3000), marks(3000)), samples())
    assert read["rss"] == Reading(bytes=5000, exactness="lower-bound", error_bytes=768, source="VmHWM")


def test_a_peak_that_is_still_held_is_a_lower_bound_too_for_a_small_spike_may_have_passed_unseen():
    read = host_readings(phases(marks(2000), marks(5000)), samples())
    assert read["rss"] == Reading(bytes=5000, exactness="lower-bound", error_bytes=768, source="VmHWM")


def test_a_mark_that_could_not_be_reset_is_an_upper_bound():
    read = host_readings(phases(marks(5000, since_reset=False)), samples())
    assert read["rss"] == Reading(bytes=5000, exactness="upper-bound", source="VmHWM since the process began")


def test_growth_is_the_peak_less_what_was_resident_before_setup():
    read = host_readings(phases(marks(2000), marks(5000, 3000), before=marks(1900, 1200)), samples())
    assert read["rss_growth"] == Reading(
        bytes=3800, exactness="lower-bound", error_bytes=768, source="VmHWM - VmRSS before setup"
    )


def test_growth_from_an_estimate_has_both_errors():
    before = marks(1200, error=32, exact_now=False)
    read = host_readings(phases(marks(5000), before=before), samples())
    assert read["rss_growth"] == Reading(
        bytes=3800, exactness="lower-bound", error_bytes=768 + 32, source="VmHWM - VmRSS before setup"
    )


def test_growth_up_to_a_mark_that_could_not_be_reset_is_an_upper_bound():
    before = marks(1200, error=None, exact_now=False, since_reset=False)
    read = host_readings(phases(marks(5000, error=None, exact_now=False, since_reset=False), before=before), samples())
    assert read["rss_growth"] == Reading(
        bytes=3800, exactness="upper-bound", source="VmHWM since the process began - VmRSS before setup"
    )


def test_a_test_that_grows_by_nothing_has_grown_by_nothing():
    read = host_readings(phases(marks(900), before=marks(1000)), samples())
    assert read["rss_growth"].bytes == 0


def test_anonymous_memory_is_the_peak_less_file_and_shared_pages():
    read = host_readings(phases(marks(5000, 4000, file=1500, shmem=500)), samples())
    assert read["rss_anon"] == Reading(
        bytes=3000, exactness="lower-bound", error_bytes=768, source="VmHWM - RssFile - RssShmem"
    )


def test_anonymous_memory_may_peak_in_another_phase_than_all_memory():
    read = host_readings(phases(marks(4000, file=500), marks(5000, file=4500)), samples())
    assert (read["rss"].bytes, read["rss_anon"].bytes) == (5000, 3500)


def test_anonymous_memory_that_nobody_counts_is_not_measured():
    read = host_readings(phases(marks(5000, file=None, shmem=None)), samples())
    assert read["rss_anon"] == NotMeasured("this system does not count anonymous memory apart")


@pytest.mark.parametrize(("tree", "most"), [(9000, 9000), (4000, 5000)])
def test_the_tree_held_at_least_what_its_first_process_held(tree, most):
    read = host_readings(phases(marks(5000)), samples(3000, tree))
    assert read["rss_tree"] == Reading(bytes=most, exactness="sampled", source="process tree read every 20 ms at best")


def test_a_process_that_ended_before_it_was_read_is_not_measured():
    unseen = samples(before_setup=500)
    assert host_readings({}, unseen) == dict.fromkeys(HOST_FIGURES, ENDED_EARLY)
    assert readings_of_the_dead({}, unseen) == dict.fromkeys(HOST_FIGURES, ENDED_EARLY)


def test_a_process_that_ended_before_setup_is_not_measured_though_it_was_seen():
    read = readings_of_the_dead({}, samples(700, own=500, anon=300))
    assert read == dict.fromkeys(HOST_FIGURES, NotMeasured("the test's process ended before its setup"))


def test_a_process_that_ended_badly_has_what_was_last_seen_of_it():
    source = "process tree read every 20 ms at best"
    read = readings_of_the_dead({}, samples(900, own=800, anon=600, before_setup=500))
    assert read == {
        "rss": Reading(bytes=800, exactness="sampled", source=source),
        "rss_growth": Reading(bytes=300, exactness="sampled", source=source),
        "rss_anon": Reading(bytes=600, exactness="sampled", source=source),
        "rss_tree": Reading(bytes=900, exactness="sampled", source=source),
    }


def test_a_process_that_ended_badly_has_held_at_least_what_its_sections_have():
    seen = samples(900, own=800, anon=600, before_setup=500)
    sections = [section(rss=950, rss_anon=400), section(rss=700, rss_anon=640), section()]
    read = readings_of_the_dead({}, seen, sections)
    assert {figure: one.bytes for figure, one in read.items()} == {
        "rss": 950,
        "rss_growth": 450,
        "rss_anon": 640,
        "rss_tree": 950,
    }
    assert read["rss"].exactness == "sampled"
    assert read["rss"].source.endswith(", and in sections")
    unseen = samples(own=0, before_setup=500)
    assert readings_of_the_dead({}, unseen, sections)["rss_growth"].bytes == 450
    assert readings_of_the_dead({}, unseen, [section()]) == dict.fromkeys(HOST_FIGURES, ENDED_EARLY)


def section(**sizes):
    read = {figure: Reading(bytes=size, exactness="exact", source="VmHWM") for figure, size in sizes.items()}
    return Section(name="load", path=[], phase="call", readings=read)


def test_the_dead_have_no_anonymous_memory_where_nobody_counts_it():
    assert readings_of_the_dead({}, samples(900, own=800, before_setup=100))["rss_anon"] == ENDED_EARLY


def test_a_process_that_ended_badly_after_a_phase_has_the_greater_of_its_mark_and_its_samples():
    source = "process tree read every 20 ms at best"
    read = readings_of_the_dead(phases(marks(5000)), samples(4000, own=4000, anon=3500, before_setup=1000))
    assert read["rss"] == Reading(bytes=5000, exactness="sampled", source=source)
    read = readings_of_the_dead(phases(marks(5000)), samples(6000, own=6000, anon=5500, before_setup=1000))
    assert read["rss"] == Reading(bytes=6000, exactness="sampled", source=source)


def test_a_mark_of_the_dead_without_a_sample_names_itself():
    read = readings_of_the_dead(phases(marks(5000)), samples())
    assert read["rss"] == Reading(bytes=5000, exactness="sampled", source="last mark before the process ended")


def test_each_phase_has_its_own_peaks():
    ended = phases(marks(2000, file=500, shmem=100), marks(5000, 3000), before=marks(1500))
    assert phase_figures(ended) == {
        "setup": {"seconds": 0.25, "rss_bytes": 2000, "rss_growth_bytes": 500, "rss_anon_bytes": 1400},
        "call": {"seconds": 0.25, "rss_bytes": 5000, "rss_growth_bytes": 3000, "rss_anon_bytes": 5000},
    }


def test_a_phase_has_no_anonymous_memory_where_nobody_counts_it():
    figures = phase_figures(phases(marks(2000, file=None)))
    assert figures == {"setup": {"seconds": 0.25, "rss_bytes": 2000, "rss_growth_bytes": 1000}}


sizes = st.integers(0, 1 << 50)
some_marks = st.builds(
    lambda peak, rss, *rest: marks(max(peak, rss), rss, file=rest[0], shmem=rest[1], error=rest[2], exact_now=rest[3]),
    sizes,
    sizes,
    st.none() | sizes,
    sizes,
    st.none() | sizes,
    st.booleans(),
)
some_phases = st.builds(phases, some_marks, st.none() | some_marks, st.none() | some_marks, before=some_marks)
some_samples = st.builds(
    lambda trees, own, anon, before: samples(*trees, own=own, anon=anon, before_setup=before),
    st.lists(sizes, max_size=3),
    sizes,
    st.none() | sizes,
    st.none() | sizes,
)


@given(some_phases, some_samples)
def test_no_figure_is_negative_and_no_part_is_more_than_the_whole(ended, seen):
    read = host_readings(ended, seen)
    size = {figure: reading.bytes for figure, reading in read.items() if isinstance(reading, Reading)}
    assert min(size.values()) >= 0
    assert size["rss_growth"] <= size["rss"] <= size["rss_tree"]
    assert size.get("rss_anon", 0) <= size["rss"]


@given(some_phases, some_samples)
def test_no_host_figure_is_called_exact(ended, seen):
    for reading in host_readings(ended, seen).values():
        assert isinstance(reading, NotMeasured) or reading.exactness != "exact"


@given(some_phases, some_samples)
def test_the_dead_are_said_to_have_held_no_less_than_was_counted_or_seen(ended, seen):
    counted, dead = host_readings(ended, seen), readings_of_the_dead(ended, seen)
    assert dead.keys() == set(HOST_FIGURES)
    for figure, reading in dead.items():
        if isinstance(reading, NotMeasured):
            assert isinstance(counted[figure], NotMeasured)
            continue
        assert reading.exactness == "sampled"
        assert reading.bytes >= (counted[figure].bytes if isinstance(counted[figure], Reading) else 0)
    assert seen.count == 0 or seen.before_setup is None or dead["rss"].bytes >= seen.own_peak
