"""TensorFlow on the stand-in cards: its allocators allocate, networks train, and the account has it to the byte.

A start of TensorFlow takes seconds: a test imports it once, and forks for what has to be a process of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu_stub.machine import GIB, MIB, StubCard
from tests.isolate.fresh import told

pytestmark = pytest.mark.stub

CONTEXT = 300 * MIB
MIN_SYSTEM_MEMORY = 1536 * MIB  # what TensorFlow leaves free on a card of compute capability 8
OWN_USAGE = """
import dataclasses
from tests.gpu_stub.machine import StubMachine
machine = StubMachine.opened(os.environ["TFMEM_STUB_MACHINE"])

def usage(card=0):
    return dataclasses.asdict(machine.processes(card)[os.getpid()])

def in_fork(function):
    reading, writing = os.pipe()
    if os.fork() == 0:
        with os.fdopen(writing, "w") as file:
            json.dump(function(), file)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        return json.load(file)

"""
SCRIPT = """
def of_allocator(environment, limit=None):
    os.environ.update(environment)
    if limit:
        [card] = tf.config.list_physical_devices("GPU")
        tf.config.set_logical_device_configuration(card, [tf.config.LogicalDeviceConfiguration(memory_limit=limit)])
    with tf.device("GPU:0"):
        tensors = [tf.zeros((1 << 20,)), tf.zeros((1000,)), tf.zeros((10 << 20,))]
    try:
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    except ValueError as error:
        peak = str(error)
    return {"peak": peak, **usage()}

tell({
    "bfc": in_fork(lambda: of_allocator({})),
    "limit": in_fork(lambda: of_allocator({}, limit=512)),
    "growth": in_fork(lambda: of_allocator({"TF_FORCE_GPU_ALLOW_GROWTH": "true"})),
    "async": in_fork(lambda: of_allocator({"TF_GPU_ALLOCATOR": "cuda_malloc_async"})),
    "cuda_malloc": in_fork(lambda: of_allocator({"TF_GPU_ALLOCATOR": "cuda_malloc"})),
})
"""
TENSORS = 4 * ((1 << 20) + 1000 + (10 << 20))


def test_what_each_allocator_takes_is_in_the_account(stub, run_tensorflow):
    of = run_tensorflow(OWN_USAGE + SCRIPT, env=stub.environment())

    assert of["bfc"]["requested_bytes"] == 8 * GIB - CONTEXT - MIN_SYSTEM_MEMORY
    assert of["limit"]["requested_bytes"] == 512 * MIB
    # In regions that double: the 4 MiB tensor with the others of 2 MiB, and one of 64 MiB for that of 40.
    assert of["growth"]["requested_bytes"] % (2 * MIB) == 0
    assert TENSORS < of["growth"]["requested_bytes"] < 4 * TENSORS
    assert of["async"]["pool_used_bytes"] - of["async"]["requested_bytes"] < 512 * of["async"]["allocations"]
    assert of["async"]["pool_reserved_bytes"] % (32 * MIB) == 0
    assert of["async"]["allocated_bytes"] == 0
    assert of["cuda_malloc"]["requested_bytes"] >= TENSORS
    assert of["cuda_malloc"]["pool_used_bytes"] == 0

    assert of["bfc"]["peak"] > TENSORS
    assert of["async"]["peak"] == of["async"]["requested_bytes"]
    assert of["cuda_malloc"]["peak"].startswith("Allocator stats not available")


def test_two_cards_are_two_and_a_killed_process_leaves_nothing_on_them(new_stub):
    machine = new_stub(cards=[StubCard(), StubCard(total_bytes=4 * GIB)])
    code = """
import tensorflow as tf
for name in "GPU:0", "GPU:1", "GPU:1":
    with tf.device(name):
        tf.zeros(8)
print("ready", flush=True)
input()
"""
    environment = {**os.environ, **machine.environment(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        held = [machine.processes(card)[process.pid].held_bytes for card in (0, 1)]
        process.send_signal(signal.SIGKILL)
    assert held == [8 * GIB - MIN_SYSTEM_MEMORY, 4 * GIB - MIN_SYSTEM_MEMORY]
    assert (machine.used_bytes(0), machine.used_bytes(1)) == (0, 0)


NETWORKS = """
import keras
import numpy as np
layers = keras.layers

def images():
    return [layers.Conv2D(8, 3), layers.BatchNormalization(), layers.DepthwiseConv2D(3), layers.MaxPooling2D(),
            layers.Conv2DTranspose(4, 3), layers.Flatten()]

