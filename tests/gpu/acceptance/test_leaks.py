"""What calls keep on a GPU is told apart from what they keep in the host's memory."""

from __future__ import annotations

import pytest

from tests.gpu.acceptance.test_figures import AHEAD, TENSORS


@pytest.mark.of_any_start_method
def test_tensors_kept_on_a_gpu_are_told_apart(gpu_project):
    gpu_project.write(
        "test_a.py",
        TENSORS
        + """
    kept = []

    @budget(leak="16 KiB", calls=12, warmup=2)
    def test_keeps():
        kept.append(on_gpu(1))

    @budget(leak="16 KiB", calls=12, warmup=2)
    def test_clean():
        on_gpu(1)
    """,
    )
    ran = gpu_project.run(AHEAD)
    assert ran.outcomes == {"test_keeps": "failed", "test_clean": "passed"}
    (on_gpu,) = [one for one in ran.measured["test_keeps"]["leak"]["parts"] if one["part"] == "gpu"]
    assert on_gpu["bytes"] == 1 << 20
    assert on_gpu["device"].endswith("(GPU:0)")
    assert ran.measured["test_keeps"]["readings"]["leak"]["source"].startswith(
        "small Python objects, malloc in use, and what GPUs hold"
    )
    (clean,) = [one for one in ran.measured["test_clean"]["leak"]["parts"] if one["part"] == "gpu"]
    assert clean["bytes"] == 0
