"""What TensorFlow writes before it ends its own process is told in words for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.isolate.last_words import why_aborted

# As TensorFlow 2.21 wrote them, its process ended by each.
NO_POOLS = (
    "F0000 00:00:1795240386.684322   32759 gpu_cudamallocasync_allocator.cc:168] TF_GPU_ALLOCATOR=cuda_malloc_async"
    " isn't currently supported on GPU id 0: Possible causes: device not supported (request SM60+), driver too old,  OS"
    " not supported, CUDA version too old(request CUDA11.2+).\n"
)
OLD_DRIVER = (
    "F0000 00:00:1795240388.635650     305 gpu_cudamallocasync_allocator.cc:132] Disable cuda_malloc_async or update"
    " your CUDA driver to a version compatible with CUDA 11.2 or higher. We detected a version compatible with: 11010\n"
)
NO_DEFAULT_POOL = (
    "F0000 00:00:1795240390.701143     317 gpu_cudamallocasync_allocator.cc:194] Failed to get default CUDA pool:"
    " INTERNAL: CUDA error: : CUDA_ERROR_NOT_SUPPORTED: operation not supported\n"
)
AFTER_FORK = (
    "F0000 00:00:1795240603.865497    2320 cuda_context.cc:185] Check failed: cuda::ToStatus(cuCtxSetCurrent(context_),"
    ' "Failed setting context") is OK (INTERNAL: CUDA error: Failed setting context: CUDA_ERROR_NOT_INITIALIZED:'
    " initialization error) \n"
)
REFUSED = (
    "F0000 00:00:1795240624.919955    2489 gpu_solvers.h:614] Check failed: (::tsl::TfCheckOkDeprecationMarker(),"
    " context->allocate_temp(DataTypeToEnum<Scalar>::value, shape, &scratch_tensor_, alloc_attr)) is OK"
    " (RESOURCE_EXHAUSTED: OOM when allocating tensor with shape[2060243992] and type float on"
    " /job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc) \n"
)
EVENT = "F0000 00:00:1795240405.397593     481 device_event_mgr.cc:228] Unexpected Event status: 1\n"
NEGATIVE = (
    "F0000 00:00:1795240606.020343    2345 tensor_shape.cc:204] Check failed: (::tsl::TfCheckOkDeprecationMarker(),"
    " InitDims(dim_sizes)) is OK (INVALID_ARGUMENT: Expected shape dimensions to be non-negative, got -1273599720) \n"
)
STACK = (
    "*** Check failure stack trace: ***\n"
    "    @     0x7fa33dd1d314  absl::lts_20250814::log_internal::LogMessage::SendToLog()\n"
    "Fatal Python error: Aborted\n"
)
GROWTH_IS_RIGHT = 'tf_runtime(allocator="growth") asks nothing of the kind'


@pytest.mark.parametrize("after", ["", STACK])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            NO_POOLS,
            f"this card or its driver cannot do what TensorFlow's cuda_malloc_async needs; {GROWTH_IS_RIGHT}",
        ),
        (
            NO_DEFAULT_POOL,
            f"this card or its driver cannot do what TensorFlow's cuda_malloc_async needs; {GROWTH_IS_RIGHT}",
        ),
        (
            OLD_DRIVER,
            f"the driver is too old for TensorFlow's cuda_malloc_async (it is for CUDA 11.1); {GROWTH_IS_RIGHT}",
        ),
        (
            AFTER_FORK,
            "CUDA cannot be used in a fork of a process that had started it (CUDA_ERROR_NOT_INITIALIZED)",
        ),
        (REFUSED, "out of memory on GPU:0: 7.68 GiB were asked for (float32 [2060243992])"),
        (EVENT, "the GPU failed in the midst of its work"),
    ],
)
def test_each_way_to_abort_has_its_words(words, told, after):
    assert why_aborted(f"some output of the test\n{words}{after}") == told


def test_an_error_of_cuda_is_named():
    words = AFTER_FORK.replace("CUDA_ERROR_NOT_INITIALIZED: initialization error", "CUDA_ERROR_LAUNCH_FAILED: no luck")
    assert why_aborted(words) == "a call of CUDA failed with CUDA_ERROR_LAUNCH_FAILED (no luck)"


def test_scratch_memory_that_was_refused_is_out_of_memory():
    words = (
        "F0000 00:00:1.5 7 gpu_device.cc:1] EigenAllocator for GPU ran out of memory when allocating 1048576."
        " See error logs for more detailed info."
    )
    assert why_aborted(words) == "out of memory on a GPU: 1.0 MiB were asked for"


def test_a_gpu_that_failed_is_told_with_the_error_that_the_log_names():
    log = "E0000 00:00:1.5 7 cuda_event.cc:1] failed to query event: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal address\n"
    assert why_aborted(log + EVENT) == (
        "the GPU failed in the midst of its work; its output names CUDA_ERROR_ILLEGAL_ADDRESS (an illegal address)"
    )


def test_any_other_check_is_quoted():
    assert why_aborted(NEGATIVE + STACK) == (
        "its last words were 'Check failed: (::tsl::TfCheckOkDeprecationMarker(), InitDims(dim_sizes)) is OK"
        " (INVALID_ARGUMENT: Expected shape dimensions to be non-negative, got -1273599720)'"
    )


def test_the_older_way_to_write_a_log_is_known_too():
    words = "2024-05-01 12:00:00.123456: F tensorflow/core/common_runtime/gpu/gpu_x.cc:80] Non-OK-status: no such card"
    assert why_aborted(words) == "its last words were 'Non-OK-status: no such card'"


def test_a_check_without_the_start_of_its_line_is_known():
    assert why_aborted("il.cc:1] Check failed: a == b (1 vs. 2)\n") == (
        "its last words were 'Check failed: a == b (1 vs. 2)'"
    )


def test_the_last_of_several_counts():
    assert why_aborted(NEGATIVE + NO_POOLS) == why_aborted(NO_POOLS)


def test_an_error_of_cuda_in_output_without_last_words_is_no_more_than_named():
    assert why_aborted("CUDA_ERROR_ILLEGAL_ADDRESS\nand more\n") == "its output names CUDA_ERROR_ILLEGAL_ADDRESS"


@pytest.mark.parametrize("output", ["", "1 passed\n", STACK, "E0000 00:00:1.5 7 a.cc:1] no such file\n"])
def test_output_without_last_words_tells_nothing(output):
    assert why_aborted(output) == ""


@given(st.text(), st.sampled_from([NO_POOLS, REFUSED, NEGATIVE, EVENT, AFTER_FORK]))
def test_whatever_stands_in_the_output_the_clause_is_one_line_for_people(noise, words):
    clause = why_aborted(words.rstrip("\n") + noise)
    assert clause.isprintable()
    assert len(clause) < 300
