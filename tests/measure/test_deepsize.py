"""The deep size of a value: each object, buffer and tensor once."""

from __future__ import annotations

import ctypes
import importlib.util
import mmap
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from pytest_tfmem.measure.deepsize import DeepSize

MIB = 1 << 20


def size(value):
    return DeepSize(value).bytes


@dataclass
class Plain:
    one: object
    other: object


class Slotted:
    __slots__ = ("set_", "unset")

    def __init__(self, value):
        self.set_ = value


class Told:
    def __init__(self):
        self.kept = bytes(MIB)

    def __sizeof__(self):
        return 1000


def test_pythons_objects_are_followed_and_counted_once():
    text = "x" * 1000
    assert size([text, text]) == sys.getsizeof([0, 0]) + sys.getsizeof(text)
    assert size({"k": text}) == sys.getsizeof({"k": 0}) + sys.getsizeof("k") + sys.getsizeof(text)
    assert size(Plain(bytes(MIB), {1, 2})) > MIB
    assert size(Slotted(bytes(MIB))) > MIB
    endless = [bytes(MIB)]
    endless.append(endless)
    assert MIB < size(endless) < MIB + 1000


def test_what_belongs_to_the_program_is_not_counted():
    assert size([sys, len, Plain, size]) == sys.getsizeof([0] * 4)


def test_a_class_that_says_its_own_size_is_believed():
    assert 1000 <= size(Told()) < 1100


def test_an_arrays_buffer_is_counted_whole_and_once():
    array = np.zeros(MIB, np.uint8)
    assert MIB <= size(array) < MIB + 500
    assert MIB <= size([array, array[:10], array.reshape(2, -1)]) < MIB + 1000
    assert MIB <= size(array[:1]) < MIB + 500
    assert MIB <= size(np.frombuffer(bytes(MIB), np.uint8)[3:]) < MIB + 1000
    assert size(np.array([bytes(MIB), None], dtype=object)) > MIB
    with mmap.mmap(-1, MIB) as mapped:
        assert MIB <= size(np.frombuffer(mapped, np.uint8, count=10)) < MIB + 1000
    assert MIB <= size(np.from_dlpack(array)[:1]) < MIB + 1000
    assert MIB <= size([np.frombuffer(memory_of_c(array), np.uint8), None]) < MIB + 1000


def test_a_class_of_no_module_is_an_object_like_others():
    assert size(np.ctypeslib.as_ctypes(np.zeros(MIB, np.uint8))) > 0


def memory_of_c(array):
    """A view of its memory that tells of no object."""
    made = ctypes.pythonapi.PyMemoryView_FromMemory
    made.restype, made.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
    return made(array.ctypes.data, array.nbytes, 0x100)


# In a process of its own: TensorFlow's devices would be up in this one, for every test after it.
_OF_TENSORFLOW = """
import sys
import tensorflow as tf
from pytest_tfmem.measure.deepsize import DeepSize

MIB = 1 << 20

def size(value):
    return DeepSize(value).bytes

assert size(tf.zeros([256, 1024])) == MIB
tensor, variable = tf.zeros([256, 1024]), tf.Variable(tf.zeros([256, 1024], tf.float16))
assert size((tensor, tensor, variable)) == sys.getsizeof((0,) * 3) + MIB + MIB // 2
assert size(tf.RaggedTensor.from_row_lengths(tf.zeros([256 * 1024]), [256 * 1024])) >= MIB
layer = tf.keras.layers.Dense(1024, use_bias=False)
layer.build([None, 256])
assert size(layer) == MIB
model = tf.keras.Sequential([tf.keras.Input([256]), layer])
model.compile(tf.keras.optimizers.Adam(), "mse")
model.optimizer.build(model.trainable_variables)
assert 3 * MIB <= size(model) < 3 * MIB + 1000
assert size(model.optimizer) >= 2 * MIB
metric = tf.keras.metrics.AUC(num_thresholds=1000)
assert size(metric) >= 4 * 1000 * 4
assert DeepSize([tf.constant(["a", "b"])]).uncounted == ["a tensor of string"]
assert DeepSize(tf.data.Dataset.from_tensor_slices([1])).uncounted == ["what a _TensorSliceDataset holds"]
assert DeepSize([model, metric, tf.float32, tf.TensorShape([1])]).uncounted == []
"""


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_a_value_of_tensorflow_is_its_tensors_and_what_there_is_no_telling_of_is_said():
    ran = subprocess.run([sys.executable, "-c", _OF_TENSORFLOW], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
