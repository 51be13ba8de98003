from __future__ import annotations

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.report.properties import junit_properties


def test_properties_are_readings_reasons_and_the_verdict(measured):
    test = measured(
        judged={"rss": (900, 1000, "ok"), "rss_anon": (500, None, None), "gpu": ("no GPU", 7, "not-measured")}
    )
    assert junit_properties(test) == [
        ("tfmem.rss_bytes", 900),
        ("tfmem.rss_anon_bytes", 500),
        ("tfmem.gpu_not_measured", "no GPU"),
        ("tfmem.verdict", "ok"),
    ]


def test_one_gpu_is_a_figure_like_any_other(measured):
    test = measured(judged={"gpu": ([900], 1000, "ok")})
    assert junit_properties(test)[:-1] == [("tfmem.gpu_bytes", 900)]


def test_several_gpus_have_the_greatest_and_each_by_its_place(measured):
    test = measured(judged={"gpu": ([900, 950], 1000, "near"), "gpu_footprint": (["lost", 100], 1000, "not-measured")})
    assert junit_properties(test)[:-1] == [
        ("tfmem.gpu_bytes", 950),
        ("tfmem.gpu_bytes.0", 900),
        ("tfmem.gpu_bytes.1", 950),
        ("tfmem.gpu_footprint_bytes", 100),
        ("tfmem.gpu_footprint_bytes.1", 100),
        ("tfmem.gpu_footprint_not_measured", "lost"),
    ]


def test_what_has_no_limit_and_was_not_measured_is_not_mentioned(measured):
    assert junit_properties(measured(judged={"gpu": ("no GPU", None, None)})) == [("tfmem.verdict", "unlimited")]


def test_a_limit_of_a_test_that_ran_unmeasured_has_that_reason(measured):
    test = measured(judged={"rss": (0, 5, "not-measured")}, readings={}, unmeasured="--no-tfmem")
    assert ("tfmem.rss_not_measured", "--no-tfmem") in junit_properties(test)


@given(data=st.data())
def test_xml_can_hold_every_property(measurements, data):
    for name, value in junit_properties(data.draw(measurements)):
        assert type(value) in {int, str}
        element = ET.Element("property", name=name, value=str(value))
        assert ET.fromstring(ET.tostring(element)).get("value") == str(value)
