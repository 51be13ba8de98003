"""Processes that call CUDA by hand on a stand-in machine, without TensorFlow's seconds."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.isolate.fresh import told

DRIVER = """
import ctypes
cuda = ctypes.CDLL("libcuda.so.1")

def use(ordinal=0):
    context = ctypes.c_void_p()
    error = cuda.cuInit(0) or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), ordinal)
    return error or cuda.cuCtxSetCurrent(context)

def allocate(size):
    address = ctypes.c_void_p()
    error = cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(size))
    return error or address

def free_bytes():
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    return cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) or free.value

def number(function, *arguments):
    found = ctypes.c_int(-1)
    return function(ctypes.byref(found), *arguments) or found.value
"""
OWN_USAGE = """
import dataclasses, os
from tests.gpu_stub.machine import StubMachine
machine = StubMachine.opened(os.environ["TFMEM_STUB_MACHINE"])

def usage(card=0):
    return dataclasses.asdict(machine.processes(card)[os.getpid()])
"""
MIB_IN_CHILD = "MIB = 1 << 20\n"


def on(machine, code, **environment):
    """What the code tells, in a process on this machine."""
    return told(MIB_IN_CHILD + DRIVER + OWN_USAGE + code, environment={**machine.environment(), **environment})


class Running:
    """A process on the machine that has run `code` and waits."""

    def __init__(self, machine, code):
        text = MIB_IN_CHILD + DRIVER + code + "\nprint(); input()"
        env = {**os.environ, **machine.environment()}
        self._process = subprocess.Popen(
            [sys.executable, "-c", text], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid

    def __enter__(self):
        assert self._process.stdout.readline() == b"\n"
        return self

    def kill(self):
        self._process.kill()
        self._process.wait()

    def __exit__(self, *of_exception):
        with self._process:
            self._process.kill()
