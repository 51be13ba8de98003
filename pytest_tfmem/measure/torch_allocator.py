"""PyTorch's GPU allocators: what torch.cuda.memory_stats says of each GPU."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pytest_tfmem.measure.devices import AllocatorMarks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.measure.cuda import CardsHere
    from pytest_tfmem.measure.devices import Card


class TorchAllocators:
    """What PyTorch's caching allocator counts on each GPU: blocks of 512 bytes; and what was requested of it."""

    def is_up(self) -> bool:
        cuda = getattr(sys.modules.get("torch"), "cuda", None)
        return cuda is not None and bool(cuda.is_initialized())

    def reset(self) -> None:
        cuda = _cuda()
        for index in range(cuda.device_count()):
            cuda.reset_peak_memory_stats(index)

    def read(self, here: CardsHere) -> tuple[list[AllocatorMarks], str]:
        cuda = _cuda()
        return [_read(cuda, index, here.used) for index in range(cuda.device_count())], ""


def _read(cuda: Any, index: int, cards: Sequence[Card]) -> AllocatorMarks:
    stats = cuda.memory_stats(index)
    # PyTorch's own allocator counts requests since 2.0; under cudaMallocAsync it does not, and leaves 0.
    requested = stats.get("requested_bytes.all.peak") or None
    return AllocatorMarks(
        framework="torch",
        device=f"GPU:{index}",
        card=_card(cuda.get_device_properties(index), cards),
        allocator="torch",
        in_use=stats.get("allocated_bytes.all.current", 0),
        peak=stats.get("allocated_bytes.all.peak", 0),
        reserved_peak=stats.get("reserved_bytes.all.peak"),
        requested_peak=requested,
    )


def _card(properties: Any, cards: Sequence[Card]) -> str:
    """The uuid of the GPU with these properties, by its own uuid or its place on the bus; empty if none is."""
    uuid = str(getattr(properties, "uuid", "")).lower()  # without "GPU-"; since PyTorch 2.4
    place = tuple(getattr(properties, f"pci_{part}_id", None) for part in ("domain", "bus", "device"))
    for card in cards:
        if uuid and card.uuid.lower().endswith(uuid):
            return card.uuid
        if place == _place(card.pci_bus_id) and not card.uuid.startswith("MIG-"):
            return card.uuid
    return ""


def _place(pci_bus_id: str) -> tuple[int, int, int]:
    """Domain, bus and device of "0000:01:00.0"."""
    domain, bus, device = pci_bus_id.split(":")
    return int(domain, 16), int(bus, 16), int(device.partition(".")[0], 16)


def _cuda() -> Any:
    return sys.modules["torch"].cuda
