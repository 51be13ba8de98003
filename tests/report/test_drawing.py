"""The picture of a test's timeline: what is in it, in words too, and nothing that it was not asked for."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.figures import Checkpoint, GpuTimeline, Timeline
from pytest_tfmem.report.drawing import drawn
from tests.report.conftest import CARDS

MIB = 1 << 20
_SVG = "{http://www.w3.org/2000/svg}"
_HARMLESS = {"svg", "title", "desc", "path", "text"}


def timeline(*sizes, gpus=(), checkpoints=()):
    return Timeline(
        seconds=[at / 10 for at in range(len(sizes))],
        rss_tree_bytes=list(sizes),
        gpus=[GpuTimeline(device=device, source="driver", bytes=ones) for device, ones in gpus],
        checkpoints=[Checkpoint(name=name, seconds=seconds) for name, seconds in checkpoints],
    )


def texts(picture, tag="text"):
    return [element.text for element in ET.fromstring(picture).iter(_SVG + tag)]


def lines(picture):
    """The lines of memory over time, which are thicker than all the others, as a title and points."""
    found = [one for one in ET.fromstring(picture).iter(_SVG + "path") if one.get("stroke-width") == "1.8"]
    return {one.findtext(_SVG + "title").partition(",")[0]: one.get("d") for one in found}


def test_without_a_timeline_there_is_no_picture(measured):
    assert drawn(measured()) == ""
    assert drawn(measured(timeline=timeline())) == ""
    assert drawn(measured(timeline=timeline(0, 0))) == ""


def test_the_line_goes_from_the_ground_to_the_peak_on_a_scale_of_round_sizes(measured):
    picture = drawn(measured(timeline=timeline(0, 75 * MIB, 150 * MIB)))
    assert texts(picture)[:5] == [
        "host memory of the test's processes: up to 150.0 MiB, as sampled",
        "0",
        "50 MiB",
        "100 MiB",
        "150 MiB",
    ]
    assert texts(picture)[-3:] == ["0.00 s", "0.10 s", "0.20 s"]
    assert lines(picture) == {"host": "M80 132h1L440 77L800 22"}


def test_a_limit_of_the_host_is_drawn_where_it_does_not_press_the_line_to_the_ground(measured):
    over_time = timeline(100 * MIB, 200 * MIB)
    near = drawn(measured(judged={"rss": (200 * MIB, 256 * MIB, "ok")}, timeline=over_time))
    far = drawn(measured(judged={"rss": (200 * MIB, 2048 * MIB, "ok")}, timeline=over_time))
    of_another_kind = drawn(measured(judged={"rss_anon": (200 * MIB, 256 * MIB, "ok")}, timeline=over_time))
    assert "limit of rss: 256.0 MiB" in texts(near, "title")
    assert texts(near)[0].endswith("; limit of rss 256.0 MiB")
    assert texts(far)[0].endswith("; limit of rss 2.00 GiB, far above")
    assert [title for title in texts(far, "title") if "limit" in title] == []
    assert "limit" not in of_another_kind


def test_gpus_have_a_scale_of_their_own_and_a_line_each_with_its_name(measured):
    gpus = [(CARDS[0], [None, 1024 * MIB, 2048 * MIB]), (CARDS[1], [512 * MIB, None, 512 * MIB])]
    limited = {"gpu_footprint": ([2048 * MIB, 512 * MIB], 3072 * MIB, "ok")}
    picture = drawn(measured(judged=limited, timeline=timeline(MIB, MIB, MIB, gpus=gpus)))
    assert list(lines(picture)) == ["host", "GPU:0", "GPU:1"]
    assert lines(picture)["GPU:1"].count("M") == 2, "it is not drawn where it was not read"
    assert (
        "GPU memory that the driver charges to them: up to 2.00 GiB, as sampled; limit of gpu_footprint 3.00 GiB"
        in (texts(picture))
    )


def test_a_gpu_that_was_never_read_or_held_nothing_has_no_panel(measured):
    picture = drawn(measured(timeline=timeline(MIB, MIB, gpus=[(CARDS[0], [None, None]), (CARDS[1], [0, None])])))
    assert list(lines(picture)) == ["host"]
    assert "GPU" not in picture


def test_checkpoints_have_their_names_and_none_lies_on_another(measured):
    moments = [("setup", 0.0), ("call", 0.01), ("loaded", 0.02), ("teardown", 0.9), ("end", 0.9)]
    picture = drawn(measured(timeline=timeline(*[MIB] * 10, checkpoints=moments)))
    boxes = {}
    for one in ET.fromstring(picture).iter(_SVG + "text"):
        if one.text in dict(moments):
            x, room = float(one.get("x")), 6.4 * len(one.text)
            boxes[one.text] = one.get("y"), (x - room if one.get("text-anchor") == "end" else x), room
    assert list(boxes) == ["setup", "call", "loaded", "teardown", "end"]
    assert all(x >= 0 and x + room <= 820 for _, x, room in boxes.values())
    rows = [sorted((x, x + room) for row, x, room in boxes.values() if row == y) for y, _, _ in boxes.values()]
    assert all(before[1] <= after[0] for row in rows for before, after in pairwise(row))


def test_who_cannot_see_it_is_told_what_there_is_to_see(measured):
    gpus = [(CARDS[0], [MIB, 64 * MIB])]
    picture = drawn(measured(timeline=timeline(MIB, 150 * MIB, gpus=gpus, checkpoints=[("call", 0.05)])))
    root = ET.fromstring(picture)
    assert root.get("role") == "img"
    assert root.findtext(_SVG + "title") == "Memory over time"
    assert root.findtext(_SVG + "desc") == (
        "0.1 seconds. host memory of the test's processes: host up to 150.0 MiB."
        " GPU memory that the driver charges to them: GPU-6f2c41ab up to 64.0 MiB. moments: call at 0.05 s."
    )


def test_a_picture_of_two_hundred_points_is_small(measured):
    sizes = [MIB * (100 + at % 7) for at in range(200)]
    assert len(drawn(measured(timeline=timeline(*sizes)))) < 6_000


@given(st.data())
def test_whatever_the_test_calls_its_moments_and_cards_the_picture_is_only_a_picture(measurements, data):
    picture = drawn(data.draw(measurements))
    if picture:
        elements = list(ET.fromstring(picture).iter())
        assert {one.tag.removeprefix(_SVG) for one in elements} <= _HARMLESS
        assert not [name for one in elements for name in one.attrib if name.startswith("on") or "href" in name]
