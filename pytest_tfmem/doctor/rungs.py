"""Which rung of each GPU figure's ladder a card stands on, and how to climb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tfmem.doctor.diagnosis import Check
from pytest_tfmem.measure.joining import CLIMB, why_no_sizes
from pytest_tfmem.measure.nvml_library import DriverError

if TYPE_CHECKING:
    from pytest_tfmem.doctor.diagnosis import State
    from pytest_tfmem.figures import Exactness
    from pytest_tfmem.measure.joining import Surroundings
    from pytest_tfmem.measure.nvml import Driver

_ACCOUNTING = "exact with accounting, which counts every allocation: nvidia-smi -am 1, as root"
_COUNT_REQUESTED = "gpu_tensors=True on memory_budget has what was requested counted exactly, by a second run"
_NEWER = "a driver with CUDA 11.2 or newer, and a card of compute capability 6.0 or higher with memory pools"


@dataclass(frozen=True, kw_only=True)
class Rung:
    """How a figure of one card is measured; `reason` why it is not, on a card that is not held for the test alone."""

    figure: str
    said: str
    state: State = "ok"
    help: str = ""
    exactness: Exactness | None = None
    source: str = ""
    reason: str = ""

    def check(self, device: str) -> Check:
        return Check(name=self.figure, state=self.state, said=self.said, help=self.help, device=device)


def rungs_of(driver: Driver, uuid: str, around: Surroundings, why_no_async: str) -> list[Rung]:
    """One for each figure of a GPU. `why_no_async`: why cuda_malloc_async cannot be had on it, empty if it can."""
    return [*_of_allocators(why_no_async), _footprint(driver, uuid, around)]


def _of_allocators(why_no_async: str) -> list[Rung]:
    if why_no_async:
        return [_growth(why_no_async), _replayed(), _not_told()]
    return [
        Rung(
            figure="gpu",
            said="exact under cuda_malloc_async, the default; an upper bound under growth and bfc, which round up;"
            " none under cuda_malloc, which counts nothing",
            exactness="exact",
            source="cuda_malloc_async (tensorflow)",
        ),
        Rung(
            figure="gpu_tensors",
            said="exact: under cuda_malloc_async the same as gpu, under growth and bfc by a second run",
            exactness="exact",
            source="cuda_malloc_async (tensorflow)",
        ),
        Rung(
            figure="gpu_reserved",
            said="exact under cuda_malloc_async, by the high mark of the driver's pool; else at most gpu_footprint",
            exactness="exact",
            source="high mark of the driver's pool (cuMemPoolGetAttribute)",
        ),
    ]


def _growth(why_no_async: str) -> Rung:
    return Rung(
        figure="gpu",
        state="note",
        said=f"an upper bound under growth, which is the default here for want of cuda_malloc_async: {why_no_async}",
        help=f"{_NEWER}; or {_COUNT_REQUESTED}",
        exactness="upper-bound",
        source="growth (tensorflow)",
    )


def _replayed() -> Rung:
    return Rung(
        figure="gpu_tensors",
        said="exact, where gpu_tensors=True on memory_budget asks for a second run",
        exactness="exact",
        source="events of a second, profiled run",
    )


def _not_told() -> Rung:
    return Rung(
        figure="gpu_reserved",
        state="note",
        said="an upper bound: gpu_footprint, as growth does not say what it reserves",
        exactness="upper-bound",
        source="gpu_footprint",
    )


def _footprint(driver: Driver, uuid: str, around: Surroundings) -> Rung:
    accounting = _accounting(driver, uuid)
    if accounting == "on" and not around.own_pids:
        source = "accounting (nvmlDeviceGetAccountingStats)"
        return Rung(figure="gpu_footprint", said=f"exact, by {source}", exactness="exact", source=source)
    reason = _why_no_list(driver, uuid, around)
    if reason:
        return _difference(reason, around)
    said = "near-exact, by the driver's process list at the call's end; sampled under cuda_malloc and other frameworks"
    if accounting == "on":
        said += "; accounting is on, but counts nothing inside containers"
    return Rung(
        figure="gpu_footprint",
        said=said,
        help=_ACCOUNTING if accounting == "off" and not around.own_pids else "",
        exactness="lower-bound",
        source="the driver's process list at the call's end",
    )


def _difference(reason: str, around: Surroundings) -> Rung:
    return Rung(
        figure="gpu_footprint",
        state="note",
        said=f"{reason}: not measured, but on a card that is held for the test, where the device's difference is an"
        " estimate",
        help=CLIMB if around.own_pids and not around.wsl else "",
        reason=reason,
    )


def _accounting(driver: Driver, uuid: str) -> str:
    """ "on" or "off"; empty where the card has none."""
    try:
        return "on" if driver.counts_peaks(uuid) else "off"
    except DriverError:
        return ""


def _why_no_list(driver: Driver, uuid: str, around: Surroundings) -> str:
    try:
        reason = why_no_sizes(driver.version(), around)
        if not reason:
            driver.processes(uuid)
    except DriverError as error:
        return error.reason
    return reason
