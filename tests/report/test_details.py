"""What a page shows of one test: its figures, each with its limit and how good it is, and what is not fine."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_tfmem.explanations import Explanation, Holder
from pytest_tfmem.figures import Regression
from pytest_tfmem.report.details import details, worst_limit
from tests.made import START

MIB = 1 << 20


def rows(block):
    table = ET.fromstring(block).find("table")
    return [] if table is None else [[cell.text or "" for cell in row] for row in table.iter("tr")]


def said(block):
    return [one.text for one in ET.fromstring(block).findall("p")]


def test_every_figure_that_was_read_or_limited_has_a_row_in_the_order_of_the_vocabulary(measured):
    judged = {"gpu": ("no GPU", 1024 * MIB, "not-measured"), "rss": (90 * MIB, 100 * MIB, "ok")}
    unlimited = {"rss_anon": (40 * MIB, None, None), "cpu_tensors": ("nobody asked", None, None)}
    assert rows(details(measured(judged=judged | unlimited))) == [
        ["figure", "reading, MiB", "limit, MiB", "of limit", "verdict", "how good, and by what counter"],
        ["rss", "90.0", "100.0", "90.0 %", "ok", "lower-bound, too low by at most 256 KiB; VmHWM"],
        ["rss_anon", "40.0", "", "", "", "lower-bound, too low by at most 256 KiB; VmHWM"],
        ["gpu", "-", "1024.0", "", "not measured", "no GPU"],
    ]


def test_each_gpu_has_a_row_with_its_own_verdict(measured):
    judged = {"gpu": ([900 * MIB, 300 * MIB], 500 * MIB, "over")}
    head, *cards = rows(details(measured(judged=judged)))
    assert head[1] == "on"
    assert [(row[1], row[2], row[4], row[5]) for row in cards] == [
        ("GPU:0", "900.0", "180.0 %", "over"),
        ("GPU:1", "300.0", "60.0 %", "ok"),
    ]


def test_what_is_not_fine_stands_first_and_where_limits_come_from_last(measured, waiver):
    regression = Regression(
        figure="rss", gpu=0, before_bytes=50 * MIB, now_bytes=90 * MIB, again_bytes=90 * MIB, runs=6, since=START
    )
    test = measured(
        judged={"rss": (90 * MIB, 80 * MIB, "waived")},
        waiver=waiver,
        died="killed",
        out_of_memory="out of memory on GPU:0",
        regressions=[regression],
        allocator="growth",
        notes=["a note"],
    )
    assert said(details(test)) == [
        "died: killed",
        "out of memory on GPU:0",
        "memory regression: rss 50.0 MiB -> 90.0 MiB, steady in 6 runs before",
        "rss: limit set in budgets.yaml:12",
        (
            "rss: waived to 1.90 GiB until 2027-01-31, 167 days left: #123, float32 fallback until the kernel lands"
            " (budgets.yaml:30)"
        ),
        "TensorFlow's GPU allocator: growth",
        "a note",
    ]


def test_a_test_that_ran_unmeasured_says_why_and_has_no_sizes(measured):
    judged = {"rss": ("--no-tfmem runs tests in pytest's own process", 80 * MIB, "not-measured")}
    block = details(measured(judged=judged, unmeasured="--no-tfmem runs tests in pytest's own process"))
    assert said(block)[0] == "not measured: --no-tfmem runs tests in pytest's own process"
    assert rows(block)[1][:5] == ["rss", "-", "80.0", "", "not measured"]


def test_of_a_later_attempt_it_says_which_one_it_is(measured):
    assert said(details(measured(), attempt=3)) == ["the figures of attempt 3:"]
    assert said(details(measured())) == []


@pytest.mark.parametrize(
    ("judged", "worst"),
    [
        ({"rss": (90, 100, "near"), "gpu": (50, 100, "ok")}, "rss"),
        ({"rss": (90, 100, "near"), "gpu": (120, 100, "over")}, "gpu"),
        ({"rss": (90, 100, "near"), "gpu": ("no GPU", 100, "not-measured")}, "gpu"),
        ({"rss": (50, 100, "ok"), "gpu": (60, 100, "ok")}, "gpu"),
        ({}, None),
    ],
)
def test_the_worst_limit_is_the_one_over_or_unknown_or_the_fullest(measured, judged, worst):
    found = worst_limit(measured(judged=judged))
    assert (found.figure if found else None) == worst


@given(st.data())
def test_whatever_stands_in_a_measurement_the_block_is_well_formed_and_harmless(measurements, data):
    elements = list(ET.fromstring(details(data.draw(measurements))).iter())
    tags = {one.tag.rpartition("}")[2] for one in elements}
    of_table, of_picture = {"table", "thead", "tbody", "tr", "th", "td"}, {"svg", "title", "desc", "path", "text"}
    assert tags <= {"div", "p", *of_table, *of_picture}
    assert not [name for one in elements for name in one.attrib if name.startswith("on") or "href" in name]


def test_what_held_the_memory_stands_below_the_table_and_is_never_markup(measured):
    holder = Holder(bytes=MIB, what="<script>", where="a&b.py:4", kind="python")
    found = Explanation(figure="rss", peak_bytes=MIB, holders=[holder], source="memray", seconds=1)
    block = ET.fromstring(details(replace(measured(), explanations=[found])))
    assert block.find("pre").text.splitlines()[1] == "  1.0 MiB  a&b.py:4 <script>"
