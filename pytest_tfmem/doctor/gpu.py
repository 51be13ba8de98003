"""The GPUs that the driver lists, or why it lists none, and what of each can be measured how well."""

from __future__ import annotations

import importlib.metadata
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_tfmem.doctor.diagnosis import Check
from pytest_tfmem.doctor.rungs import Rung, rungs_of
from pytest_tfmem.errors import one_line
from pytest_tfmem.measure.cuda import probe_cards
from pytest_tfmem.measure.joining import look_around
from pytest_tfmem.measure.nvml import Driver, DriverCard
from pytest_tfmem.measure.nvml_library import NO_LIBRARY, ONLY_OURS, DriverError
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_tfmem.measure.cuda import Probe
    from pytest_tfmem.measure.joining import Surroundings

_INSTALL = "pip install nvidia-ml-py"


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """Names of the GPUs and version of the driver, as NVML gives them, and what is to be said of them.

    `rungs`: those of the first GPU that CUDA sees, by figure. `why_none`: why no figure of a GPU can be measured.
    """

    checks: list[Check]
    names: list[str] = field(default_factory=list)
    driver: str | None = None
    rungs: dict[str, Rung] = field(default_factory=dict)
    why_none: str = "no GPU"


def find_gpus(
    *,
    around: Surroundings | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Gpus:
    """Asks NVML, which makes no CUDA context, and CUDA, in a process of its own."""
    driver = Driver()
    try:
        found = _ask(driver, around or look_around(), environ)
    finally:
        driver.close()
    shadow = _shadow()
    return Gpus(
        checks=[*shadow, *(() if shadow and not found.names else found.checks)],
        names=found.names,
        driver=found.driver,
        rungs=found.rungs,
        why_none=found.why_none,
    )


def _shadow() -> list[Check]:
    try:
        import pynvml  # noqa: PLC0415  only when the GPUs are asked for
    except ImportError:
        return []
    if hasattr(pynvml, ONLY_OURS):
        return []
    others = [name for name in importlib.metadata.packages_distributions().get("pynvml", []) if name != "nvidia-ml-py"]
    other = one_line(others[0]) if others else ""
    said = f"the module pynvml is not that of nvidia-ml-py but of {other or 'something else'}"
    remove = f"pip uninstall {other}, then " if other else ""
    return [Check(name="NVML", state="note", said=said, help=f"{remove}pip install --force-reinstall nvidia-ml-py")]


def _ask(driver: Driver, around: Surroundings, environ: Mapping[str, str]) -> Gpus:
    try:
        version, listed = driver.version(), driver.listed()
    except DriverError as error:
        return _without(error, environ)
    probe = probe_cards(environ)
    checks = [Check(name="driver", state="ok", said=f"NVIDIA {version}{_cuda(probe)}")]
    if not listed:
        checks.append(Check(name="GPU", state="note", said="the driver lists none"))
    if listed and probe.problem:
        said = f"no GPU can be used: {one_line(probe.problem)}"
        checks.append(Check(name="CUDA", state="note", said=said, help="nvidia-smi says more"))
    seen = _seen_by_cuda(driver, probe)
    found: dict[str, Rung] = {}
    for card in listed:
        rungs = _rungs(driver, card, around, probe, seen)
        found = found or {rung.figure: rung for rung in rungs}
        checks += [_card(card, seen, probe, environ), *(_checks(card, rungs))]
    names = [card.name for card in listed if isinstance(card, DriverCard) and not card.uuid.startswith("MIG-")]
    return Gpus(checks=checks, names=names, driver=version, rungs=found, why_none="CUDA sees no GPU")


def _without(error: DriverError, environ: Mapping[str, str]) -> Gpus:
    if error.kind == "module":
        return Gpus(checks=[Check(name="NVML", state="note", said=error.reason, help=_INSTALL)], why_none=error.reason)
    if error.kind != "library":
        check = Check(name="GPU", state="note", said=error.reason, help="nvidia-smi says more")
        return Gpus(checks=[check], why_none=error.reason)
    if not (cards := probe_cards(environ).cards):
        return Gpus(checks=[Check(name="GPU", state="ok", said="none: no NVIDIA driver is installed")])
    check = Check(name="GPU", state="note", said=f"{cards[0].name}: not measured, for {NO_LIBRARY}")
    return Gpus(checks=[check], why_none=NO_LIBRARY)


def _seen_by_cuda(driver: Driver, probe: Probe) -> set[str]:
    seen = set()
    for card in probe.cards:
        try:
            seen.add(driver.locate(card.uuid, card.pci_bus_id))
        except DriverError:
            continue  # it is then listed as one that CUDA does not see
    return seen


def _rungs(
    driver: Driver, card: DriverCard | DriverError, around: Surroundings, probe: Probe, seen: set[str]
) -> Sequence[Rung]:
    if isinstance(card, DriverError) or card.uuid not in seen:
        return []
    # TensorFlow takes one allocator for all the cards that it sees.
    return rungs_of(driver, card.uuid, around, probe.why_no_async())


def _checks(card: DriverCard | DriverError, rungs: Sequence[Rung]) -> list[Check]:
    return [rung.check(card.uuid) for rung in rungs if isinstance(card, DriverCard)]


def _card(card: DriverCard | DriverError, seen: set[str], probe: Probe, environ: Mapping[str, str]) -> Check:
    if isinstance(card, DriverError):
        return Check(name="GPU", state="note", said=card.reason, help="nvidia-smi says more")
    part = " part" if card.uuid.startswith("MIG-") else ""
    memory = "no memory of its own" if card.total_bytes is None else format_size(card.total_bytes)
    name, said = f"GPU {card.index}{part}", f"{card.name}, {memory}, {card.pci_bus_id}, {card.uuid}"
    if card.split:
        said = f"{card.name}, {card.pci_bus_id}: split by MIG, so that only its parts can be used"
    elif card.uuid not in seen and not probe.problem:
        visible = environ.get("CUDA_VISIBLE_DEVICES")
        why = "" if visible is None else f" (CUDA_VISIBLE_DEVICES={one_line(visible, most=60)!r})"
        return Check(name=name, state="note", said=f"{said}; CUDA does not see it here{why}", device=card.uuid)
    return Check(name=name, state="ok", said=said, device=card.uuid)


def _cuda(probe: Probe) -> str:
    major, minor = divmod(probe.cuda_version, 1000)
    return f", CUDA {major}.{minor // 10}" if probe.cuda_version else ""
