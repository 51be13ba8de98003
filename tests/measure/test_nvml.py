"""The names of the GPUs, from stand-ins for NVIDIA's library."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from pytest_tfmem.measure.nvml import gpu_names


class NVMLError(Exception):
    pass


def refuse(*_):
    raise NVMLError


@pytest.fixture
def driver(monkeypatch):
    """Puts a library in place whose driver lists these names; `calls` says whether it was shut down."""

    def install(names, **broken):
        calls = []
        library = {
            "NVMLError": NVMLError,
            "nvmlInit": lambda: calls.append("init"),
            "nvmlDeviceGetCount": lambda: len(names),
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetName": lambda handle: names[handle],
            "nvmlShutdown": lambda: calls.append("shutdown"),
        }
        monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(**library | broken))
        return calls

    return install


def test_gpus_are_listed_in_the_drivers_order(driver):
    calls = driver(["NVIDIA H200", "NVIDIA A100-SXM4-40GB"])
    assert gpu_names() == ("NVIDIA H200", "NVIDIA A100-SXM4-40GB")
    assert calls == ["init", "shutdown"]


def test_another_packages_module_of_that_name_lists_no_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace())
    assert gpu_names() == ()


def test_an_older_library_gives_bytes(driver):
    driver([b"NVIDIA H200", b"Tesla \xff"])
    assert gpu_names() == ("NVIDIA H200", "Tesla �")


def test_a_driver_without_gpus_lists_none(driver):
    calls = driver([])
    assert gpu_names() == ()
    assert calls == ["init", "shutdown"]


def test_no_driver_is_no_gpu(driver):
    calls = driver(["NVIDIA H200"], nvmlInit=refuse)
    assert gpu_names() == ()
    assert calls == []  # what was not opened is not shut


@pytest.mark.parametrize("broken", ["nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetName"])
def test_a_driver_that_breaks_off_is_no_gpu_and_is_shut(driver, broken):
    calls = driver(["NVIDIA H200"], **{broken: refuse})
    assert gpu_names() == ()
    assert calls == ["init", "shutdown"]


def test_loading_the_module_does_not_load_the_library():
    script = "import sys, pytest_tfmem.measure.nvml; print('pynvml' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"
    )
