"""The GPUs that the driver lists, or why it lists none."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field
from typing import Any

from pytest_tfmem.doctor.diagnosis import Check
from pytest_tfmem.errors import one_line
from pytest_tfmem.units import format_size

# What only nvidia-ml-py's module has; another package of the same module name is an old copy of it.
_ONLY_OURS = "nvmlDeviceGetComputeRunningProcesses_v3"
_INSTALL = "pip install nvidia-ml-py"


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """Names of the GPUs and version of the driver, as NVML gives them, and what is to be said of them."""

    checks: list[Check]
    names: list[str] = field(default_factory=list)
    driver: str | None = None


def find_gpus() -> Gpus:
    """Asks NVML, which makes no CUDA context."""
    try:
        import pynvml  # noqa: PLC0415  only when the GPUs are asked for
    except ImportError as error:
        said = f"the driver cannot be asked: {one_line(str(error))}"
        return Gpus(checks=[Check(name="NVML", state="note", said=said, help=_INSTALL)])
    shadow = [] if hasattr(pynvml, _ONLY_OURS) else [_shadow()]
    try:
        found = _ask(pynvml)
    except AttributeError as error:
        said = f"the driver cannot be asked: {one_line(str(error))}"
        found = Gpus(checks=[] if shadow else [Check(name="NVML", state="note", said=said, help=_INSTALL)])
    return Gpus(checks=[*shadow, *found.checks], names=found.names, driver=found.driver)


def _shadow() -> Check:
    others = [name for name in importlib.metadata.packages_distributions().get("pynvml", []) if name != "nvidia-ml-py"]
    other = one_line(others[0]) if others else ""
    said = f"the module pynvml is not that of nvidia-ml-py but of {other or 'something else'}"
    remove = f"pip uninstall {other}, then " if other else ""
    return Check(name="NVML", state="note", said=said, help=f"{remove}pip install --force-reinstall nvidia-ml-py")


def _ask(pynvml: Any) -> Gpus:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return Gpus(checks=[Check(name="GPU", state="ok", said="none: no NVIDIA driver is installed")])
    except pynvml.NVMLError as error:
        said = f"the NVIDIA driver does not answer: {one_line(str(error))}"
        return Gpus(checks=[Check(name="GPU", state="note", said=said, help="nvidia-smi says more")])
    try:
        return _listed(pynvml)
    except pynvml.NVMLError as error:
        said = f"the NVIDIA driver answers in part: {one_line(str(error))}"
        return Gpus(checks=[Check(name="GPU", state="note", said=said, help="nvidia-smi says more")])
    finally:
        pynvml.nvmlShutdown()


def _listed(pynvml: Any) -> Gpus:
    driver = _text(pynvml.nvmlSystemGetDriverVersion())
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    names = [_text(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
    checks = [Check(name="driver", state="ok", said=f"NVIDIA {driver}")]
    for index, (name, handle) in enumerate(zip(names, handles, strict=True)):
        said = f"{name}, {_memory(pynvml, handle)}; its figures are not measured by this version"
        checks.append(Check(name=f"GPU {index}", state="note", said=said))
    if not names:
        checks.append(Check(name="GPU", state="note", said="the driver lists none"))
    return Gpus(checks=checks, names=names, driver=driver)


def _memory(pynvml: Any, handle: Any) -> str:
    try:
        return format_size(int(pynvml.nvmlDeviceGetMemoryInfo(handle).total))
    except pynvml.NVMLError:  # a card that shares the machine's memory has none of its own
        return "no memory of its own"


def _text(name: str | bytes) -> str:
    return one_line(name if isinstance(name, str) else name.decode("utf-8", "replace"))
