"""From what was alive at peaks to explanations of figures: which peak is of which, and what is said with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_tfmem.explanations import Holder
from pytest_tfmem.measure.device_explanations import device_explanations
from pytest_tfmem.measure.devices import HeldAtPeak

ROOT = Path("/home/me/project")


def held(allocator="GPU_0_bfc", device="GPU:0", counting="charged", **known):
    holders = [
        Holder(bytes=300, count=2, what="Mul", kind="tensor", where="/home/me/project/tests/test_a.py:7"),
        Holder(bytes=100, what="Fill", kind="tensor", where="/elsewhere/model.py:9"),
    ]
    settled = {"card": "", "phase": "call", "bytes": 450, "holders": holders, **known}
    return HeldAtPeak(allocator=allocator, device=device, counting=counting, **settled)


EACH = [
    held(counting="requested", bytes=400),
    held(),
    held("bfc_cpu_allocator_for_gpu", "CPU:0"),
    held("mklcpu", "CPU:0"),
]


def explained(figures, allocator="growth", found=EACH):
    return device_explanations(found, figures, allocator=allocator, root=ROOT, seconds=2.5)


def test_an_explanation_has_the_holders_by_their_files_from_the_root_and_the_rest():
    (told,) = explained(["gpu"])
    assert [(one.bytes, one.count, one.what, one.where) for one in told.holders] == [
        (300, 2, "Mul", "tests/test_a.py:7"),
        (100, 1, "Fill", "/elsewhere/model.py:9"),
    ]
    assert (told.figure, told.device, told.peak_bytes, told.unexplained_bytes) == ("gpu", "GPU:0", 450, 50)
    assert (told.source, told.allocator, told.seconds) == ("TensorFlow's profiler", "GPU_0_bfc", 2.5)
    assert told.notes == []


@pytest.mark.parametrize(
    ("figure", "allocator", "peak"),
    [
        ("gpu", "growth", 450),
        ("gpu", "bfc", 450),
        ("gpu_tensors", "growth", 400),
        ("gpu", "cuda_malloc_async", 400),
        ("gpu_tensors", "cuda_malloc_async", 400),
        ("gpu_footprint", "cuda_malloc", 400),
    ],
)
def test_bytes_are_counted_as_the_figure_counts_them(figure, allocator, peak):
    (told,) = explained([figure], allocator)
    assert told.peak_bytes == peak


def test_what_runs_under_another_allocator_to_be_explained_says_so():
    (told,) = explained(["gpu"], "cuda_malloc_async")
    assert told.notes == ["under growth: cuda_malloc_async tells of no single tensor"]


@pytest.mark.parametrize("figure", ["gpu_reserved", "gpu_footprint"])
def test_a_figure_that_is_more_than_tensors_says_what_is_not_in_it(figure):
    (told,) = explained([figure])
    assert told.notes == ["only tensors: not the CUDA context, libraries and what is in reserve"]


def test_a_peak_outside_the_call_says_where_it_was():
    (told,) = explained(["gpu"], found=[held(phase="teardown")])
    assert told.notes == ["the peak was in teardown"]


def test_each_gpu_is_explained_and_one_peak_once():
    two = [*EACH, held("GPU_1_bfc", "GPU:1", card="GPU-1")]
    assert [(one.figure, one.device) for one in explained(["gpu", "gpu_footprint", "gpu_tensors"], found=two)] == [
        ("gpu", "GPU:0"),
        ("gpu", "GPU-1 (GPU:1)"),
        ("gpu_tensors", "GPU:0"),
    ]


def test_tensors_of_the_cpu_are_explained_only_where_all_of_them_were_counted():
    (told,) = explained(["cpu_tensors"])
    assert (told.allocator, told.device) == ("bfc_cpu_allocator_for_gpu", "")
    assert explained(["cpu_tensors"], found=[held("mklcpu", "CPU:0")]) == []


@pytest.mark.parametrize("figure", ["rss", "rss_growth", "rss_anon", "rss_tree"])
def test_a_figure_of_the_host_is_not_explained_by_devices(figure):
    assert explained([figure]) == []
