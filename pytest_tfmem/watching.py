"""What is watched of one process beside pytest, and all the readings that come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.figures import NotMeasured
from pytest_tfmem.measure.device_readings import (
    NO_DEVICE,
    ROUNDING,
    allocator_in_force,
    cards_used,
    device_readings,
    incomplete,
)
from pytest_tfmem.measure.readings import host_readings, readings_of_the_dead

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_tfmem.figures import FigureReading, Phase
    from pytest_tfmem.isolate.allocators import Choice
    from pytest_tfmem.isolate.gpus import Gpus
    from pytest_tfmem.isolate.lease import Lease
    from pytest_tfmem.isolate.runtime import Runtime
    from pytest_tfmem.isolate.watched import Watched
    from pytest_tfmem.measure.devices import DeviceMarks, TensorPeak
    from pytest_tfmem.measure.footprint import Footprint

HIDDEN = "tf_runtime hides them"


class Watch:
    """How a process with this runtime is watched, and what its figures then are. `lease`: the cards that it holds."""

    def __init__(self, gpus: Gpus, runtime: Runtime, choice: Choice, lease: Lease | None) -> None:
        self._gpus = gpus
        self._hides_gpus = runtime.hides_gpus
        self._cards = lease.cards if lease else ()
        self._rounds_up = choice.allocator in ROUNDING

    @property
    def sees_gpus(self) -> bool:
        return bool(self._gpus.cards) and not self._hides_gpus

    @property
    def retries(self) -> bool:
        """Whether its GPU allocator tries again for a while what it could not give."""
        return self.sees_gpus and self._rounds_up

    @property
    def footprint(self) -> Callable[[int], Footprint] | None:
        """What reads from the driver what a process holds, by its id; None where there is nothing to read."""
        return self._footprint if self.sees_gpus else None

    def readings(self, test: Watched, tensors: Sequence[TensorPeak] | str = "") -> dict[str, FigureReading]:
        """Every figure's. `tensors`: what a profiled run added up to, or why there was none, empty if none wanted."""
        observed = test.observed
        of_devices = self.device_readings(test, observed.devices, tensors)
        if observed.died:
            dead = readings_of_the_dead(observed.phases, test.samples, observed.sections)
            return dead | incomplete(of_devices)
        return host_readings(observed.phases, test.samples) | of_devices

    def device_readings(
        self,
        test: Watched,
        devices: Mapping[Phase, DeviceMarks | None],
        tensors: Sequence[TensorPeak] | str,
    ) -> dict[str, FigureReading]:
        """The device figures, of these marks."""
        return device_readings(
            devices,
            footprint=self._footprint_reading(test),
            tensors=tensors,
            no_gpu=self._gpus.why_not or (HIDDEN if self._hides_gpus else ""),
        )

    def _footprint(self, pid: int) -> Footprint:
        return self._gpus.footprint(pid, exclusive=self._cards)

    def _footprint_reading(self, test: Watched) -> FigureReading:
        devices = test.observed.devices
        if test.footprint is None:
            return NotMeasured(NO_DEVICE)
        return test.footprint.reading(cards_used(devices), allocator_in_force(devices))
