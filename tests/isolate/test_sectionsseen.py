from __future__ import annotations

from pytest_tfmem.figures import Reading, Section
from pytest_tfmem.isolate.sectionsseen import SectionsSeen
from pytest_tfmem.isolate.wire import SectionEntered, SectionLeft

READINGS = {"rss": Reading(bytes=7, exactness="exact", source="counter")}


def entry(*place, phase="call"):
    return SectionEntered(place[-1], [*place[:-1]], phase)


def known(*place, entered=1, **rest):
    return Section(name=place[-1], path=[*place[:-1]], phase="call", entered=entered, readings=READINGS, **rest)


def seen(*said):
    found = SectionsSeen()
    for one in said:
        found.entered(one) if isinstance(one, SectionEntered) else found.left(one)
    return found


def test_of_the_dead_what_was_left_is_kept_and_what_was_open_has_no_figure():
    found = seen(entry("a"), entry("a", "b"), SectionLeft(entry("a", "b"), known("a", "b")), entry("a", "b"))
    assert found.recorded_of_the_dead() == [
        known("a", "b", open_at_death=True),
        Section(name="a", path=[], phase="call", entered=0, open_at_death=True),
    ]


def test_after_a_phase_what_is_open_has_what_it_held_so_far_until_the_process_dies():
    found = seen(entry("a", phase="setup"))
    found.phase_over([known("a")])
    assert found.recorded() == [known("a")]
    assert found.recorded_of_the_dead() == [
        Section(name="a", path=[], phase="setup", entered=0, open_at_death=True),
    ]
    found.left(SectionLeft(entry("a", phase="setup"), known("a", entered=2)))
    found.phase_over([])
    assert found.recorded() == found.recorded_of_the_dead() == [known("a", entered=2)]


def test_one_that_is_not_to_be_recorded_is_open_no_more_when_it_is_left():
    found = seen(entry("a"), SectionLeft(entry("a"), None), SectionLeft(entry("a"), None))
    assert found.recorded_of_the_dead() == []
    assert found.where() == ""


def test_of_the_open_ones_the_innermost_are_named_fit_for_a_line():
    assert seen(entry("a"), entry("a", "b\n")).where() == r", in its section a > b\n"
    assert seen(entry("a"), entry("a", "b"), entry("c"), entry("c")).where() == ", in its sections a > b and c"
    assert seen(*(entry(name) for name in "abcd")).where() == ", in its sections b and c and d"
