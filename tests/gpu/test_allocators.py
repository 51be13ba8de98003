"""What is in force in a test's process, by what a tiny tensor costs, what fits, and what the driver holds for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.beside import WITHOUT
from tests.gpu_stub.machine import StubCard

TESTS = """
import json, os
import pytest
import pytest_tfmem

MIB = 1 << 20
runtime = pytest.mark.tf_runtime

def in_use(device):
    import tensorflow as tf
    try:
        return tf.config.experimental.get_memory_info(device)["current"]
    except ValueError:
        return None

def tiny(device="GPU:0"):
    '''Bytes that the allocator counts for a tensor of one byte, None if it counts nothing.'''
    import tensorflow as tf
    with tf.device(device):
        kept = [tf.constant([1], tf.uint8)]  # the first makes the device, and what comes with it
        before = in_use(device)
        kept.append(tf.constant([2], tf.uint8))
        after = in_use(device)
    return None if after is None else after - before

def fits(mib, device="GPU:0"):
    import tensorflow as tf
    try:
        with tf.device(device):
            tf.zeros([mib * MIB], tf.uint8)
    except tf.errors.ResourceExhaustedError:
        return False
    return True

def held():
    '''Whole MiB that the driver holds on the card for all.'''
    import pynvml
    pynvml.nvmlInit()
    memory = pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(0))
    return memory.used // MIB, memory.total // MIB

def tell(request, **what):
    with open(os.environ["TOLD"], "a") as file:
        file.write(json.dumps({"test": request.node.name, **what}) + "\\n")

def devices(kind="GPU"):
    import tensorflow as tf
    return [device.name for device in tf.config.list_logical_devices(kind)]

"""
IN_FORCE = (
    TESTS
    + """
@runtime(allocator=["cuda_malloc_async", "growth", "bfc", "cuda_malloc"])
def test_plain(request):
    before = held()[0]
    tell(request, tiny=tiny(), held=held()[0] - before, total=held()[1])

@runtime(allocator=["cuda_malloc_async", "growth", "bfc"], memory_limit="256 MiB")
def test_limit(request):
    before = held()[0]
    cost = tiny()
    tell(request, tiny=cost, held=held()[0] - before)

@pytest.mark.xfail(raises=pytest_tfmem.MemoryBudgetExceeded, strict=True)
@runtime(allocator="cuda_malloc_async", memory_limit="256 MiB")
def test_not_enforced(request):
    tell(request, fits=fits(300))

@runtime(allocator="growth", memory_limit="256 MiB")
def test_enforced(request):
    tell(request, fits=[fits(100), fits(300)])  # which TensorFlow tries for ten seconds

@runtime(allocator=["cuda_malloc_async", "growth", "bfc"], memory_limit="256 MiB", logical_devices={"GPU": 2, "CPU": 2})
def test_divided(request):
    tell(request, devices=len(devices()), cpus=len(devices("CPU")), tiny=[tiny(name) for name in ("GPU:0", "GPU:1")])

@pytest.mark.memory_budget
def test_default(request):
    tell(request, tiny=tiny())

@runtime(memory_limit="256 MiB")
def test_default_with_a_limit(request):
    tell(request, tiny=tiny())

@runtime(gpus=0)
def test_hidden(request):
    tell(request, devices=devices())
"""
)
SPAWNED = (
    TESTS
    + """
@runtime(allocator=["cuda_malloc_async", "growth"], memory_limit="256 MiB")
def test_limit(request):
    before = held()[0]
    cost = tiny()
    tell(request, tiny=cost, held=held()[0] - before)
