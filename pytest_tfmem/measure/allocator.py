"""What the device allocators of a process's frameworks hold, asked in that process and without changing it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from pytest_tfmem.measure.cuda import CardsHere, cards_here, read_pools, reset_pools
from pytest_tfmem.measure.devices import DeviceMarks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_tfmem.measure.devices import AllocatorMarks

FRAMEWORKS = ("tensorflow", "jax", "torch")


class FrameworkAllocators(Protocol):
    """The device allocators of one framework. None of this starts a device, or raises for want of one."""

    def is_up(self) -> bool:
        """Whether the framework is imported and has made its devices."""

    def reset(self) -> None:
        """Set the peak of each allocator, where the framework can, to what it holds now. Only while it is up."""

    def read(self, here: CardsHere) -> tuple[list[AllocatorMarks], str]:
        """What each allocator says, and a sentence where one is in force that was not asked for. Only while it is up.

        `here`: the GPUs of this process, to say which of them a device is on.
        """


class DeviceReader:
    """Reads the devices of this process for one test. It imports no framework and starts no device.

    `asked`: TensorFlow's GPU allocator as the test's runtime asks for it, empty if it leaves that open. `verifies`:
    whether it may find out by a tensor of its own which is in force; not while a profile is taken, which would hold it.
    """

    def __init__(self, asked: str = "", *, verifies: bool = True) -> None:
        self._asked = asked
        self._verifies = verifies
        self._readers: dict[str, FrameworkAllocators] = {}
        self._why_not_reset = ""

    def reset(self) -> None:
        """Set the peaks of allocators and pools to what they hold now: to be called where a phase begins."""
        for reader in self._up():
            reader.reset()
        self._why_not_reset = reset_pools(cards_here().used)

    def read(self) -> DeviceMarks | None:
        """What allocators and pools have held at most since the last reset; None where no framework is imported.

        The first time that a GPU of TensorFlow's is seen in use, a tensor of 250 bytes is put on it after its marks
        were read, to find out which allocator is in force: until the next reset, its peak may be that much too high.
        """
        if not any(framework in sys.modules for framework in FRAMEWORKS):
            return None
        here = cards_here()
        pools = read_pools(here.used)  # before a tensor is put on them
        allocators: list[AllocatorMarks] = []
        problems = []
        for reader in self._up():
            marks, problem = reader.read(here)
            allocators += marks
            problems.append(problem)
        driver_problem = here.problem or pools.problem or self._why_not_reset
        return DeviceMarks(
            cards=here.used,
            allocators=allocators,
            # A mark that could not be reset is not one of this phase.
            pools=[] if self._why_not_reset else pools.pools,
            problem=next(filter(None, problems), ""),
            driver_problem=driver_problem,
        )

    def _up(self) -> Iterator[FrameworkAllocators]:
        for framework in FRAMEWORKS:
            if framework in sys.modules:
                reader = self._readers.get(framework) or self._readers.setdefault(framework, self._reader(framework))
                if reader.is_up():
                    yield reader

    def _reader(self, framework: str) -> FrameworkAllocators:
        # Each is imported where its framework is: a process has hardly ever more than one.
        if framework == "tensorflow":
            from pytest_tfmem.measure.tensorflow_allocator import TensorFlowAllocators  # noqa: PLC0415

            return TensorFlowAllocators(self._asked, verifies=self._verifies)
        if framework == "jax":
            from pytest_tfmem.measure.jax_allocator import JaxAllocators  # noqa: PLC0415

            return JaxAllocators()
        from pytest_tfmem.measure.torch_allocator import TorchAllocators  # noqa: PLC0415

        return TorchAllocators()
