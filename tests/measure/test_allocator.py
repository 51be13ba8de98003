"""The devices of a process: where no framework is up, on a CPU, and by stand-ins for JAX and PyTorch."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pytest_tfmem.measure import in_force, logical_gpus
from pytest_tfmem.measure.allocator import FRAMEWORKS, DeviceReader
from pytest_tfmem.measure.cuda import CardsHere
from pytest_tfmem.measure.devices import AllocatorMarks, Card, DeviceMarks
from pytest_tfmem.measure.in_force import InForce, mismatch
from pytest_tfmem.measure.jax_allocator import JaxAllocators
from pytest_tfmem.measure.torch_allocator import TorchAllocators

MIB = 1 << 20
BFC = "TensorFlow's BFC allocator, which takes all that it may at once,"
CHANGED = "something changed it before TensorFlow made its devices"
UNSET = f"TF_GPU_ALLOCATOR is not set now: {CHANGED}"
BEFORE = "TensorFlow's variables said something else when it made its devices"
COST = ": a tensor of 250 bytes cost"
DECIDES = "set_memory_growth or set_logical_device_configuration then decides"


@pytest.fixture(autouse=True)
def _no_frameworks(monkeypatch):
    for framework in FRAMEWORKS:
        monkeypatch.delitem(sys.modules, framework, raising=False)


def card(ordinal, uuid, bus=1):
    return Card(
        ordinal=ordinal,
        uuid=uuid,
        pci_bus_id=f"0000:{bus:02x}:00.0",
        name="NVIDIA One",
        total_bytes=8 << 30,
        compute_capability=(8, 0),
        has_pools=True,
    )


def here(*cards):
    return CardsHere(visible=len(cards), used=list(cards))


# What of torch.cuda is read, as PyTorch 2.9 documents it.
class Torch:
    def __init__(self, *, initialised=True, **properties):
        self.cuda = self
        self._initialised = initialised
        self._properties = SimpleNamespace(**properties)
        self.was_reset = []

    def is_initialized(self):
        return self._initialised

    def device_count(self):
        assert self._initialised, "this would start the devices"
        return 1

    def reset_peak_memory_stats(self, index):
        self.was_reset.append(index)

    def memory_stats(self, index):
        return {
            "allocated_bytes.all.current": 1024,
            "allocated_bytes.all.peak": 4096,
            "reserved_bytes.all.peak": 2 * MIB,
            "requested_bytes.all.peak": 4000,
        }

    def get_device_properties(self, index):
        return self._properties


class JaxDevice:
    platform = "gpu"
    id = 0
    local_hardware_id = 1

    def __init__(self, stats):
        self._stats = stats

    def memory_stats(self):
        if isinstance(self._stats, Exception):
            raise self._stats
        return self._stats


@pytest.fixture
def torch(monkeypatch):
    def install(**kind):
        monkeypatch.setitem(sys.modules, "torch", Torch(**kind))
        return sys.modules["torch"]

    return install


@pytest.fixture
def jax(monkeypatch):
    def install(*devices, started=True):
        def local_devices():
            assert started, "this would start the devices"
            return devices

        monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(local_devices=local_devices))
        bridge = SimpleNamespace(backends_are_initialized=lambda: started)
        monkeypatch.setitem(sys.modules, "jax._src.xla_bridge", bridge)

    return install


def test_nothing_is_read_where_no_framework_is_imported():
    reader = DeviceReader()
    reader.reset()
    assert reader.read() is None


def test_a_framework_whose_devices_are_not_up_is_not_asked(torch, jax):
    torch(initialised=False)
    jax(started=False)
    reader = DeviceReader()
    reader.reset()
    assert reader.read() == DeviceMarks()


def test_a_module_that_only_has_a_frameworks_name_is_no_failure_of_the_test(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: True)))
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace())
    reader = DeviceReader()
    reader.reset()
    marks = reader.read()
    assert marks.allocators == []
    assert marks.unread == (
        "the peaks of torch's devices could not be reset"
        " (AttributeError: 'types.SimpleNamespace' object has no attribute 'device_count')"
    )


def test_pytorch_says_what_it_holds_and_what_was_requested(torch):
    library = torch(uuid="aaaaaaaa-0000-0000-0000-000000000002")
    reader = TorchAllocators()
    reader.reset()
    marks, problem = reader.read(here(card(0, "GPU-other"), card(1, "GPU-aaaaaaaa-0000-0000-0000-000000000002")))
    assert (library.was_reset, problem) == ([0], "")
    assert marks == [
        AllocatorMarks(
            framework="torch",
            device="GPU:0",
            card="GPU-aaaaaaaa-0000-0000-0000-000000000002",
            allocator="torch",
            in_use=1024,
            peak=4096,
            reserved_peak=2 * MIB,
            requested_peak=4000,
        )
    ]


def test_an_older_pytorch_tells_cards_apart_by_their_place_on_the_bus(torch):
    torch(pci_domain_id=0, pci_bus_id=0x2A, pci_device_id=0)
    marks, _ = TorchAllocators().read(here(card(0, "GPU-1", bus=1), card(1, "GPU-2", bus=0x2A)))
    assert marks[0].card == "GPU-2"


def test_a_card_that_pytorch_does_not_tell_is_not_guessed(torch):
    torch()
    marks, _ = TorchAllocators().read(here(card(0, "GPU-1")))
    assert marks[0].card == ""


def test_jax_says_what_it_holds_since_the_process_began(jax):
    stats = {"bytes_in_use": 10, "peak_bytes_in_use": 30, "bytes_limit": 1000, "peak_pool_bytes": 50, "num_allocs": 3}
    cpu = SimpleNamespace(platform="cpu", id=0)
    jax(cpu, JaxDevice(stats))
    marks, _ = JaxAllocators().read(here(card(0, "GPU-0"), card(1, "GPU-1")))
    assert marks == [
        AllocatorMarks(
            framework="jax",
            device="GPU:0",
            card="GPU-1",
            allocator="jax",
            limit=1000,
            in_use=10,
            peak=30,
            reserved_peak=50,
            since_reset=False,
        )
    ]


@pytest.mark.parametrize(
    ("stats", "why_not"),
    [
        (None, "JAX's allocator keeps no statistics, as with XLA_PYTHON_CLIENT_ALLOCATOR=platform"),
        (RuntimeError("UNIMPLEMENTED"), "JAX keeps no statistics of this device (UNIMPLEMENTED)"),
    ],
)
def test_a_device_of_jax_without_statistics_says_why(jax, stats, why_not):
    jax(JaxDevice(stats))
    marks, _ = JaxAllocators().read(here(card(1, "GPU-1")))
    assert (marks[0].card, marks[0].peak, marks[0].why_not) == ("GPU-1", 0, why_not)


@pytest.mark.parametrize(
    ("asked", "found", "variables", "sentence"),
    [
        (
            "cuda_malloc_async",
            InForce("growth", 256),
            {},
            f"TensorFlow's BFC allocator that grows is in force on GPU:0{COST} 256. {UNSET}",
        ),
        (
            "bfc",
            InForce("cuda_malloc"),
            {"TF_GPU_ALLOCATOR": "cuda_malloc"},
            f"cuda_malloc is in force on GPU:0. TF_GPU_ALLOCATOR is 'cuda_malloc' now: {CHANGED}",
        ),
        (
            "growth",
            InForce("bfc", 256),
            {"TF_FORCE_GPU_ALLOW_GROWTH": "TRUE"},
            f"{BFC} is in force on GPU:0{COST} 256. TF_FORCE_GPU_ALLOW_GROWTH is 'TRUE' now: {CHANGED}, and {DECIDES}",
        ),
        (
            "cuda_malloc",
            InForce("cuda_malloc_async", 250),
            {"TF_GPU_ALLOCATOR": "cuda_malloc"},
            f"cuda_malloc_async is in force on GPU:0{COST} 250. {BEFORE}",
        ),
    ],
    ids=["async", "bfc", "growth", "cuda_malloc"],
)
def test_another_allocator_than_was_asked_for_is_said_with_its_likely_reason(
    monkeypatch, asked, found, variables, sentence
):
    for name in ("TF_GPU_ALLOCATOR", "TF_FORCE_GPU_ALLOW_GROWTH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert mismatch(asked, "GPU:0", found) == (
        f"{asked} was asked for, but {sentence};"
        " look for os.environ in the test's file, its conftest.py and its fixtures"
    )


def test_what_was_asked_for_what_nobody_asked_for_and_what_could_not_be_told_are_no_mismatch():
    assert mismatch("growth", "GPU:0", InForce("growth", 256)) == ""
    assert mismatch("", "GPU:0", InForce("bfc", 256)) == ""
    assert mismatch("growth", "GPU:0", InForce("bfc", unverified="it is full")) == ""


@pytest.mark.parametrize(
    ("region_bytes", "limit", "peak", "grows"),
    [
        (None, None, 1000, None),
        (2 * MIB, None, 1000, True),
        (64 * MIB, 256 * MIB, 40 * MIB, True),
        (256 * MIB, 256 * MIB, 1000, False),  # a power of two, but the whole limit
        (256 * MIB, 256 * MIB, 200 * MIB, None),  # one that grows would have taken that much, too
        (6256 * MIB + 256, None, 10 * MIB, False),
        (3 * MIB, None, 1000, None),
    ],
)
def test_a_region_of_bfc_shows_whether_it_grows(region_bytes, limit, peak, grows):
    assert in_force._shows_growth(region_bytes, limit, peak) is grows


def test_a_gpu_with_no_room_gets_no_tensor():
    full = logical_gpus.Gpu(place=0, physical=None, ordinal=0, card="GPU-1", limit=4 * MIB)
    found = in_force.find_in_force(full, {"current": 4 * MIB - 100, "peak": 4 * MIB})
    assert found.unverified == "GPU:0 has no room for another tensor"


TENSORFLOW = """if True:
    import json, os, sys
    from pytest_tfmem.measure.allocator import DeviceReader
    reader = DeviceReader()
    before = reader.read()
    import tensorflow as tf

    def threads():
        return sorted(open(f"/proc/self/task/{thread}/comm").read() for thread in os.listdir("/proc/self/task"))

    def cpu():
        return [[mark.allocator, mark.in_use, mark.peak, mark.why_not] for mark in reader.read().allocators]

    idle = threads()
    reader.reset()
    loaded = cpu()
    after = threads()
    with tf.device("CPU:0"):
        held = tf.zeros(10 << 18)
        first = tf.zeros(100 << 8)
        del first
        reads = [cpu(), cpu()]
        reader.reset()
        reads += [cpu()]
    print(json.dumps([before, loaded, idle == after, reads]))
"""


def on_cpu(environment):
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    merged = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    ran = subprocess.run([sys.executable, "-c", TENSORFLOW], env=merged, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def test_tensors_on_the_cpu_are_counted_under_bfc_and_nothing_is_started_to_ask():
    before, loaded, nothing_started, reads = on_cpu({"TF_CPU_ALLOCATOR_USE_BFC": "true"})
    assert (before, loaded, nothing_started) == (None, [], True)
    (first,), (second,), (after_reset,) = reads
    assert first[0] == "cpu_bfc"
    assert 10 * MIB <= first[1] < first[2]
    assert second == first
    assert after_reset[1:3] == [first[1], first[1]]


@pytest.mark.parametrize(
    ("environment", "why_not"),
    [
        ({}, "TensorFlow's CPU allocator counts only tensors of 256 KiB and more here"),
        ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "TensorFlow's CPU allocator keeps no statistics here"),
    ],
)
def test_without_bfc_tensors_on_the_cpu_are_not_measured(environment, why_not):
    _, loaded, _, reads = on_cpu(environment)
    assert loaded == []
    assert {(read[0][2], read[0][3]) for read in reads} == {
        (0, f'{why_not}; tf_runtime(cpu_allocator="bfc") makes it count all of them')
    }
