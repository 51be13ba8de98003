"""Which number that a process says of its devices is which figure, and how good it is."""

from __future__ import annotations

import msgspec
import pytest

from pytest_tfmem.figures import DEVICE_FIGURES, NotMeasured, Reading
from pytest_tfmem.measure.device_readings import (
    ENDED,
    NO_DEVICE,
    NO_FRAMEWORK,
    allocator_in_force,
    cards_used,
    device_readings,
    incomplete,
    warmed_up,
)
from pytest_tfmem.measure.devices import AllocatorMarks, Card, DeviceMarks, PoolMarks, TensorPeak

UNREAD = NotMeasured("not asked")


def gpu(peak=0, *, allocator="cuda_malloc_async", device="GPU:0", card="GPU-a", framework="tensorflow", **more):
    return AllocatorMarks(framework=framework, device=device, card=card, allocator=allocator, peak=peak, **more)


def said(*allocators, pools=()):
    return DeviceMarks(allocators=list(allocators), pools=list(pools))


def read(phases, *, footprint=UNREAD, tensors="", no_gpu=""):
    return device_readings(phases, footprint=footprint, tensors=tensors, no_gpu=no_gpu)


def test_a_figure_per_gpu_is_a_list_in_the_order_of_the_devices():
    readings = read({"call": said(gpu(7), gpu(9, device="GPU:1", card="GPU-b"))})["gpu"]
    assert readings == [
        Reading(bytes=7, exactness="exact", source="cuda_malloc_async (tensorflow)", device="GPU-a (GPU:0)"),
        Reading(bytes=9, exactness="exact", source="cuda_malloc_async (tensorflow)", device="GPU-b (GPU:1)"),
    ]


def test_the_peak_is_that_of_the_highest_phase():
    phases = {"setup": said(gpu(5)), "call": said(gpu(8)), "teardown": said(gpu(6))}
    assert [reading.bytes for reading in read(phases)["gpu"]] == [8]


@pytest.mark.parametrize(
    ("marks", "exactness"),
    [
        (gpu(1), "exact"),
        (gpu(1, allocator="growth"), "upper-bound"),
        (gpu(1, allocator="bfc"), "upper-bound"),
        (gpu(1, allocator="memory_guard"), "upper-bound"),
        (gpu(1, allocator="torch", framework="torch"), "exact"),
        (gpu(1, allocator="torch", framework="torch", since_reset=False), "upper-bound"),
    ],
)
def test_what_an_allocator_rounds_up_or_cannot_reset_is_an_upper_bound(marks, exactness):
    (reading,) = read({"call": said(marks)})["gpu"]
    assert reading.exactness == exactness


def test_an_allocator_without_statistics_says_so_of_its_gpu():
    marks = gpu(allocator="cuda_malloc", why_not="cuda_malloc keeps no statistics")
    assert read({"call": said(marks)})["gpu"] == [NotMeasured("cuda_malloc keeps no statistics", "GPU-a (GPU:0)")]


@pytest.mark.parametrize(
    ("phases", "reason"), [({"call": None}, NO_FRAMEWORK), ({}, NO_FRAMEWORK), ({"call": said()}, NO_DEVICE)]
)
def test_a_test_that_used_no_gpu_is_not_a_reading_of_zero(phases, reason):
    readings = read(phases)
    assert readings.keys() == DEVICE_FIGURES.keys()
    assert [readings[figure] for figure in DEVICE_FIGURES if figure != "cpu_tensors"] == [NotMeasured(reason)] * 4


def test_what_could_not_be_read_is_not_a_gpu_that_was_not_used():
    assert read({"call": DeviceMarks(unread="cuInit failed")})["gpu"] == NotMeasured("cuInit failed")


def test_a_gpu_that_was_used_for_nothing_is_a_reading_of_zero():
    (reading,) = read({"call": said(gpu(0))})["gpu"]
    assert reading.bytes == 0


def test_why_there_is_no_gpu_comes_before_all_else():
    assert read({"call": said(gpu(3))}, no_gpu="switched off")["gpu"] == NotMeasured("switched off")


def test_under_async_the_tensors_are_what_the_allocator_counts():
    readings = read({"call": said(gpu(8, requested_peak=8))})
    assert readings["gpu_tensors"] == readings["gpu"]


def test_an_allocator_that_counts_requests_apart_is_believed():
    marks = gpu(8, allocator="torch", framework="torch", requested_peak=5)
    (reading,) = read({"call": said(marks)})["gpu_tensors"]
    assert (reading.bytes, reading.exactness) == (5, "exact")


def test_under_bfc_the_tensors_come_of_a_profiled_run():
    peaks = [TensorPeak(device="GPU:0", card="GPU-a", requested=6, charged=8)]
    (reading,) = read({"call": said(gpu(8, allocator="growth"))}, tensors=peaks)["gpu_tensors"]
    assert (reading.bytes, reading.exactness) == (6, "exact")
    assert reading.source == "events of a second, profiled run"


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ("", "growth rounds up: gpu_tensors=True on memory_budget, or --tfmem-explain, has them counted"),
        ("the profiled run failed", "the profiled run failed"),
        ([], "the profiled run allocated nothing on it"),
    ],
)
def test_without_a_profiled_run_they_are_not_measured(tensors, reason):
    readings = read({"call": said(gpu(8, allocator="growth"))}, tensors=tensors)
    assert readings["gpu_tensors"] == [NotMeasured(reason, "GPU-a (GPU:0)")]


