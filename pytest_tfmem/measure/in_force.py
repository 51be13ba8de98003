"""Which of TensorFlow's allocators is in force: what a tensor costs tells, not what was asked for."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_tfmem.measure.cuda_driver import DriverError, loaded_driver

if TYPE_CHECKING:
    from pytest_tfmem.measure.logical_gpus import Gpu

# cuda_malloc_async counts it as 250 bytes, BFC as its smallest chunk, and memory_guard's words do not fit into that.
TINY_BYTES = 250
_CHUNK_BYTES = 256
_MOST_OF_GUARDED_BYTES = 1024
_TRIES = 3  # another thread may make tensors meanwhile; and a GPU's first tensor has the device allocate for itself
_MIB = 1 << 20
_FIRST_REGION_BYTES = 2 * _MIB  # of a BFC allocator that grows
_NO_STATISTICS = "Allocator stats not available"  # TFE_GetMemoryInfo
_NAMES = {
    "bfc": "TensorFlow's BFC allocator, which takes all that it may at once,",
    "growth": "TensorFlow's BFC allocator that grows",
    "memory_guard": "TensorFlow's memory_guard",
}


class InForce(NamedTuple):
    """An allocator that was found to be in force, and how that shows; or why it could not be found.

    `cost`: what a tensor of 250 bytes cost, None where none was made. `region_bytes`: of "bfc", what it had taken from
    the driver at once, which is all that it takes while there is room in it; None where the driver does not say.
    """

    allocator: str
    cost: int | None = None
    unverified: str = ""
    region_bytes: int | None = None


def configured(gpu: Gpu) -> str:
    """The GPU allocator as the process's variables and settings have it, which is not yet what is in force."""
    named = os.environ.get("TF_GPU_ALLOCATOR", "")
    if named in {"cuda_malloc_async", "cuda_malloc", "memory_guard"}:
        return named  # TensorFlow ignores any other value
    # Only these two spellings count, and they overrule set_memory_growth (gpu_bfc_allocator.cc).
    forced = {"true": True, "false": False}.get(os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH", ""))
    if forced is None and gpu.physical is not None:
        forced = _tf().config.experimental.get_memory_growth(gpu.physical)
    return "growth" if forced else "bfc"


def find_in_force(gpu: Gpu, info: dict[str, int] | str) -> InForce:
    """The allocator of a GPU on which the process has made tensors, by what one more costs.

    `info`: its memory info, or why there is none. What the GPU's allocator holds is as before; its peak since the
    last reset may be 256 bytes higher. The first tensor that this process itself puts on a GPU may have TensorFlow
    allocate some 1,300 bytes there for good, as any first tensor does.
    """
    if isinstance(info, str):
        return _without_statistics(gpu, info)
    if gpu.limit is not None and gpu.limit - info["current"] < _MIB:
        # Where there is no room, BFC waits ten seconds for some.
        return InForce(configured(gpu), unverified=f"{gpu.name} has no room for another tensor")
    try:
        cost, region_bytes = _cost_of_tiny_tensor(gpu.name, gpu.ordinal)
    except Exception as error:  # noqa: BLE001  whatever TensorFlow raises, the test has done nothing wrong
        return InForce(configured(gpu), unverified=f"a tensor could not be made on {gpu.name} ({error})")
    allocator = _allocator_with(cost)
    if allocator is None:
        return InForce(configured(gpu), cost, unverified=f"what a tensor of {TINY_BYTES} bytes costs could not be told")
    if allocator != "bfc":
        return InForce(allocator, cost)
    grows = _shows_growth(region_bytes, gpu.limit, info["peak"])
    if grows is None:
        grows = configured(gpu) == "growth"
    return InForce("growth", cost) if grows else InForce("bfc", cost, region_bytes=region_bytes)


def find_cpu_in_force(device: str) -> InForce:
    """TensorFlow's CPU allocator: "cpu_bfc" where a small tensor is counted, "cpu" where it is not."""
    try:
        cost, _ = _cost_of_tiny_tensor(device, None)
    except Exception as error:  # noqa: BLE001  the same
        return InForce("cpu_bfc", unverified=f"a tensor could not be made on {device} ({error})")
    return InForce("cpu_bfc" if cost == _CHUNK_BYTES else "cpu", cost)


def mismatch(asked: str, device: str, found: InForce) -> str:
    """A sentence for the user where another allocator is in force than was asked for; else empty."""
    if not asked or found.unverified or found.allocator == asked:
        return ""
    name = _NAMES.get(found.allocator, found.allocator)
    shown = f": a tensor of {TINY_BYTES} bytes cost {found.cost}" if found.cost is not None else ""
    return f"{asked} was asked for, but {name} is in force on {device}{shown}. {_likely_reason(asked)}"


def _likely_reason(asked: str) -> str:
    named = os.environ.get("TF_GPU_ALLOCATOR")
    growth = os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH")
    wanted = asked if asked in {"cuda_malloc_async", "cuda_malloc"} else None
    changed = "something changed it before TensorFlow made its devices"
    where = "look for os.environ in the test's file, its conftest.py and its fixtures"
    if named != wanted:
        return f"TF_GPU_ALLOCATOR {_says(named)}: {changed}; {where}"
    if wanted is None and growth != {"growth": "true", "bfc": "false"}[asked]:
        decides = "set_memory_growth or set_logical_device_configuration then decides"
        return f"TF_FORCE_GPU_ALLOW_GROWTH {_says(growth)}: {changed}, and {decides}; {where}"
    return f"TensorFlow's variables said something else when it made its devices; {where}"


def _without_statistics(gpu: Gpu, why_not: str) -> InForce:
    # Of TensorFlow's own GPU allocators only this one keeps none; a plug-in's may not either.
    if _NO_STATISTICS in why_not and loaded_driver() is not None:
        return InForce("cuda_malloc")
    return InForce(configured(gpu), unverified=why_not)


def _allocator_with(cost: int | None) -> str | None:
    """The GPU allocator with which a tensor of 250 bytes costs this; "bfc" stands for "growth" too."""
    if cost is None or not TINY_BYTES <= cost <= _MOST_OF_GUARDED_BYTES:
        return None
    return {TINY_BYTES: "cuda_malloc_async", _CHUNK_BYTES: "bfc"}.get(cost, "memory_guard")


def _says(value: str | None) -> str:
    return "is not set now" if value is None else f"is {value!r} now"


def _cost_of_tiny_tensor(device: str, ordinal: int | None) -> tuple[int | None, int | None]:
    """What a tensor of 250 bytes adds to what the device's allocator holds; and the region that it lies in, if known.

    The cost is None where it comes out differently each time. Raises what TensorFlow raises.
    """
    tf = _tf()
    costs = []
    region_bytes = None
    with tf.init_scope(), tf.device(device):  # out of any graph that is being built
        if not tf.executing_eagerly():
            raise RuntimeError("eager execution is disabled")
        for _ in range(_TRIES):
            before = _in_use(device)
            tensor = tf.constant([0] * TINY_BYTES, tf.uint8)  # a copy to the device: no operation runs
            costs.append(_in_use(device) - before)
            if ordinal is not None and region_bytes is None and costs[-1] == _CHUNK_BYTES:
                region_bytes = _region_bytes(ordinal, tensor)
            del tensor
            if costs[-1] in {TINY_BYTES, _CHUNK_BYTES}:
                return costs[-1], region_bytes
    least = min(costs)
    return (least if costs.count(least) > 1 else None), region_bytes


def _in_use(device: str) -> int:
    return int(_tf().config.experimental.get_memory_info(device)["current"])


def _region_bytes(ordinal: int, tensor: Any) -> int | None:
    """Size of what BFC had taken from the driver at once where `tensor` lies; None where the driver does not say."""
    driver = loaded_driver()
    if driver is None:
        return None
    capsule = _tf().experimental.dlpack.to_dlpack(tensor)
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    # A DLManagedTensor begins with a DLTensor, and that with the address of the data (dlpack.h).
    address = ctypes.c_void_p.from_address(pointer_of(capsule, b"dltensor")).value
    try:
        return driver.region_bytes(ordinal, address or 0) or None
    except DriverError:
        return None


def _shows_growth(region_bytes: int | None, limit: int | None, peak: int) -> bool | None:
    """Whether BFC grows, by one of its regions; None where that leaves it open.

    One that grows takes 2 MiB and then twice as much each time, until what is wanted fits (BFCAllocator::Extend); one
    that does not takes all that it may at once.
    """
    if region_bytes is None:
        return None
    is_power_of_two = region_bytes & (region_bytes - 1) == 0
    if is_power_of_two and region_bytes >= _FIRST_REGION_BYTES and region_bytes != limit:
        return True
    return False if region_bytes > max(8 * peak, 32 * _FIRST_REGION_BYTES) else None


def _tf() -> Any:
    return sys.modules["tensorflow"]
