"""NVIDIA's management library: opened, asked and shut; whatever goes wrong is a reason that people can read."""

from __future__ import annotations

import os
from typing import Any, Literal

from pytest_tfmem.errors import one_line

# "module": not nvidia-ml-py's; "library": libnvidia-ml is not there; "unknown": no such card or process;
# "scrambled": an answer that cannot be; "off": accounting is. The rest are as the driver has them.
Kind = Literal["module", "library", "lost", "permission", "unsupported", "unknown", "scrambled", "off", "failed"]

# What only nvidia-ml-py's module has; another package of the same module name is an old copy of it.
ONLY_OURS = "nvmlDeviceGetComputeRunningProcesses_v3"
NO_LIBRARY = (
    "the library by which NVIDIA's driver is asked (libnvidia-ml.so.1) is not installed; a container has it if"
    " NVIDIA_DRIVER_CAPABILITIES names utility"
)
_TRIES = 5
_KINDS: dict[str, tuple[Kind, str]] = {
    "NVMLError_LibraryNotFound": ("library", NO_LIBRARY),
    "NVMLError_GpuIsLost": ("lost", "the driver has lost the GPU"),
    "NVMLError_GpuNotFound": ("lost", "the driver has lost the GPU"),
    "NVMLError_ResetRequired": ("lost", "the GPU has to be reset"),
    "NVMLError_NoPermission": ("permission", "the driver gives this user no permission to ask"),
    "NVMLError_NotSupported": ("unsupported", "the driver does not support the question on this card"),
    "NVMLError_FunctionNotFound": ("unsupported", "the driver is too old for the question"),
    "NVMLError_NotFound": ("unknown", "the driver does not know it"),
    "NVMLError_InvalidArgument": ("unknown", "the driver does not know it"),
}


class DriverError(Exception):
    """Why the driver gave no answer: a clause for people, and of which kind it is."""

    def __init__(self, reason: str, kind: Kind) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind


class Library:
    """nvidia-ml-py, opened when it is first asked, and again in a fork.

    `ask` calls a function by its name, with the handle of `card` first if one is given: its UUID or PCI bus id.
    """

    def __init__(self) -> None:
        self._library: Any = None
        self._opened_by = 0
        self._failed: DriverError | None = None
        self._handles: dict[str, Any] = {}

    def handle(self, card: str) -> Any:
        self._opened()  # in a fork, what was kept is forgotten
        if card not in self._handles:
            way = "UUID" if card.startswith(("GPU-", "MIG-")) else "PciBusId"
            self._handles[card] = self.ask(f"nvmlDeviceGetHandleBy{way}", card)
        return self._handles[card]

    def constant(self, name: str) -> Any:
        value = getattr(self._opened(), name, None)
        if value is None:
            raise DriverError(f"the module pynvml has no {name}", "module")
        return value

    def ask(self, function: str, *arguments: Any, card: str = "") -> Any:
        """The function's answer; of `card`, if one is given. Asks again where another process or plugin interfered."""
        for _ in range(_TRIES):
            first = [self.handle(card)] if card else []
            library = self._opened()
            call = getattr(library, function, None)
            if call is None:
                raise DriverError(f"the module pynvml has no {function}", "module")
            try:
                return call(*first, *arguments)
            except library.NVMLError as error:
                if _is(library, error, "NVMLError_Uninitialized"):
                    self._opened_by = 0  # another user of the module has shut it
                elif not _is(library, error, "NVMLError_InsufficientSize"):  # a process came between its two calls
                    raise _reason(library, error) from None
        raise DriverError("the driver's answer changed faster than it could be read", "failed")

    def close(self) -> None:
        """Let go of it. It may be asked again, and is then opened again."""
        opened_by, self._opened_by = self._opened_by, 0
        self._handles.clear()
        if opened_by == os.getpid():
            self._shut()

    def _opened(self) -> Any:
        if self._opened_by == os.getpid():
            return self._library
        if self._failed is not None:
            raise DriverError(self._failed.reason, self._failed.kind)
        self._handles.clear()
        try:
            self._open()
        except DriverError as error:
            self._failed = error
            raise
        return self._library

    def _open(self) -> None:
        if self._library is None:
            self._library = _load()
        elif self._opened_by:
            self._shut()  # in a fork: what it has open is the other process's too, and means nothing here
        try:
            self._library.nvmlInit()
        except self._library.NVMLError as error:
            raise _reason(self._library, error) from None
        self._opened_by = os.getpid()

    def _shut(self) -> None:
        try:
            self._library.nvmlShutdown()
        except self._library.NVMLError:
            return  # it is shut, then


def _load() -> Any:
    try:
        import pynvml  # noqa: PLC0415  only when the driver is asked
    except ImportError as error:
        raise DriverError(f"the driver cannot be asked: {one_line(str(error))}", "module") from None
    if not hasattr(pynvml, "nvmlInit"):
        raise DriverError("the driver cannot be asked: the module pynvml is not that of nvidia-ml-py", "module")
    return pynvml


def _is(library: Any, error: Exception, name: str) -> bool:
    return isinstance(error, getattr(library, name, ()))


def _reason(library: Any, error: Exception) -> DriverError:
    said = one_line(str(error)) or type(error).__name__
    for name, (kind, clause) in _KINDS.items():
        if _is(library, error, name):
            return DriverError(clause if kind == "library" else f"{clause} ({said})", kind)
    return DriverError(f"the driver does not answer: {said}", "failed")


def text(name: str | bytes) -> str:
    return one_line(name if isinstance(name, str) else name.decode("utf-8", "replace"))
