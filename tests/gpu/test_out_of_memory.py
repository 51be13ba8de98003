"""What TensorFlow's real allocators refuse is told apart from other errors, and why it aborts from other deaths."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from pytest_tfmem.isolate.last_words import why_aborted
from tests.gpu_stub.machine import GIB, MIB, StubCard

# Each way asks for 4 TiB, or for what is said there, and no card has that.
WAYS = """
import concurrent.futures, gc
import numpy as np
from pytest_tfmem.isolate.out_of_memory import describe
from pytest_tfmem.measure.allocator import DeviceReader

row = tf.constant(np.zeros(1 << 20, np.float32))
column = tf.reshape(row, [-1, 1])

def eager():
    tf.zeros([1 << 20, 1 << 20])

def kernel():
    column * row

def graph():
    tf.function(lambda: tf.tile(row, [1 << 20]))()

def jit():
    tf.function(lambda: tf.tile(row, [1 << 20]), jit_compile=True)()

def fit():
    model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(1 << 20)])
    model.compile("sgd", "mse", jit_compile=False)
    model.predict(np.zeros((1 << 20, 1), np.float32), batch_size=1 << 20, verbose=0)

def copied():
    return tf.constant(np.zeros(SIZE, np.uint8))

def host():
    with tf.device("CPU:0"):
        tf.zeros([1 << 20, 1 << 20])

def error_of(way):
    try:
        way()
    except Exception as error:
        return error

def refused(*ways):
    # All at once only under BFC, where each of them waits for ten seconds: what one says may depend on the others.
    reader.reset()
    at_once = 1 if "TF_GPU_ALLOCATOR" in os.environ else len(ways)
    with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
        errors = list(threads.map(error_of, ways))
    marks = reader.read()
    return [describe(error, marks, LIMIT) for error in errors]

reader = DeviceReader()
"""
HEAD = r"out of memory on GPU:0: 4\.00 TiB were asked for \(float32 \[1048576,1048576\]\), "
IN_USE = r"(at most )?[0-9.]+ [KMG]iB were in use of "
CARD = r"the card's [0-9.]+ GiB"


@pytest.fixture
def refusals(run_tensorflow, gpu_environment):
    """The sentences for these ways, in order, after `setup` and with these variables."""

    def told(*ways, setup="", limit=None, environment=gpu_environment, size=0, **variables):
        code = f"SIZE, LIMIT = {size}, {limit}\n{setup}\n{WAYS}\ntell(refused({', '.join(ways)}))"
        return run_tensorflow(code, env={**environment, **variables})

    return told


def test_cuda_malloc_async_is_told_with_what_was_in_use_of_the_card(refusals):
    eager, kernel, *others = refusals("eager", "kernel", "graph", "jit", "fit", TF_GPU_ALLOCATOR="cuda_malloc_async")
    assert re.fullmatch(HEAD + IN_USE + CARD, eager)
    assert re.fullmatch("out of memory on GPU:0: " + IN_USE + CARD, kernel)
    for other in others:
        assert re.fullmatch(r"out of memory on GPU:0: 4\.00 TiB were asked for.*, " + IN_USE + CARD, other)


def test_cuda_malloc_which_keeps_no_count_is_told_without(refusals):
    (eager,) = refusals("eager", TF_GPU_ALLOCATOR="cuda_malloc")
    assert re.fullmatch(HEAD + "there is no more than " + CARD, eager)


def test_growth_is_told_with_what_tensorflow_leaves_itself(refusals):
    eager, kernel, graph, jit = refusals("eager", "kernel", "graph", "jit", TF_FORCE_GPU_ALLOW_GROWTH="true")
    ceiling = r"([0-9.]+ [GT]iB that TensorFlow's allocator may hold|" + CARD + ")"
    assert re.fullmatch(HEAD + IN_USE + "(the )?" + ceiling, eager)
    for other in (kernel, graph, jit):
        assert re.fullmatch("out of memory on GPU:0: .*" + IN_USE + "(the )?" + ceiling, other)


def test_a_limit_of_tf_runtime_is_the_one_in_force(refusals):
    setup = (
        "tf.config.set_logical_device_configuration(tf.config.list_physical_devices('GPU')[0],"
        " [tf.config.LogicalDeviceConfiguration(memory_limit=64)])"
    )
    eager, copied = refusals("eager", "copied", setup=setup, limit=64 * MIB, size=100 * MIB)
    allowed = IN_USE + r"the 64\.0 MiB that tf_runtime\(memory_limit=\.\.\.\) allows"
    assert re.fullmatch(HEAD + allowed, eager)
    assert re.fullmatch("out of memory on GPU:0: " + allowed, copied)


@pytest.mark.stub
def test_a_copy_to_a_full_card_is_told_though_tensorflow_only_says_that_a_tensor_is_not_initialized(refusals, new_stub):
    machine = new_stub(cards=[StubCard(total_bytes=GIB // 2)])
    (copied,) = refusals(
        "copied", environment=machine.environment(), size=300 * MIB, TF_GPU_ALLOCATOR="cuda_malloc_async"
    )
    assert re.fullmatch("out of memory on GPU:0: " + IN_USE + r"the card's 512\.0 MiB", copied)


def test_memory_of_the_host_is_not_the_devices(refusals):
    assert refusals("host", TF_GPU_ALLOCATOR="cuda_malloc_async") == [""]


def last_words(environment, code, **variables):
    """What an interpreter wrote that TensorFlow ended by SIGABRT."""
    merged = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment, **variables}
    ran = subprocess.run(
        [sys.executable, "-c", f"import tensorflow as tf\n{code}"],
        env=merged,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == -signal.SIGABRT, ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.stub
def test_tensorflow_aborts_for_want_of_pools_and_says_why(new_stub):
    machine = new_stub(cards=[StubCard(has_pools=False)])
    output = last_words(machine.environment(), "tf.constant(1.0)", TF_GPU_ALLOCATOR="cuda_malloc_async")
    assert why_aborted(output).startswith("this card or its driver cannot do what TensorFlow's cuda_malloc_async needs")


@pytest.mark.stub
def test_tensorflow_aborts_for_an_old_driver_and_says_why(new_stub):
    machine = new_stub(cuda_driver_version=11010)
    output = last_words(machine.environment(), "tf.constant(1.0)", TF_GPU_ALLOCATOR="cuda_malloc_async")
    assert why_aborted(output).startswith(
        "the driver is too old for TensorFlow's cuda_malloc_async (it is for CUDA 11.1)"
    )
