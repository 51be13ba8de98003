"""`tfmem doctor` on stand-in cards: which rung of each figure's ladder is in force, and how to climb."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.gpu_stub.machine import GIB, StubCard, StubMig

pytestmark = pytest.mark.stub

NAMESPACE = "Surroundings(own_pids=True, wsl=False)"
MACHINE = "Surroundings(own_pids=False, wsl=False)"
WSL = "Surroundings(own_pids=False, wsl=True)"
PART = "MIG-00000000-0000-4000-8000-00000000000a"
FIGURES = ("gpu", "gpu_tensors", "gpu_reserved", "gpu_footprint")
CLIMB = "driver 565.57.01 or newer; or the processes of the host seen from the container, as by docker run --pid=host"
ENABLE = "exact with accounting, which counts every allocation: nvidia-smi -am 1, as root"
HELD_ONLY = ": not measured, but on a card that is held for the test, where the device's difference is an estimate"
AT_END = "near-exact, by the driver's process list at the call's end; sampled under cuda_malloc and other frameworks"
_FIND = """
import json, msgspec
from pytest_tfmem.doctor.gpu import find_gpus
from pytest_tfmem.measure.joining import Surroundings
found = find_gpus(around={around})
print(json.dumps([msgspec.to_builtins(check) for check in found.checks]))
"""


@pytest.fixture
def told(new_stub):
    """What the doctor says of the GPUs of a machine as described."""

    def run(*, around=MACHINE, nvml=True, env=None, **described):
        environment = {**os.environ, **new_stub(**described).environment(nvml=nvml), **(env or {})}
        command = [sys.executable, "-c", _FIND.format(around=around)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return run


def _by_name(checks):
    return {check["name"]: check for check in checks}


@pytest.mark.parametrize(
    ("described", "around", "said", "help_"),
    [
        ({}, MACHINE, AT_END, ENABLE),
        ({"accounting": 1}, MACHINE, "exact, by accounting (nvmlDeviceGetAccountingStats)", ""),
        ({"accounting": 1}, NAMESPACE, f"{AT_END}; accounting is on, but counts nothing inside containers", ""),
        ({"driver_version": "565.57.01"}, NAMESPACE, AT_END, ""),
        (
            {"driver_version": "525.60.13", "process_list": "host"},
            NAMESPACE,
            f"driver 525.60.13 lists processes by the host's ids, which are not those of this container{HELD_ONLY}",
            CLIMB,
        ),
        (
            {"driver_version": "550.54.14", "process_list": "zero"},
            NAMESPACE,
            f"driver 550.54.14 says 0 bytes of every process in a container{HELD_ONLY}",
            CLIMB,
        ),
        (
            {"driver_version": "581.29", "process_list": "unavailable"},
            WSL,
            f"under WSL2 the driver does not say what a process holds{HELD_ONLY}",
            "",
        ),
        (
            {"process_list": "no permission"},
            MACHINE,
            f"the driver gives this user no permission to ask (Insufficient Permissions){HELD_ONLY}",
            "",
        ),
    ],
)
def test_the_rung_of_the_footprint_and_how_to_climb(told, described, around, said, help_):
    footprint = _by_name(told(around=around, **described))["gpu_footprint"]
    assert (footprint["said"], footprint.get("help", "")) == (said, help_)


def test_every_card_has_its_rungs(told):
    checks = told(cards=[StubCard(), StubCard()])
    assert [check["name"] for check in checks] == ["driver", "GPU 0", *FIGURES, "GPU 1", *FIGURES]
    assert checks[0]["said"] == "NVIDIA 580.65.06, CUDA 12.9"
    assert {check["device"] for check in checks[6:]} == {"GPU-00000002-0000-4000-8000-000000000002"}


def test_a_card_without_pools_falls_back_and_says_why(told):
    checks = _by_name(told(cards=[StubCard(has_pools=False)]))
    assert checks["gpu"]["state"] == "note"
    assert checks["gpu"]["said"].endswith("for want of cuda_malloc_async: NVIDIA Stand-in has no memory pools")
    assert "gpu_tensors=True" in checks["gpu"]["help"]


def test_a_card_that_is_hidden_from_cuda_has_no_rungs(told):
    checks = told(cards=[StubCard(), StubCard()], env={"CUDA_VISIBLE_DEVICES": "1"})
    assert [check["name"] for check in checks] == ["driver", "GPU 0", "GPU 1", *FIGURES]
    assert checks[1]["said"].endswith("CUDA does not see it here (CUDA_VISIBLE_DEVICES='1')")


def test_the_parts_of_a_split_card_have_the_rungs(told):
    cards = [StubCard(mig=[StubMig(total_bytes=GIB, uuid=PART)])]
    checks = told(cards=cards)
    assert [check["name"] for check in checks] == ["driver", "GPU 0", "GPU 0 part", *FIGURES]
    assert checks[1]["said"].endswith("split by MIG, so that only its parts can be used")
    assert checks[-1]["device"] == PART


def test_a_card_without_memory_of_its_own_is_listed(told):
    assert "no memory of its own" in _by_name(told(cards=[StubCard(has_memory_info=False)]))["GPU 0"]["said"]


def test_gpus_without_the_drivers_library_are_named_with_the_way_to_it(told):
    [check] = told(nvml=False)
    assert check["said"].startswith("NVIDIA Stand-in: not measured, for the library by which")
    assert check["said"].endswith("a container has it if NVIDIA_DRIVER_CAPABILITIES names utility")


def test_a_lost_driver_is_noted(told):
    assert told(nvml_lost=1)[0]["said"] == "the driver has lost the GPU (GPU is lost)"


def test_cuda_that_does_not_start_is_noted(told):
    checks = told(cuda_init_error=999)
    assert [check["name"] for check in checks] == ["driver", "CUDA", "GPU 0"]
    assert checks[1]["said"].startswith("no GPU can be used: cuInit failed with ")


@pytest.mark.parametrize("columns", ["80", "160"])
def test_the_page_says_how_each_figure_is_measured(stub, tmp_path, columns):
    environment = {**os.environ, **stub.environment(), "COLUMNS": columns}
    command = [sys.executable, "-m", "pytest_tfmem", "doctor"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    page = " ".join(done.stdout.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok gpu exact; by cuda_malloc_async (tensorflow)" in page
    assert "ok gpu_footprint lower bound; by the driver's process list at the call's end" in page
    assert "-> exact with accounting" in page