"""
)


@pytest.fixture
def pytest_on(tmp_path):
    """Runs pytest on a file of tests, by a start method, with these variables; what each test told, by its name."""

    def run(source, start_method, variables):
        told = tmp_path / "told"
        (tmp_path / "test_it.py").write_text(source)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "PYTEST_"))}
        # Ahead of tests that are forked, and not in pytest's own process, which needs no TensorFlow to find them.
        options = [*WITHOUT, f"--tfmem-start-method={start_method}", "-otfmem_preload=tensorflow"]
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", *options, "test_it.py"],
            cwd=tmp_path,
            env=environment | variables | {"TOLD": str(told), "TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
        return ran, {line.pop("test"): line for line in lines}

    return run


@pytest.fixture
def run_tests(gpu_environment, pytest_on):
    """Runs pytest on a file of tests that pass, by a start method; what each test told, by its name."""

    def run(source, start_method):
        ran, told = pytest_on(source, start_method, gpu_environment)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return told

    return run


def test_each_allocator_and_limit_that_a_test_asks_for_is_in_force(run_tests):
    told = run_tests(IN_FORCE, "forkserver")
    assert told["test_plain[cuda_malloc_async]"]["tiny"] == 1
    assert told["test_plain[growth]"]["tiny"] == 256
    assert told["test_plain[bfc]"]["tiny"] == 256
    assert told["test_plain[cuda_malloc]"]["tiny"] is None
    half = told["test_plain[bfc]"]["total"] // 2
    assert told["test_plain[bfc]"]["held"] > half
    assert all(told[f"test_plain[{name}]"]["held"] < half for name in ("cuda_malloc_async", "growth", "cuda_malloc"))

    context = told["test_plain[cuda_malloc]"]["held"]
    assert told["test_limit[cuda_malloc_async]"]["tiny"] == 1
    assert told["test_limit[growth]"]["tiny"] == told["test_limit[bfc]"]["tiny"] == 256
    assert told["test_limit[bfc]"]["held"] >= context + 250, "the whole limit at once"
    assert told["test_limit[growth]"]["held"] <= context + 50, "growing"
    assert told["test_not_enforced"]["fits"], "and the test fails for it"
    assert told["test_enforced"]["fits"] == [True, False]

    assert [told[f"test_divided[{name}]"] for name in ("cuda_malloc_async", "growth", "bfc")] == [
        {"devices": 2, "cpus": 2, "tiny": [1, 1]},
        {"devices": 2, "cpus": 2, "tiny": [256, 256]},
        {"devices": 2, "cpus": 2, "tiny": [256, 256]},
    ]
    assert (told["test_default"]["tiny"], told["test_default_with_a_limit"]["tiny"]) == (1, 256)
    assert told["test_hidden"]["devices"] == []


def test_what_is_in_force_is_the_same_in_a_new_interpreter(run_tests):
    told = run_tests(SPAWNED, "spawn")
    assert told["test_limit[cuda_malloc_async]"]["tiny"] == 1
    assert told["test_limit[growth]"]["tiny"] == 256
    assert told["test_limit[growth]"]["held"] <= told["test_limit[cuda_malloc_async]"]["held"] + 50, "growing"


WITHOUT_POOLS = (
    TESTS
    + """
@pytest.mark.memory_budget
@pytest.mark.parametrize("number", [1, 2])
def test_default(request, number):
    tell(request, tiny=tiny())

@runtime(allocator="cuda_malloc_async")
def test_named(request):
    tell(request, tiny=tiny())
"""
)


@pytest.mark.stub
def test_where_async_is_not_possible_growth_is_the_default_and_async_by_name_an_error(new_stub, pytest_on):
    ran, told = pytest_on(WITHOUT_POOLS, "forkserver", new_stub(cards=[StubCard(has_pools=False)]).environment())
    assert told == {"test_default[1]": {"tiny": 256}, "test_default[2]": {"tiny": 256}}
    text = " ".join(ran.stdout.split())
    assert text.count(": growth is used") == 1, "said of the session"
    assert "test_named - Failed: test_it.py:" in text
    assert "TensorFlow would abort; use growth, or name no allocator" in text
    assert "2 passed, 1 error" in text


HELD = """
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate.runtime import apply_visible_devices

def visible():
    cards = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(card)["device_name"] for card in cards]

apply_visible_devices("{card}")
found = [visible()]
apply_visible_devices("{card}")
try:
    apply_visible_devices("{other}")
except TfmemError as error:
    found.append(str(error))
tell([*found, os.environ["CUDA_VISIBLE_DEVICES"]])
"""


@pytest.mark.stub
def test_a_test_sees_the_card_that_it_holds_and_an_error_where_cuda_was_started_before(new_stub, run_tensorflow):
    card, other = "GPU-0000000b-0000-4000-8000-000000000001", "GPU-0000000a-0000-4000-8000-000000000001"
    machine = new_stub(cards=[StubCard(uuid=other, name="other"), StubCard(uuid=card, name="card")])
    found, refused, variable = run_tensorflow(HELD.format(card=card, other=other), env=machine.environment())
    assert found == ["card"]
    assert refused == (
        "the cards that this test holds cannot be given to it: CUDA was started in its process before the test, and has"
        " taken others; nothing that is loaded with pytest, or imported with the test's file, may list GPUs or use them"
    )
    assert variable == card


@pytest.mark.stub
@pytest.mark.parametrize("value", ["-1", ""])
def test_cuda_that_may_see_no_card_shows_none(stub, run_tensorflow, value):
    code = "tell(tf.config.list_physical_devices('GPU'))"
    assert run_tensorflow(code, env={**stub.environment(), "CUDA_VISIBLE_DEVICES": value}) == []
