"""What gpu_footprint is made of: drivers and containers, rungs, company and points. On cards: tests/gpu."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tfmem.figures import NotMeasured, Reading
from pytest_tfmem.measure.company import Company
from pytest_tfmem.measure.footprint import Footprint, has_cuda
from pytest_tfmem.measure.joining import Surroundings, look_around, why_ids_differ, why_no_size, why_no_sizes
from pytest_tfmem.measure.nvml_library import DriverError
from pytest_tfmem.measure.points import MOST_POINTS, Point, Points
from pytest_tfmem.measure.rungs import Seen, footprint_reading

MIB = 1 << 20
CONTAINER = Surroundings(own_pids=True, wsl=False)
MACHINE = Surroundings(own_pids=False, wsl=False)
UNKNOWN = Surroundings(own_pids=None, wsl=False)
SIZES = st.none() | st.integers(min_value=1, max_value=1 << 40)


class NoDriver:
    """A driver that is not there."""

    list_calls = 0

    def _refuse(self, *_, **__):
        raise DriverError("there is none", "library")

    version = cards = locate = used_bytes = processes = accounted_bytes = process_name = _refuse


def seen(**changes):
    return Seen("GPU-1", **({"exclusive": False, "interval_seconds": 0.2} | changes))


# Drivers and containers


@pytest.mark.parametrize(
    ("driver", "around", "told"),
    [
        ("470.57.02", CONTAINER, "the host's ids"),
        ("535.112.99", CONTAINER, "the host's ids"),
        ("535.113.01", CONTAINER, "0 bytes"),
        ("560.35.03", CONTAINER, "0 bytes"),
        ("565.57.00", CONTAINER, "0 bytes"),
        ("565.57.01", CONTAINER, ""),
        ("610.43.02", CONTAINER, ""),
        ("470.57.02", MACHINE, ""),
        ("550.54.14", MACHINE, ""),
        ("550.54.14", UNKNOWN, ""),
        ("of an unknown version", CONTAINER, ""),
        ("581.29", Surroundings(own_pids=False, wsl=True), "WSL2"),
    ],
)
def test_what_a_driver_tells_of_processes_depends_on_its_version_and_on_where_pytest_runs(driver, around, told):
    reason = why_no_sizes(driver, around)
    assert (told in reason) if told else (reason == "")


def test_a_size_is_a_size_wherever_pytest_runs():
    assert why_no_size("550.54.14", CONTAINER, 5) == ""


def test_zero_bytes_are_never_a_reading():
    assert (
        why_no_size("580.65.06", MACHINE, 0) == "driver 580.65.06 lists the process with 0 bytes, which it cannot hold"
    )
    assert (
        why_no_size("580.65.06", MACHINE, None) == "driver 580.65.06 lists the process, but does not say what it holds"
    )


def test_ids_are_compared_where_the_container_sees_the_hosts():
    assert why_ids_differ("525.60.13", MACHINE) == ""


@pytest.mark.skipif(not os.path.exists("/proc/self/ns/pid"), reason="what is read is Linux's")
def test_a_namespace_of_process_ids_is_told_from_the_machines_own():
    assert look_around().own_pids is (os.readlink("/proc/self/ns/pid") != "pid:[4026531836]")


# Rungs


@given(st.fixed_dictionaries(dict.fromkeys(("sampled", "at_end", "accounted", "before", "used"), SIZES)), st.booleans())
def test_a_reading_is_never_zero_and_never_less_than_was_listed(sizes, exclusive):
    one = seen(**sizes, exclusive=exclusive, problem="no permission")
    reading = footprint_reading(one, "growth")
    if isinstance(reading, Reading):
        assert reading.bytes >= max(1, one.listed)
    else:
        assert one.listed == 0
        assert reading.not_measured


def test_accounting_that_is_below_the_list_is_not_believed():
    reading = footprint_reading(seen(accounted=5, at_end=6), "growth")
    assert (reading.bytes, reading.exactness) == (6, "lower-bound")


def test_a_difference_is_only_taken_of_a_card_that_is_held():
    told = {"before": 100, "used": 300, "problem": "no permission"}
    assert footprint_reading(seen(**told), "growth") == NotMeasured("no permission", "GPU-1")
    assert footprint_reading(seen(**told, exclusive=True), "growth").bytes == 200


def test_a_card_whose_use_did_not_grow_is_not_measured():
    reading = footprint_reading(seen(before=300, used=300, exclusive=True, problem="no permission"), "growth")
    assert reading == NotMeasured("no permission, and the card's memory in use did not grow", "GPU-1")


# Company


def test_where_ids_differ_one_that_has_come_is_taken_for_the_test_and_two_are_not():
    company = Company(NoDriver(), 7, ids_differ=True)
    company.was_there("GPU-1", {})
    company.is_there("GPU-1", {100_007: 5 * MIB})
    assert company.crowd("GPU-1") == ""
    company.is_there("GPU-1", {100_007: 5 * MIB, 100_008: 6 * MIB})
    assert company.crowd("GPU-1") == (
        "a process of the host's (pid 100007): 5.0 MiB, a process of the host's (pid 100008): 6.0 MiB"
    )


def test_who_was_there_before_is_company_even_if_gone():
    company = Company(NoDriver(), 7, ids_differ=False)
    company.was_there("GPU-1", {3_999_999: 5 * MIB})
    company.is_there("GPU-1", {7: 9})
    assert company.notes() == ["on GPU-1 beside the test: a process (pid 3999999): 5.0 MiB"]


@pytest.mark.skipif(not os.path.exists("/proc/self/comm"), reason="what is read is Linux's")
def test_a_process_cannot_act_on_the_terminal_by_its_name(child):
    named = child("open('/proc/self/comm', 'w').write('\\x1b[2Jx'); tell('named'); sys.stdin.read()")
    named.told()
    company = Company(NoDriver(), 7, ids_differ=False)
    assert company.named({named.pid: None}) == [f"\\x1b[2Jx (pid {named.pid})"]


# Watching without a driver


def test_without_a_driver_a_test_is_watched_all_the_same():
    footprint = Footprint(NoDriver(), os.getpid())
    footprint.sample_if_due()
    footprint.call_ended([])
    footprint.ended([])
    assert footprint.reading([], "") == NotMeasured("the test used no GPU")
    assert (footprint.notes(), footprint.timeline([0.0])) == ([], [])


def test_where_a_card_was_held_that_the_driver_does_not_tell_of_its_reason_is_given():
    footprint = Footprint(NoDriver(), os.getpid(), exclusive=["GPU-1"])
    assert footprint.reading([], "") == NotMeasured("there is none")


def test_lists_are_never_read_faster_than_ten_times_a_second():
    assert Footprint(NoDriver(), os.getpid(), interval_seconds=0.001).wait_seconds() > 0.09


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="what is read is Linux's")
def test_a_process_without_cuda_and_one_that_has_ended_have_none():
    assert [has_cuda(os.getpid()), has_cuda(3_999_999)] == [False, False]


# Points


def test_points_are_the_most_of_each_stretch_and_none_where_none_was_read():
    points = Points()
    for seconds, size in ((0.5, 3), (1.5, 9), (1.9, 5), (4.0, 7)):
        points.add(Point(seconds, "GPU-1", size))
    assert points.at([1.0, 2.0, 3.0], "GPU-1") == [9, None, 7]
    assert points.at([1.0], "GPU-2") == [None]


@settings(max_examples=10)
@given(st.integers(0, 3 * MOST_POINTS), st.integers(0, 5))
def test_long_watching_keeps_the_greatest_point(place, more):
    points = Points()
    for second in range(3 * MOST_POINTS + more):
        points.add(Point(float(second), "GPU-1", 9 if second == place else second % 7))
    kept = list(points)
    assert len(kept) <= MOST_POINTS
    assert max(point.bytes for point in kept) == (9 if place < 3 * MOST_POINTS + more else 6)
    assert [point.seconds for point in kept] == sorted(point.seconds for point in kept)
