"""Tests of PyTorch and JAX have device readings too, where either is installed and sees a GPU."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.gpu.acceptance.test_figures import figures_of

SEES = {
    "torch": "import torch; print(torch.cuda.is_available())",
    "jax": "import jax; print(jax.default_backend() == 'gpu')",
}
EIGHT_MIB = {
    "torch": "import torch\n\ndef kept():\n    return torch.zeros(2 << 20, device='cuda')\n",
    "jax": "import jax.numpy as jnp\n\ndef kept():\n    return jnp.zeros(2 << 20).block_until_ready()\n",
}


@pytest.fixture(params=sorted(SEES))
def framework(request, gpu_environment):
    del gpu_environment
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    # In a process of its own: to ask starts CUDA.
    asked = subprocess.run([sys.executable, "-c", SEES[request.param]], capture_output=True, text=True, check=True)
    if asked.stdout.split()[-1] != "True":
        pytest.skip(f"{request.param} sees no GPU here")
    return request.param


def test_what_the_frameworks_own_allocator_counts_is_read(gpu_project, framework):
    gpu_project.write("mine.py", EIGHT_MIB[framework])
    gpu_project.write(
        "test_a.py",
        """
        from mine import kept

        @budget(gpu="1 GiB", gpu_footprint="8 GiB")
        def test_a():
            kept()
            kept()

        @budget(gpu="1 MiB")
        def test_over():
            kept()
        """,
    )
    ran = gpu_project.run()
    assert ran.outcomes == {"test_a": "passed", "test_over": "failed"}
    used = figures_of(ran.measured["test_a"], "gpu")
    assert 8 << 20 <= used["bytes"] < 32 << 20
    assert used["exactness"] == ("exact" if framework == "torch" else "upper-bound")
    assert used["device"].startswith("GPU-")
    reserved = figures_of(ran.measured["test_a"], "gpu_reserved")
    footprint = figures_of(ran.measured["test_a"], "gpu_footprint")
    assert used["bytes"] <= reserved["bytes"] < footprint["bytes"]
    assert used["device"].startswith(footprint["device"])
