from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_tfmem.figures import Reading, Section
from pytest_tfmem.report.sections import in_order, peak_notes, section_name, section_words

MIB = 1 << 20


def reading(mib):
    return Reading(bytes=round(mib * MIB), exactness="lower-bound", source="VmHWM")


def section(name, *path, entered=1, seconds=0.25, open_at_death=False, **sizes):
    readings = {figure: reading(size) for figure, size in sizes.items()}
    known = Section(name=name, path=[*path], phase="call", entered=entered, seconds=seconds, readings=readings)
    return replace(known, open_at_death=open_at_death)


def test_the_section_that_had_the_peak_is_the_innermost_that_added_to_it():
    sections = [
        section("decode", "load", rss=300, rss_growth=200),
        section("load", rss=300, rss_growth=205),
        section("train", rss=120, rss_growth=40),
    ]
    readings = {"rss": reading(300), "rss_growth": reading(230)}
    assert list(peak_notes(sections, readings, ["rss_growth", "rss"])) == [
        "rss_growth: the peak was in the section load > decode, which grew by 200.0 MiB",
        "rss: the peak was in the section load > decode (300.0 MiB)",
    ]


def test_a_section_that_found_the_memory_held_is_not_the_cause_of_a_peak_in_it():
    sections = [section("load", rss=300, rss_growth=250), section("look", rss=301, rss_growth=1)]
    notes = list(peak_notes(sections, {"rss": reading(301)}, ["rss"]))
    assert notes == ["rss: the peak was in the section load (300.0 MiB)"]


def test_a_peak_outside_of_all_sections_is_told_as_such():
    sections = [section("load", rss=100, rss_growth=50), section("train", rss=120, rss_growth=5)]
    assert list(peak_notes(sections, {"rss": reading(300), "rss_growth": reading(280)}, ["rss_growth"])) == [
        "rss_growth: the peak was in none of its sections; the most in one was rss 120.0 MiB, in train"
    ]


def test_a_peak_after_a_section_that_added_nothing_is_not_that_sections_however_much_was_held():
    sections = [section("look", rss=500, rss_growth=0)]
    notes = list(peak_notes(sections, {"rss": reading(504), "rss_growth": reading(4)}, ["rss_growth", "rss"]))
    assert notes == [
        f"{figure}: the peak was in none of its sections; the most in one was rss 500.0 MiB, in look"
        for figure in ("rss_growth", "rss")
    ]


def test_of_a_figure_that_sections_have_not_and_of_a_test_without_sections_nothing_is_said():
    assert not list(peak_notes([section("load", rss=1)], {"rss_tree": reading(3)}, ["rss_tree"]))
    assert not list(peak_notes([], {"rss": reading(3)}, ["rss"]))
    assert not list(peak_notes([section("load", rss=1)], {}, ["rss", "gpu"]))


def test_a_line_has_growth_peak_devices_time_and_how_often():
    one = section("load", entered=3, rss=300.1, rss_growth=255.8, rss_anon=200, cpu_tensors=64)
    assert section_words(one) == "255.8 MiB growth, 300.1 MiB rss, 64.0 MiB cpu_tensors, 0.25 s, 3 times"


def test_hostile_names_are_shown_and_long_ones_cut():
    assert section_name(section("\x1b[31mred\n", "a" * 100)) == f"{'a' * 59}… > \\x1b[31mred\\n"


paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)


@given(st.lists(paths, max_size=12, unique_by=tuple))
def test_in_order_each_section_stands_right_after_those_around_it(places):
    sections = [section(place[-1], *place[:-1]) for place in places]
    ordered = [(*one.path, one.name) for one in in_order(sections)]
    assert sorted(ordered) == sorted(map(tuple, places))
    for at, place in enumerate(ordered):
        around = place[:-1]
        if around in ordered:
            assert ordered.index(around) < at
            between = ordered[ordered.index(around) + 1 : at]
            assert all(other[: len(around)] == around for other in between)


def test_a_section_that_was_open_when_the_process_died_is_told_as_such_with_no_figure_of_that_time():
    assert section_words(section("load", entered=0, seconds=0.0, open_at_death=True)) == (
        "not measured: open when the process died"
    )
    once_more = section("load", entered=2, rss=300, open_at_death=True)
    assert section_words(once_more) == "300.0 MiB rss, 0.25 s, 2 times, open once more when the process died"
