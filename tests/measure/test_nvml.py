"""The driver asked through stand-ins for NVIDIA's library."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pytest_tfmem.measure.nvml import Driver, gpu_names
from pytest_tfmem.measure.nvml_library import DriverError


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


# The driver


class InsufficientSizeError(NVMLError):
    pass


class UninitializedError(NVMLError):
    pass


class NotSupportedError(NVMLError):
    pass


def first(error, then):
    """Raises once, and gives an answer from then on."""
    errors = [error]

    def function(*_):
        if errors:
            raise errors.pop()
        return then

    return function


def process(pid, size):
    return SimpleNamespace(pid=pid, usedGpuMemory=size)


@pytest.fixture
def processes(driver):
    """A driver on whose only card, GPU-1, these processes are; `calls` as of `driver`."""

    def install(*compute, graphics=(), **broken):
        library = {
            "NVMLError_InsufficientSize": InsufficientSizeError,
            "NVMLError_Uninitialized": UninitializedError,
            "NVMLError_NotSupported": NotSupportedError,
            "nvmlDeviceGetHandleByUUID": lambda uuid: uuid,
            "nvmlDeviceGetMemoryInfo": lambda *_: SimpleNamespace(total=1000, used=600),
            "nvmlDeviceGetComputeRunningProcesses_v3": lambda _: list(compute),
            "nvmlDeviceGetGraphicsRunningProcesses_v3": lambda _: list(graphics),
            "nvmlDeviceGetMPSComputeRunningProcesses_v3": first(NotSupportedError(), None),
        }
        return driver(["NVIDIA H200"], **(library | broken))

    return install


def test_a_process_in_two_lists_is_counted_once(processes):
    processes(process(7, 100), graphics=[process(7, 120), process(8, None)])
    assert Driver().processes("GPU-1") == {7: 120, 8: None}


def test_lists_are_read_only_until_the_process_is_found(processes):
    processes(process(7, 100), graphics=[process(8, 50)])
    asked = Driver()
    assert asked.processes("GPU-1", until=7) == {7: 100}
    assert asked.list_calls == 1
    assert asked.processes("GPU-1", until=8) == {7: 100, 8: 50}


def test_a_list_that_the_card_does_not_have_is_asked_for_once(processes):
    processes()
    asked = Driver()
    assert [asked.processes("GPU-1"), asked.processes("GPU-1")] == [{}, {}]
    assert asked.list_calls == 5


def test_a_process_that_comes_between_the_two_calls_of_the_bindings_is_no_error(processes):
    list_ = first(InsufficientSizeError(), [process(7, 100)])
    processes(nvmlDeviceGetComputeRunningProcesses_v3=list_)
    assert Driver().processes("GPU-1") == {7: 100}


def test_a_library_that_another_user_has_shut_is_opened_again(processes):
    calls = processes(nvmlDeviceGetComputeRunningProcesses_v3=first(UninitializedError(), [process(7, 100)]))
    assert Driver().processes("GPU-1") == {7: 100}
    assert calls == ["init", "init"]


def test_answers_that_never_settle_are_a_reason(processes):
    def grow(*_):
        raise InsufficientSizeError

    processes(nvmlDeviceGetComputeRunningProcesses_v3=grow)
    with pytest.raises(DriverError, match="changed faster than it could be read"):
        Driver().processes("GPU-1")


@pytest.mark.parametrize("wrong", [(7, 1001), (0, 5), (4294967295, 0)])
def test_a_list_that_cannot_be_right_is_a_reason(processes, wrong):
    processes(process(7, 100), process(*wrong))
    with pytest.raises(DriverError, match="cannot be right") as raised:
        Driver().processes("GPU-1")
    assert raised.value.kind == "scrambled"


def test_processes_of_other_namespaces_are_left_out(processes):
    processes(process(0, 0), process(7, 100))
    assert Driver().processes("GPU-1") == {7: 100}


def test_memory_in_use_is_read_without_what_the_driver_reserves_where_it_tells_them_apart(processes):
    def memory(_, version=None):
        return SimpleNamespace(used=500 if version else 600, total=1000)

    processes(nvmlMemory_v2=2, nvmlDeviceGetMemoryInfo=memory)
    assert Driver().used_bytes("GPU-1") == 500
    processes(nvmlDeviceGetMemoryInfo=memory)
    assert Driver().used_bytes("GPU-1") == 600


@pytest.mark.parametrize(("mode", "peak"), [(0, 100), (1, 0), (1, None)])
def test_accounting_that_is_off_or_counts_nothing_is_a_reason(processes, mode, peak):
    stats = SimpleNamespace(maxMemoryUsage=peak)
    processes(nvmlDeviceGetAccountingMode=lambda _: mode, nvmlDeviceGetAccountingStats=lambda *_: stats)
    with pytest.raises(DriverError, match="accounting"):
        Driver().accounted_bytes("GPU-1", 7)


def test_a_driver_that_cannot_be_opened_is_tried_once(driver):
    tried = []

    def refuse_once(*_):
        tried.append(1)
        raise NVMLError("Driver Not Loaded")

    driver([], nvmlInit=refuse_once)
    asked = Driver()
    for _ in range(2):
        with pytest.raises(DriverError, match="the driver does not answer: Driver Not Loaded"):
            asked.version()
    assert len(tried) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="without fork")
def test_a_fork_opens_the_library_for_itself(driver, monkeypatch):
    calls = driver(["NVIDIA H200"])
    asked = Driver()
    asked.names()
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a fork
    assert asked.names() == ("NVIDIA H200",)
    assert calls == ["init", "shutdown", "init"]


def test_a_driver_may_be_asked_again_after_it_was_closed(driver):
    calls = driver(["NVIDIA H200"])
    asked = Driver()
    asked.names()
    asked.close()
    asked.close()
    assert asked.names() == ("NVIDIA H200",)
    assert calls == ["init", "shutdown", "init"]


def test_what_the_driver_says_cannot_act_on_a_terminal(driver):
    driver([], nvmlSystemGetDriverVersion=lambda: b"580\x1b[2J")
    assert Driver().version() == "580\\x1b[2J"
