"""JAX's GPU allocators: what each device's memory_stats() says."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pytest_tfmem.measure.devices import AllocatorMarks

if TYPE_CHECKING:
    from pytest_tfmem.measure.cuda import CardsHere

_GPU_PLATFORMS = {"gpu", "cuda", "rocm"}


class JaxAllocators:
    """What jax.Device.memory_stats says of each local GPU. JAX has no reset: its peaks are the process's own."""

    def is_up(self) -> bool:
        # Private: jax.devices(), which would know, starts the GPUs if nothing has.
        bridge = sys.modules.get("jax._src.xla_bridge")
        asked = getattr(bridge, "backends_are_initialized", None)
        return "jax" in sys.modules and asked is not None and bool(asked())

    def reset(self) -> None:
        return

    def read(self, here: CardsHere) -> tuple[list[AllocatorMarks], str]:
        # local_hardware_id is the GPU's place among those that CUDA shows this process.
        cards: dict[int | None, str] = {card.ordinal: card.uuid for card in here.used}
        gpus = [device for device in sys.modules["jax"].local_devices() if device.platform in _GPU_PLATFORMS]
        return [_read(device, cards.get(getattr(device, "local_hardware_id", None), "")) for device in gpus], ""


def _read(device: Any, card: str) -> AllocatorMarks:
    name = f"GPU:{device.id}"
    stats = _stats(device)
    if isinstance(stats, str):
        return AllocatorMarks(
            framework="jax", device=name, card=card, allocator="jax", since_reset=False, why_not=stats
        )
    return AllocatorMarks(
        framework="jax",
        device=name,
        card=card,
        allocator="jax",
        limit=stats.get("bytes_limit") or None,
        in_use=stats["bytes_in_use"],
        peak=stats["peak_bytes_in_use"],
        reserved_peak=stats.get("peak_pool_bytes"),
        since_reset=False,
    )


def _stats(device: Any) -> dict[str, int] | str:
    """The device's statistics, or why it has none."""
    try:
        stats: dict[str, int] | None = device.memory_stats()
    except RuntimeError as error:  # JaxRuntimeError: UNIMPLEMENTED
        return f"JAX keeps no statistics of this device ({error})"
    if not stats or not {"bytes_in_use", "peak_bytes_in_use"} <= stats.keys():
        return "JAX's allocator keeps no statistics, as with XLA_PYTHON_CLIENT_ALLOCATOR=platform"
    return stats