def fits(shape, first, jit=False):
    network = keras.Sequential([keras.Input(shape), *first, layers.Dense(4)])
    network.compile("adam", "mse", jit_compile=jit)
    network.fit(np.ones((8, *shape), "float32"), np.ones((8, 4), "float32"), verbose=0)
    return network.count_params() > 0

BY_CUDNN = {
    "convolutions": lambda: fits((16, 16, 3), images()),
    "convolutions again, in memory that was used": lambda: fits((16, 16, 3), images()),
    "recurrent": lambda: fits((10, 4), [layers.LSTM(8)]),
}
WITHOUT_CUDNN = {
    "dense": lambda: fits((16,), [layers.Dense(64), layers.LayerNormalization()]),
    "dense by XLA": lambda: fits((16,), [layers.Dense(64)], jit=True),
    "convolutions by XLA": lambda: fits((16, 16, 3), [layers.Conv2D(8, 3), layers.Flatten()], jit=True),
    "fft": lambda: tf.signal.fft(tf.complex(tf.ones(8), tf.ones(8))).shape == (8,),
}
"""
TELL = "tell({name: trains() for name, trains in %s.items()})"


@pytest.mark.parametrize(
    ("networks", "environment"),
    [
        ("(BY_CUDNN | WITHOUT_CUDNN)", {}),
        ("BY_CUDNN", {"TF_CUDNN_USE_FRONTEND": "0"}),
        ("BY_CUDNN", {"TF_CUDNN_USE_AUTOTUNE": "0", "TF_GPU_ALLOCATOR": "cuda_malloc_async"}),
    ],
    ids=["cudnn frontend", "cudnn without frontend", "cudnn without autotuning, cuda_malloc_async"],
)
def test_networks_train(stub, run_tensorflow, networks, environment):
    trained = run_tensorflow(NETWORKS + TELL % networks, env={**stub.environment(), **environment})
    assert trained
    assert [name for name, did in trained.items() if not did] == []
    assert stub.calls("cuLaunchKernel") > 0


PROFILED = """
import glob
options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=0, python_tracer_level=0, device_tracer_level=0)
tf.profiler.experimental.start(FOLDER, options)
with tf.device("GPU:0"):
    tf.zeros((1000, 1000)) + 1
tf.profiler.experimental.stop()
[file] = glob.glob(f"{FOLDER}/**/*.xplane.pb", recursive=True)
with open(file, "rb") as content:
    tell(b"GPU_0_bfc" in content.read())
"""


def test_the_profiler_tells_allocations(stub, run_tensorflow, tmp_path):
    assert run_tensorflow(f"FOLDER = {str(tmp_path)!r}\n{PROFILED}", env=stub.environment())


def test_without_nvml_tensorflow_registers_no_card(stub, run_tensorflow):
    code = "tell(len(tf.config.list_physical_devices('GPU')))"
    assert run_tensorflow(code, env=stub.environment(nvml=False)) == 0


def test_the_guarded_allocator_ends_the_process(stub, run_tensorflow):
    """By TensorFlow's own check: the guards before a tensor move it to where it is not aligned."""
    with pytest.raises(AssertionError, match=r"(?s)ended with -6.*IsAligned"):
        run_tensorflow("tf.zeros(8)", env={**stub.environment(), "TF_GPU_ALLOCATOR": "memory_guard"})


def cannot_build(first, **environment):
    code = f"""
from pathlib import Path
import filelock
from tests.gpu_stub import build
{first}
try:
    build.libraries(Path({str(Path(os.devnull))!r}))
except build.CannotBuildError as problem:
    tell(str(problem))
"""
    return told(code, environment=environment)


def test_what_is_missing_to_build_it_is_told(stub_libraries):
    assert cannot_build("", PATH="").startswith("There is no gcc on the PATH")
    assert cannot_build("import sys; sys.path.clear()").startswith("TensorFlow is not installed")


def test_the_libraries_are_built_once_by_many(stub_libraries, tmp_path):
    code = """
import sys
from pathlib import Path
from tests.gpu_stub import build
print(build.libraries(Path(sys.argv[1])))
"""
    builders = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    folders = {builder.communicate()[0].strip() for builder in builders}
    assert len(folders) == 1
    [folder] = map(Path, folders)
    assert sorted(tmp_path.iterdir()) == sorted([folder, tmp_path / "lock"])
    assert [path.name for path in (folder / "driver").iterdir()] == ["libnvidia-ml.so.1"]
    shutil.rmtree(folder)
