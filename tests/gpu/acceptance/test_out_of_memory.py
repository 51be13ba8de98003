"""A test to which the GPU's allocator refuses memory fails by its own error, and is told apart from a breach."""

from __future__ import annotations

import pytest

from tests.gpu.acceptance.test_figures import AHEAD

TESTS = """
    def too_much():
        import tensorflow as tf
        return tf.zeros((1 << 20, 1 << 20))  # 4 TiB

    @pytest.fixture
    def large():
        return too_much()

    @budget(gpu="1 GiB")
    @pytest.mark.tf_runtime(allocator="cuda_malloc_async")
    def test_call():
        too_much()

    @budget(gpu="1 GiB")
    @pytest.mark.tf_runtime(allocator="cuda_malloc_async")
    def test_setup(large):
        pass

    @budget(gpu="1 GiB")
    @pytest.mark.tf_runtime(allocator="cuda_malloc_async")
    def test_expected():
        import tensorflow as tf
        with pytest.raises(tf.errors.ResourceExhaustedError):
            too_much()

    @budget(gpu="1 MiB")
    @pytest.mark.tf_runtime(allocator="cuda_malloc_async")
    def test_breach():
        import tensorflow as tf
        tf.zeros((1 << 20,))
"""
TOLD = "out of memory on GPU:0: 4.00 TiB were asked for (float32 [1048576,1048576]), "


@pytest.mark.of_any_start_method
def test_what_was_refused_is_told_in_whatever_phase_it_was(gpu_project):
    gpu_project.write("test_a.py", TESTS)
    ran = gpu_project.run(AHEAD)
    assert ran.outcomes == {
        "test_call": "failed",
        "test_setup": "error",
        "test_expected": "passed",
        "test_breach": "failed",
    }
    told = {name: measured["out_of_memory"] for name, measured in ran.measured.items() if "out_of_memory" in measured}
    assert told.pop("test_call").startswith(TOLD)
    assert told.pop("test_setup").startswith(TOLD)
    assert not any(told.values())
    assert "ResourceExhaustedError" in ran.text
    assert TOLD in ran.text
