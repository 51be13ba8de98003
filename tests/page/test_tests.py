"""What a page says of one test."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from pytest_tfmem.digest.build import digest_of
from pytest_tfmem.explanations import Explanation, Holder
from pytest_tfmem.figures import Checkpoint, NotMeasured, Reading, Section, Timeline
from pytest_tfmem.history.baseline import Earlier
from pytest_tfmem.history.flames import flame_name
from pytest_tfmem.leaks import Kept, Leak
from pytest_tfmem.page import tests as page  # its function would be taken for a test
from pytest_tfmem.page.island import CheckpointData, HeldData, HolderData, SectionData
from tests.made import START, made_run, made_test

MIB = 1 << 20


def test_sections_stand_below_those_around_them_with_their_peaks():
    gpus = [
        Reading(bytes=size * MIB, exactness="exact", source="", device=f"GPU:{at}") for at, size in enumerate((3, 7))
    ]
    inner = Section(name="de\x1bcode", path=["load"], phase="call", entered=2, seconds=0.12345, readings={"gpu": gpus})
    outer = Section(name="load", path=[], phase="setup", readings={"gpu": NotMeasured("no GPU")})
    test = replace(made_test("a", rss=1), sections=[inner, outer])
    (shown,) = page.tests_of(digest_of(made_run(1, test), Earlier(), directory=Path("/")), None)
    assert shown.sections == [
        SectionData(name="load", phase="setup", entered=1, seconds=0.0, bytes={}),
        SectionData(name="de\\x1bcode", depth=1, phase="call", entered=2, seconds=0.123, bytes={"gpu": 7 * MIB}),
    ]


def test_checkpoints_of_the_test_have_what_was_held_and_those_of_phases_do_not():
    gpus = [Reading(bytes=size, exactness="exact", source="", device=f"GPU:{at}") for at, size in enumerate((3, 7))]
    rss = Reading(bytes=MIB, exactness="exact", source="VmRSS")
    marks = [
        Checkpoint(name="call", seconds=0.1),
        Checkpoint(name="bu\x1bilt", seconds=0.25, readings={"rss": rss, "gpu": gpus, "cpu_tensors": NotMeasured("")}),
    ]
    timeline = Timeline(seconds=[0.0], rss_tree_bytes=[MIB], checkpoints=marks)
    test = replace(made_test("a", rss=1), timeline=timeline)
    (shown,) = page.tests_of(digest_of(made_run(1, test), Earlier(), directory=Path("/")), None)
    assert shown.checkpoints == [CheckpointData(name="bu\\x1bilt", seconds=0.25, bytes={"rss": MIB, "gpu": 7})]


def test_of_a_section_that_was_open_when_the_process_died_there_is_no_figure_not_even_a_time():
    known = Section(name="load", path=[], phase="call", entered=0, open_at_death=True)
    test = replace(made_test("a", rss=1), sections=[known])
    (shown,) = page.tests_of(digest_of(made_run(1, test), Earlier(), directory=Path("/")), None)
    assert shown.sections == [SectionData(name="load", phase="call", entered=0, bytes={}, open_at_death=True)]


def test_what_calls_kept_is_among_the_notes():
    part = Kept(part="heap", bytes=4096, least_bytes=4000, most_bytes=4100)
    test = replace(made_test("a", leak=4096), leak=Leak(calls=50, warm_up=5, parts=[part]))
    (shown,) = page.tests_of(digest_of(made_run(1, test), Earlier(), directory=Path("/")), None)
    assert shown.notes == ["kept per call, in 50 calls after 5: heap 4,096 B (4,000 B to 4,100 B)"]


def test_a_flame_graph_is_in_the_page_where_its_file_is_found(tmp_path):
    name = flame_name(START, "0123abcd")
    tmp_path.joinpath(name).write_text("<svg/>")
    there, gone = (Explanation(figure="rss", flame_graph=one) for one in (name, flame_name(START, "0123abce")))
    test = replace(made_test("a", rss=1), explanations=[there, gone])
    (shown,) = page.tests_of(digest_of(made_run(1, test), Earlier(), directory=Path("/")), tmp_path)
    assert [one.picture for one in shown.held] == ["data:image/svg+xml;base64,PHN2Zy8+", ""]


def test_what_held_the_memory_is_told_in_plain_text_by_its_share():
    holder = Holder(
        bytes=3 * MIB, what="lo\x1bad", where="a.py:4", detail="<b>", kind="python", new=True, before_bytes=MIB
    )
    found = Explanation(
        figure="rss",
        peak_bytes=4 * MIB,
        holders=[holder],
        source="memray",
        seconds=2,
        notes=["a\x07"],
        flame_graph="f.svg",
    )
    failed = Explanation(figure="rss", failed="memray is not installed")
    test = replace(made_test("a", rss=1), explanations=[found, failed])
    (shown,) = page.tests_of(digest_of(made_run(1, test), Earlier(), directory=Path("/")), None)
    assert shown.held == [
        HeldData(
            said="alive at the peak of rss: 4.0 MiB by memray's count, explained by a second run of 2.0 s",
            holders=[HolderData(size="3.0 MiB", share=750, new="grown", place="a.py:4 lo\\x1bad", detail="<b>")],
            notes=["a\\x07"],
            flame="f.svg",
        ),
        HeldData(said="alive at the peak of rss: not explained: memray is not installed"),
    ]
