"""The stand-in CUDA's memory pools: what they take from the driver, when they give it back, and their marks."""

from __future__ import annotations

import pytest

from tests.gpu_stub.by_hand import on
from tests.gpu_stub.machine import MIB

pytestmark = pytest.mark.stub

POOLS = """
def marks():
    found = []
    for attribute in (5, 6, 7, 8):  # reserved now and at most, used now and at most
        value = ctypes.c_uint64()
        assert cuda.cuMemPoolGetAttribute(pool, attribute, ctypes.byref(value)) == 0
        found.append(value.value)
    return found

def from_pool(size):
    address = ctypes.c_void_p()
    return cuda.cuMemAllocFromPoolAsync(ctypes.byref(address), ctypes.c_size_t(size), pool, None) or address

def set_mark(attribute, value):
    return cuda.cuMemPoolSetAttribute(pool, attribute, ctypes.byref(ctypes.c_uint64(value)))

use()
pool = ctypes.c_void_p()
assert cuda.cuDeviceGetDefaultMemPool(ctypes.byref(pool), 0) == 0
"""


def test_a_pool_grows_by_blocks_and_its_marks_can_be_reset(stub):
    code = """
address = from_pool(40 * MIB + 1); tell(marks())
assert cuda.cuMemFreeAsync(address, None) == 0
tell([set_mark(6, 1), set_mark(5, 0), set_mark(6, 0), set_mark(8, 0)])
tell(marks())
tell(usage())
"""
    grown, errors, reset, usage = on(stub, POOLS + code)
    used = 40 * MIB + 512
    assert grown == [64 * MIB, 64 * MIB, used, used]
    assert errors == [1, 1, 0, 0]  # only to zero, and only the marks
    assert reset == [64 * MIB, 64 * MIB, 0, 0]
    assert usage["pool_reserved_bytes"] == 64 * MIB


def test_a_pool_gives_back_what_is_over_its_threshold_when_work_is_waited_for(stub):
    code = """
cuda.cuMemFreeAsync(from_pool(100 * MIB), None)
set_mark(4, 64 * MIB); tell(marks()[0])
cuda.cuCtxSynchronize(); tell(marks()[0])
set_mark(4, 0); cuda.cuStreamSynchronize(None); tell(marks()[0])
"""
    assert on(stub, POOLS + code) == [128 * MIB, 64 * MIB, 0]
