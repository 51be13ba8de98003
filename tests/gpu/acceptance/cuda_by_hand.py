"""For tests of a project: a context and memory on a GPU by CUDA's driver alone, without a framework's start."""

import ctypes
import os
from pathlib import Path

from tests.gpu_stub.machine import StubMachine


def machine():
    """The stand-in machine that this process is on."""
    return StubMachine.opened(os.environ["TFMEM_STUB_MACHINE"])


def take(size, ordinal=0):
    """Hold so many bytes of a visible GPU until this process ends."""
    cuda = ctypes.CDLL("libcuda.so.1")
    device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
    for error in (
        cuda.cuInit(0),
        cuda.cuDeviceGet(ctypes.byref(device), ordinal),
        cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device),
        cuda.cuCtxSetCurrent(context),
        cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(size)),
    ):
        assert error == 0


def company():
    """Processes other than this one that hold any of the cards that are visible here."""
    visible = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
    here = machine()
    places = [place for place, card in enumerate(here.cards) if card.uuid in visible]
    assert len(places) == len(visible)
    return sorted({pid for place in places for pid in here.processes(place)} - {os.getpid()})


def reached(name):
    """Say so, by a file that others wait for."""
    Path(os.environ["PLACES"], name).touch()
