"""The sections of a process, as they are added up."""

from __future__ import annotations

from pytest_tfmem.figures import Reading, Section
from pytest_tfmem.measure.sections import MOST_SECTIONS, Sections


def entry(name, size):
    return Section(
        name=name, path=[], phase="call", readings={"rss": Reading(bytes=size, exactness="exact", source="")}
    )


def told(section):
    return section.entered, section.readings["rss"].bytes


def test_a_section_has_the_most_of_all_its_entries():
    sections = Sections()
    assert [told(sections.add(entry("load", size))) for size in (5, 7, 6)] == [(1, 5), (2, 7), (3, 7)]


def test_what_was_known_of_a_section_before_it_was_forgotten_is_no_part_of_it():
    assert told(Sections().add(entry("load", 1), entry("load", 32))) == (1, 1)


def test_one_too_many_to_be_recorded_is_told_all_its_entries_all_the_same():
    sections = Sections()
    for number in range(MOST_SECTIONS):
        sections.add(entry(f"of-{number}", 1))
    first = sections.add(entry("late", 32))
    assert told(sections.add(entry("late", 1), first)) == (2, 32)
    assert told(sections.add(entry("renamed", 1), first)) == (1, 1)
    assert told(sections.add(entry("of-3", 2), first)) == (2, 2)
