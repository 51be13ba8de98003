"""Which GPU each of TensorFlow's logical GPUs is on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_tfmem.measure.cuda import CardsHere


class Gpu(NamedTuple):
    """A logical GPU: its place among TensorFlow's, the physical one that it is a part of, and its limit in bytes.

    `physical` is TensorFlow's object; `ordinal` is its place among the GPUs that CUDA shows this process, and `card`
    its uuid; None and empty where that cannot be told.
    """

    place: int
    physical: Any
    ordinal: int | None
    card: str
    limit: int | None

    @property
    def name(self) -> str:
        return f"GPU:{self.place}"


def list_gpus(here: CardsHere) -> Iterator[Gpu]:
    """The logical GPUs in TensorFlow's order, which is by physical GPU. Only while its devices are up."""
    config = _tf().config
    physical = config.list_physical_devices("GPU")
    parts = [(device, limit) for device in config.get_visible_devices("GPU") for limit in _limits(config, device)]
    # TensorFlow leaves out GPUs that it cannot use: only if there are none do its numbers agree with CUDA's.
    numbered_as_cuda_does = len(physical) == here.visible
    cards = {card.ordinal: card.uuid for card in here.used}
    count = count_gpus()
    for index in range(count):
        device, limit = parts[index] if len(parts) == count else (None, None)
        ordinal = physical.index(device) if device is not None and numbered_as_cuda_does else None
        yield Gpu(index, device, ordinal, "" if ordinal is None else cards.get(ordinal, ""), limit)


def _limits(config: Any, device: Any) -> list[int | None]:
    """The limit in bytes of each logical device that a physical one is split into."""
    parts = config.get_logical_device_configuration(device) or [None]
    return [None if part is None else int(part.memory_limit * (1 << 20)) for part in parts]  # it counts in MiB


def count_gpus() -> int:
    """How many logical GPUs TensorFlow has in this process. Only while its devices are up."""
    # Of a cluster, only this process's own: the others have a job or a task of another name.
    names = [device.name for device in _tf().config.list_logical_devices("GPU")]
    return sum("/job:" not in name or "/job:localhost/" in name for name in names)


def _tf() -> Any:
    return sys.modules["tensorflow"]
