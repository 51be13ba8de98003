"""CUDA's driver, asked by ctypes. Only the standard library: the probe runs this file alone, without site-packages."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LIBRARY = "libcuda.so.1"
NOT_INSTALLED = f"CUDA's driver ({LIBRARY}) is not installed here"

# cuda.h: CUdevice_attribute, CUmemPool_attribute
_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR, _MEMORY_POOLS_SUPPORTED = 75, 76, 115
_RESERVED_MEM_HIGH, _USED_MEM_HIGH = 6, 8
_NOT_INITIALIZED = 3  # CUresult
_MOST_OF_NAME = 256
_NODES = ("/dev/nvidiactl", "/dev/dxg")  # NVIDIA's own; that of Windows, beneath WSL2


class DriverError(Exception):
    """The driver refused a call, or does not know it; its text is a clause that names the call."""


class Driver:
    """The driver's library, loaded into this process. Every method raises DriverError where the driver refuses."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def initialise(self) -> None:
        """Start the driver in this process, which cannot be forked from then on (cuInit)."""
        self._call("cuInit", 0)

    def cuda_version(self) -> int:
        """The newest CUDA that the driver has, such as 12090 for 12.9 (cuDriverGetVersion)."""
        version = ctypes.c_int()
        self._call("cuDriverGetVersion", ctypes.byref(version))
        return version.value

    def count(self) -> int:
        """How many GPUs this process can see, in CUDA's order; 0 if the driver has not been started in it."""
        count = ctypes.c_int()
        error = self._function("cuDeviceGetCount")(ctypes.byref(count))
        if error == _NOT_INITIALIZED:
            return 0
        self._check("cuDeviceGetCount", error)
        return count.value

    def has_context(self, ordinal: int) -> bool:
        """Whether this process has an active primary context on a GPU (cuDevicePrimaryCtxGetState)."""
        flags, active = ctypes.c_uint(), ctypes.c_int()
        self._call("cuDevicePrimaryCtxGetState", self._device(ordinal), ctypes.byref(flags), ctypes.byref(active))
        return bool(active.value)

    def describe(self, ordinal: int) -> dict[str, Any]:
        """What devices.Card says of a GPU, by field."""
        device = self._device(ordinal)
        name = self._text("cuDeviceGetName", device)
        total = ctypes.c_size_t()
        self._call("cuDeviceTotalMem_v2", ctypes.byref(total), device)
        capability = [
            self._attribute(which, device) for which in (_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR)
        ]
        return {
            "ordinal": ordinal,
            "uuid": self._uuid(device, name),
            "pci_bus_id": self._text("cuDeviceGetPCIBusId", device),
            "name": name,
            "total_bytes": total.value,
            "compute_capability": capability,
            "has_pools": bool(self._attribute(_MEMORY_POOLS_SUPPORTED, device)),
        }

    def reset_pool(self, ordinal: int) -> None:
        """Set the high-water marks of a GPU's default memory pool to what it holds now."""
        pool = self._default_pool(ordinal)
        for mark in (_RESERVED_MEM_HIGH, _USED_MEM_HIGH):
            self._call("cuMemPoolSetAttribute", pool, mark, ctypes.byref(ctypes.c_uint64(0)))

    def read_pool(self, ordinal: int) -> tuple[int, int]:
        """The high-water marks of a GPU's default memory pool: bytes reserved from the driver, bytes used of them."""
        pool = self._default_pool(ordinal)
        marks = [ctypes.c_uint64(), ctypes.c_uint64()]
        for attribute, mark in zip((_RESERVED_MEM_HIGH, _USED_MEM_HIGH), marks, strict=True):
            self._call("cuMemPoolGetAttribute", pool, attribute, ctypes.byref(mark))
        return marks[0].value, marks[1].value

    def region_bytes(self, ordinal: int, address: int) -> int:
        """Size of the allocation from the driver that holds `address` of a GPU (cuMemGetAddressRange).

        Only for a GPU on which this process has a context.
        """
        context = ctypes.c_void_p()
        device = self._device(ordinal)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        try:
            self._call("cuCtxPushCurrent_v2", context)
            try:
                start, size = ctypes.c_uint64(), ctypes.c_size_t()
                self._call("cuMemGetAddressRange_v2", ctypes.byref(start), ctypes.byref(size), ctypes.c_uint64(address))
                return size.value
            finally:
                self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
        finally:
            self._call("cuDevicePrimaryCtxRelease_v2", device)

    def _device(self, ordinal: int) -> ctypes.c_int:
        device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(device), ordinal)
        return device

    def _default_pool(self, ordinal: int) -> ctypes.c_void_p:
        # The default one, not the current one: it is what TensorFlow's cuda_malloc_async takes.
        pool = ctypes.c_void_p()
        self._call("cuDeviceGetDefaultMemPool", ctypes.byref(pool), self._device(ordinal))
        return pool

    def _attribute(self, which: int, device: ctypes.c_int) -> int:
        value = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(value), which, device)
        return value.value

    def _uuid(self, device: ctypes.c_int, name: str) -> str:
        raw = (ctypes.c_ubyte * 16)()
        try:
            # The second version names a MIG instance, where the first names the GPU that it is a part of.
            self._call("cuDeviceGetUuid_v2", ctypes.byref(raw), device)
        except DriverError:
            self._call("cuDeviceGetUuid", ctypes.byref(raw), device)
        digits = bytes(raw).hex()
        groups = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        return ("MIG-" if " MIG " in name else "GPU-") + "-".join(groups)

    def _text(self, function: str, device: ctypes.c_int) -> str:
        text = ctypes.create_string_buffer(_MOST_OF_NAME)
        self._call(function, text, _MOST_OF_NAME, device)
        return text.value.decode(errors="replace")

    def _call(self, function: str, *arguments: Any) -> None:
        self._check(function, self._function(function)(*arguments))

    def _function(self, name: str) -> Any:
        try:
            return getattr(self._library, name)
        except AttributeError as error:
            raise DriverError(f"CUDA's driver has no {name}") from error

    def _check(self, function: str, error: int) -> None:
        if error:
            raise DriverError(f"{function} failed with {self._name_of(error)}")

    def _name_of(self, error: int) -> str:
        name = ctypes.c_char_p()
        if self._function("cuGetErrorName")(error, ctypes.byref(name)) or not name.value:
            return f"CUDA error {error}"
        return f"{name.value.decode(errors='replace')} ({error})"


def loaded_driver() -> Driver | None:
    """The driver, if something has already loaded it into this process (Linux)."""
    if sys.platform != "linux":
        return None
    try:
        return Driver(ctypes.CDLL(LIBRARY, mode=os.RTLD_NOLOAD | os.RTLD_LAZY))
    except OSError:
        return None


def may_be_loaded(environment: Mapping[str, str]) -> bool:
    """Whether a process with this environment may find the driver's library. Takes well under a millisecond.

    Where there may be a card this does not load it; elsewhere, to try is the only way to look wherever ld.so(8) does.
    """
    folders = environment.get("LD_LIBRARY_PATH", "").split(":")
    places = (*_NODES, *(os.path.join(folder, LIBRARY) for folder in folders))
    if any(map(os.path.exists, places)):
        return True
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def describe_all() -> dict[str, Any]:
    """Start the driver in this process and describe what it sees: `cards`, `cuda_version`, or the `problem`."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return {"problem": NOT_INSTALLED}
    try:
        driver = Driver(library)
        driver.initialise()
        version = driver.cuda_version()
        return {"cards": [driver.describe(ordinal) for ordinal in range(driver.count())], "cuda_version": version}
    except DriverError as error:
        return {"problem": str(error)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(describe_all()))
