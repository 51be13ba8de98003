"""The GPUs of one session: which there are, what can be measured of them, and who holds them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_tfmem.isolate.allocators import GpuFacts
from pytest_tfmem.isolate.lease import Leases
from pytest_tfmem.measure.cuda import start_probe
from pytest_tfmem.measure.footprint import Footprint
from pytest_tfmem.measure.nvml import Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_tfmem.isolate.lease import Lease
    from pytest_tfmem.measure.cuda import PendingProbe, Probe
    from pytest_tfmem.measure.devices import Card

SWITCHED_OFF = "switched off by --tfmem-gpu=off"


class Gpus:
    """Asks CUDA, in a short-lived process, once and only when something depends on it.

    `switched_off`: nothing of a GPU is measured, and none is leased. `lease_dir`: where sessions keep their locks.
    """

    def __init__(self, *, switched_off: bool, lease_dir: Path | None, environ: Mapping[str, str] = os.environ) -> None:
        self._switched_off = switched_off
        self._lease_dir = lease_dir
        self._environ = environ
        self._pending: PendingProbe | None = None
        self._driver: Driver | None = None
        self._leases: Leases | None = None

    def look(self) -> None:
        """Have CUDA asked in the background."""
        if self._pending is None and not self._switched_off:
            self._pending = start_probe(self._environ)

    @property
    def cards(self) -> Sequence[Card]:
        """Those that a test's process sees, in CUDA's order."""
        return self._probe.cards if self._probe else ()

    @property
    def why_not(self) -> str:
        """Why nothing of a GPU is measured, as a clause; empty if something can be."""
        if self._probe is None:
            return SWITCHED_OFF
        return "" if self._probe.cards else self._probe.why_none()

    def facts(self) -> GpuFacts:
        """What the choice of an allocator depends on."""
        probe = self._probe
        return GpuFacts(has_gpu=bool(probe and probe.cards), why_no_async=probe.why_no_async() if probe else "")

    def lease(self, count: int, *, nodeid: str, on_wait: Callable[[str], None]) -> Lease | None:
        """`count` cards for this test alone, once they are free; None where there is none, or none is wanted.

        Raises TfmemError if there are fewer.
        """
        if not count or not self.cards:
            return None
        if self._leases is None:
            self._leases = Leases([card.uuid for card in self.cards], self._lease_dir)
        return self._leases.acquire(count, nodeid=nodeid, on_wait=on_wait)

    def footprint(self, pid: int, *, exclusive: Sequence[str]) -> Footprint:
        """What reads from the driver what this process holds. `exclusive`: uuids of the cards that it has leased."""
        if self._driver is None:
            self._driver = Driver()
        return Footprint(self._driver, pid, exclusive=exclusive)

    def close(self) -> None:
        """Let go of the driver."""
        if self._pending is not None:
            self._pending.abandon()
        if self._driver is not None:
            self._driver.close()

    @property
    def _probe(self) -> Probe | None:
        self.look()
        return self._pending.result() if self._pending else None