def test_an_allocator_that_counts_no_requests_and_has_no_events_has_no_tensors():
    readings = read({"call": said(gpu(8, allocator="torch", framework="torch"))})
    assert readings["gpu_tensors"] == [NotMeasured("torch does not count them", "GPU-a (GPU:0)")]


def test_an_allocator_without_a_pool_reserves_nothing_that_could_be_measured():
    marks = gpu(allocator="cuda_malloc", why_not="cuda_malloc keeps no statistics")
    assert read({"call": said(marks)})["gpu_reserved"] == [NotMeasured("cuda_malloc has no pool", "GPU-a (GPU:0)")]


def test_what_async_reserves_is_the_high_mark_of_its_pool():
    pools = [
        PoolMarks(card="GPU-a", reserved_peak=64, used_peak=9),
        PoolMarks(card="GPU-b", reserved_peak=1, used_peak=1),
    ]
    phases = {"setup": said(gpu(1), pools=pools[1:]), "call": said(gpu(8), pools=pools)}
    (reading,) = read(phases)["gpu_reserved"]
    assert (reading.bytes, reading.exactness, reading.source) == (64, "exact", "high mark of the driver's pool")


def test_what_a_framework_says_that_it_reserves_is_believed():
    marks = gpu(8, allocator="torch", framework="torch", reserved_peak=20)
    (reading,) = read({"call": said(marks)})["gpu_reserved"]
    assert (reading.bytes, reading.source) == (20, "torch's own count")


def test_what_bfc_took_at_once_is_told_by_its_region():
    (reading,) = read({"call": said(gpu(8, allocator="bfc", reserved_peak=500))})["gpu_reserved"]
    assert (reading.bytes, reading.exactness) == (500, "lower-bound")
    assert reading.source == "the region that bfc took at once, by the driver"


def test_what_bfc_reserves_is_at_most_what_the_driver_charges():
    footprint = [
        Reading(bytes=1, exactness="lower-bound", source="list", device="GPU-b"),
        Reading(bytes=300, exactness="lower-bound", source="list", device="GPU-a"),
    ]
    (reading,) = read({"call": said(gpu(8, allocator="growth"))}, footprint=footprint)["gpu_reserved"]
    assert (reading.bytes, reading.exactness) == (300, "upper-bound")
    assert reading.source == "list: the CUDA context is in it too"


def test_what_bfc_reserves_is_not_measured_without_the_driver():
    (reading,) = read({"call": said(gpu(8, allocator="growth"))})["gpu_reserved"]
    assert reading.not_measured == "growth does not say what it reserves, and gpu_footprint was not measured"


def test_tensors_of_the_cpu_are_counted_by_its_own_allocator():
    marks = gpu(12, device="CPU:0", card="", allocator="cpu_bfc")
    assert read({"call": said(marks)}, no_gpu="no GPU")["cpu_tensors"] == Reading(
        bytes=12, exactness="upper-bound", source="TensorFlow's CPU allocator (bfc)"
    )


def test_why_tensors_of_the_cpu_are_not_counted_is_said():
    marks = gpu(device="CPU:0", card="", allocator="cpu", why_not="only large ones are counted")
    assert read({"call": said(marks)})["cpu_tensors"] == NotMeasured("only large ones are counted")


def test_the_allocator_in_force_is_that_of_tensorflows_gpu():
    marks = [
        gpu(allocator="torch", framework="torch"),
        gpu(device="CPU:0", allocator="cpu_bfc"),
        gpu(allocator="growth"),
    ]
    assert allocator_in_force({"setup": None, "call": said(*marks)}) == "growth"
    assert allocator_in_force({"call": said(*marks[:2])}) == ""


def test_the_readings_of_a_process_that_died_are_the_last_known():
    readings = incomplete({"gpu": [Reading(bytes=3, exactness="exact", source="x", device="d")], "rss": UNREAD})
    assert readings == {
        "gpu": [Reading(bytes=3, exactness="sampled", source="x, before its process ended", device="d")],
        "rss": UNREAD,
    }


@pytest.mark.parametrize("phases", [{}, {"setup": said()}])
def test_of_a_process_that_died_nobody_knows_that_it_used_no_gpu(phases):
    assert incomplete(read(phases))["gpu"] == NotMeasured(ENDED)


def test_what_was_seen_from_outside_counts_though_the_process_said_nothing():
    footprint = [Reading(bytes=300, exactness="sampled", source="list", device="GPU-a")]
    assert read({}, footprint=footprint)["gpu_footprint"] == footprint
    assert read({}, footprint=footprint, no_gpu="off")["gpu_footprint"] == NotMeasured("off")


def test_a_reading_after_warm_up_calls_says_so():
    counted = Reading(bytes=3, exactness="exact", source="x")
    figures = {"gpu": [counted, UNREAD], "gpu_footprint": [counted], "rss": counted}
    warm = msgspec.structs.replace(counted, source="x, after 1 warm-up call")
    assert warmed_up(figures, 1) == {"gpu": [warm, UNREAD], "gpu_footprint": [counted], "rss": warm}
    assert warmed_up({"rss": counted}, 2)["rss"].source == "x, after 2 warm-up calls"
    assert warmed_up(figures, 0) == figures


def test_the_cards_that_were_used_are_known_from_any_phase():
    def card(uuid, ordinal):
        return Card(
            ordinal=ordinal, uuid=uuid, pci_bus_id="", name="", total_bytes=1, compute_capability=(8, 0), has_pools=True
        )

    first, second = card("GPU-b", 0), card("GPU-a", 1)
    phases = {"setup": DeviceMarks(cards=[second]), "call": DeviceMarks(cards=[first, second]), "teardown": None}
    assert cards_used(phases) == [first, second]
