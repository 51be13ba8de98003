"""What the texts of frameworks say of device memory that was refused, whatever type of error brings them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.units import format_size, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

_BYTES_OF = {
    name: size
    for size, names in {
        1: "bool int8 uint8 qint8 quint8 float8_e5m2 float8_e4m3fn",
        2: "half bfloat16 int16 uint16 qint16 quint16",
        4: "float int32 uint32 qint32",
        8: "double int64 uint64 complex64",
        16: "complex128",
    }.items()
    for name in names.split()
}
_NUMPY_NAMES = {"float": "float32", "double": "float64", "half": "float16"}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What a text says of an allocation that was refused; None or empty where it does not say.

    `device`: "GPU:0". `asked`: bytes; `tensor`: type and shape. `in_use`: bytes in the framework's allocator at that
    moment, `allowed`: the most that it may hold, `total`: the card's memory. `ambiguous`: the framework says the same
    when the host's memory is refused.
    """

    framework: str = ""
    device: str = ""
    asked: int | None = None
    tensor: str = ""
    in_use: int | None = None
    allowed: int | None = None
    total: int | None = None
    ambiguous: bool = False


def read_refusal(text: str, framework: str = "") -> Refusal | None:
    """What `text` says of memory that was refused on a device; None where it says nothing of it."""
    for pattern, read in _TEXTS:
        for match in pattern.finditer(text):
            refusal = read(match, framework)
            if refusal is not None:
                return refusal
    return None


def what_was_asked(refusal: Refusal) -> str:
    """The clause on what was asked for, empty where that is not known."""
    if refusal.asked is None:
        return f"{refusal.tensor} was asked for" if refusal.tensor else ""
    return f"{format_size(refusal.asked)} were asked for" + (f" ({refusal.tensor})" if refusal.tensor else "")


def _read_tensor(match: re.Match[str], framework: str) -> Refusal | None:
    # The host's allocators: cpu, mklcpu, bfc_cpu_allocator_for_gpu, and the pinned gpu_host_bfc and cuda_host_bfc.
    if match["kind"] == "CPU" or any(word in (match["allocator"] or "") for word in ("cpu", "host")):
        return None
    kind, shape = match["type"] or "", match["shape"]
    elements = math.prod(int(size) for size in shape.split(",") if size) if "?" not in shape else None
    size = _BYTES_OF.get(kind)
    return Refusal(
        framework=framework,
        device=match["device"] or "",
        asked=elements * size if elements is not None and size is not None else None,
        tensor=f"{_NUMPY_NAMES.get(kind, kind)} [{shape}]".lstrip(),
    )


def _read_kernel(match: re.Match[str], framework: str) -> Refusal | None:
    """Of a compiled kernel of TensorFlow's, which says no more; the name of an eager operation has the device."""
    if framework != "tensorflow" or match["kind"] == "CPU":  # many others have such words
        return None
    return Refusal(framework=framework, device=match["device"] or "", ambiguous=not match["device"])


def _read_xla(match: re.Match[str], framework: str) -> Refusal:
    return Refusal(framework=framework, asked=_size(match["size"]), ambiguous=True)


def _read_torch(match: re.Match[str], _framework: str) -> Refusal:
    card = _TORCH_CARD.search(match.string, match.start())
    return Refusal(
        framework="torch",
        device=f"GPU:{card['index']}" if card else "",
        asked=_first_size(_TORCH_ASKED, match),
        in_use=_first_size(_TORCH_IN_USE, match),
        allowed=_first_size(_TORCH_ALLOWED, match),
        total=_first_size(_TORCH_TOTAL, match),
    )


def _read_copy(match: re.Match[str], framework: str) -> Refusal | None:
    destination = _DESTINATION.search(match.string[max(0, match.start() - _MOST_BEFORE) : match.start()])
    if destination is None:
        return Refusal(framework=framework)
    return None if destination["kind"] == "CPU" else Refusal(framework=framework, device=destination["device"])


def _read_other(match: re.Match[str], framework: str) -> Refusal:
    return Refusal(framework=framework, asked=_size(match["size"] or ""))


_DEVICE = r"device:(?P<device>(?P<kind>[A-Z]{1,20}):[0-9]{1,4})"
_DESTINATION = re.compile(rf"to [/A-Za-z0-9:_-]{{0,200}}?{_DEVICE} in order")
_MOST_BEFORE = 400
_SIZE = r"(?P<size>[0-9][0-9.]{0,30} ?(?:[KMGT]iB|B|bytes)?)"
_TEXTS: list[tuple[re.Pattern[str], Callable[[re.Match[str], str], Refusal | None]]] = [
    (
        re.compile(
            r"OOM when allocating (?:temporary )?tensor (?:with|of) shape ?\[(?P<shape>[0-9,?]{0,200})\]"
            r"(?: and type (?P<type>[a-z0-9_]{1,40}))?"
            rf"(?: on [/A-Za-z0-9:_-]{{0,200}}?{_DEVICE} by allocator (?P<allocator>[A-Za-z0-9_]{{1,100}}))?"
        ),
        _read_tensor,
    ),
    (re.compile("Dst tensor is not initialized"), _read_copy),
    (re.compile(rf"(?:{_DEVICE}\}}\}} )?(?<!\w)failed to allocate memory(?!\w)"), _read_kernel),
    (re.compile(rf"Out of memory while trying to allocate {_SIZE}"), _read_xla),
    (
        re.compile(r"Failed to allocate request for [^\n()]{1,40}\((?P<size>[0-9]{1,30})B\) on device ordinal"),
        _read_xla,
    ),
    (re.compile(rf"Failed to allocate {_SIZE} for new constant"), _read_xla),
    (re.compile(r"(?:CUDA|HIP) out of memory|(?:CUDA|HIP) error: out of memory"), _read_torch),
    (
        re.compile(
            r"EigenAllocator for GPU ran out of memory when allocating (?P<size>[0-9]{1,30})"
            r"|CUDNN failed to allocate the scratch space|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation"
            r"|CU[A-Z]{3,10}_STATUS_ALLOC_FAILED"
        ),
        _read_other,
    ),
]
_TORCH_ASKED = re.compile(rf"Tried to allocate {_SIZE}")
_TORCH_IN_USE = re.compile(rf"Of the allocated memory {_SIZE} is allocated by PyTorch")
_TORCH_ALLOWED = re.compile(rf"{_SIZE} allowed;")
_TORCH_TOTAL = re.compile(rf"has a total capaci?ty of {_SIZE}")
_TORCH_CARD = re.compile(r"GPU (?P<index>[0-9]{1,4}) has")


def _first_size(pattern: re.Pattern[str], after: re.Match[str]) -> int | None:
    found = pattern.search(after.string, after.start())
    return None if found is None else _size(found["size"])


def _size(text: str) -> int | None:
    try:
        return parse_size(text.replace("bytes", "B"))
    except TfmemError:
        return None
