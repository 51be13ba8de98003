"""Out of memory on a device: what an allocator refused, as its framework's error and the marks tell it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.units import format_size, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_tfmem.measure.devices import AllocatorMarks, DeviceMarks

_MOST_ERRORS = 100  # of one chain; no real one has so many
_MOST_TEXT = 1 << 20  # of one error: TensorFlow's may bring the traceback of each node's definition before its reason
_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
_SPEAKERS = {"tensorflow": "tensorflow", "jax": "jax", "jaxlib": "jax", "torch": "torch", "cupy": "cupy"}

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


def describe(error: BaseException, devices: DeviceMarks | None, memory_limit_bytes: int | None = None) -> str:
    """A sentence on the device memory that was refused, where that is what `error` or one behind it is; else "".

    `devices`: the marks at the end of the phase that `error` ended. `memory_limit_bytes`: tf_runtime's, if it set one.
    Nothing is imported for it, and what neither the error nor the marks tell is left out.
    """
    gpus = [] if devices is None else [one for one in devices.allocators if not one.device.startswith("CPU")]
    for one in _chain(error):
        refusal = _refusal_of(one)
        if refusal is not None and (gpus or not refusal.ambiguous):
            return _sentence(refusal, _allocator_of(refusal, gpus), devices, memory_limit_bytes)
    return ""


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


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that a traceback would show with it, nearest first."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MOST_ERRORS:
        one = waiting.pop(0)
        if id(one) in seen:  # a chain may lead back into itself
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions[:_MOST_ERRORS]
        behind = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        if behind is not None:
            waiting.append(behind)


def _refusal_of(error: BaseException) -> Refusal | None:
    kind = type(error)
    framework = _SPEAKERS.get(kind.__module__.partition(".")[0], "")
    # Others may quote such a text, as a failed assertion about one does.
    if not framework and kind not in {RuntimeError, ValueError}:
        return None
    try:
        text = str(error)[:_MOST_TEXT]
    except Exception:  # noqa: BLE001  a stranger's code: what it says of itself is all that is wanted of it
        return None
    refusal = read_refusal(text, framework)
    if refusal is None and framework and kind.__name__ == "OutOfMemoryError":
        return Refusal(framework=framework)
    return refusal


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
    if match["kind"] == "CPU":
        return None
    return Refusal(framework=framework, device=match["device"] or "", ambiguous=not match["device"])


def _read_xla(match: re.Match[str], framework: str) -> Refusal:
    return Refusal(framework=framework, asked=_size(match["size"]), ambiguous=True)


def _read_torch(match: re.Match[str], _framework: str) -> Refusal:
    found = {name: pattern.search(match.string, match.start()) for name, pattern in _TORCH.items()}
    sizes = {name: _size(one["size"]) for name, one in found.items() if one is not None}
    card = _TORCH_CARD.search(match.string, match.start())
    return Refusal(framework="torch", device=f"GPU:{card['index']}" if card else "", **sizes)


def _read_copy(match: re.Match[str], framework: str) -> Refusal:
    return Refusal(framework=framework, device=match["device"] or "")


def _read_scratch(match: re.Match[str], framework: str) -> Refusal:
    return Refusal(framework=framework, asked=_size(match["size"] or ""))


_DEVICE = r"device:(?P<device>(?P<kind>[A-Z]{1,20}):[0-9]{1,4})"
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
    (
        re.compile(rf"(?:to [/A-Za-z0-9:_-]{{0,200}}?{_DEVICE} [^\n]{{0,200}}?)?Dst tensor is not initialized"),
        _read_copy,
    ),
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
        _read_scratch,
    ),
]
_TORCH = {
    "asked": re.compile(rf"Tried to allocate {_SIZE}"),
    "in_use": re.compile(rf"Of the allocated memory {_SIZE} is allocated by PyTorch"),
    "allowed": re.compile(rf"{_SIZE} allowed;"),
    "total": re.compile(rf"has a total capaci?ty of {_SIZE}"),
}
_TORCH_CARD = re.compile(r"GPU (?P<index>[0-9]{1,4}) has")


def _size(text: str) -> int | None:
    try:
        return parse_size(text.replace("bytes", "B"))
    except TfmemError:
        return None


def _allocator_of(refusal: Refusal, gpus: Sequence[AllocatorMarks]) -> AllocatorMarks | None:
    """That which refused, if no other can be meant."""
    meant = [one for one in gpus if refusal.framework in {"", one.framework} and refusal.device in {"", one.device}]
    return meant[0] if len(meant) == 1 else None


def _sentence(
    refusal: Refusal, allocator: AllocatorMarks | None, devices: DeviceMarks | None, memory_limit_bytes: int | None
) -> str:
    device = refusal.device or (allocator.device if allocator is not None else "a GPU")
    in_use, at_most = _in_use(refusal, allocator)
    ceiling, whose = _ceiling(refusal, allocator, devices, memory_limit_bytes)
    held = "" if in_use is None else f"{at_most}{format_size(in_use)} were in use"
    room = "" if ceiling is None else whose.format(format_size(ceiling))
    account = f"{held} of {room}" if held and room else held or (f"there is no more than {room}" if room else "")
    told = ", ".join(filter(None, [what_was_asked(refusal), account]))
    sentence = f"out of memory on {device}" + (f": {told}" if told else "")
    if refusal.asked is None or in_use is None or ceiling is None or refusal.asked + in_use > ceiling:
        return sentence
    # TensorFlow calls it the same when cuda_malloc_async fails because of an earlier fault of a kernel.
    return (
        f"{sentence}; by that count it would have fitted, so the free memory is in pieces, something else holds part"
        " of the card, or another CUDA error came before"
    )


def _in_use(refusal: Refusal, allocator: AllocatorMarks | None) -> tuple[int | None, str]:
    """Bytes in use when it was refused, and "at most " if they are but a bound of it."""
    if refusal.in_use is not None:
        return refusal.in_use, ""
    if allocator is None or allocator.why_not:
        return None, ""
    # What was in use at that moment is between the two: unwinding frees, and the peak may have been before.
    return allocator.peak, "" if allocator.peak == allocator.in_use else "at most "


def _ceiling(
    refusal: Refusal, allocator: AllocatorMarks | None, devices: DeviceMarks | None, memory_limit_bytes: int | None
) -> tuple[int | None, str]:
    """Bytes that could be had at most, and the words for them with a place for the size."""
    limit = refusal.allowed or (allocator.limit if allocator is not None else None)
    if limit is not None:
        # TensorFlow's limits are whole MiB.
        if memory_limit_bytes is not None and limit >> 20 == memory_limit_bytes >> 20:
            return limit, "the {} that tf_runtime(memory_limit=...) allows"
        whose = f"{_NAMES[refusal.framework]}'s" if refusal.framework in _NAMES else "the"
        return limit, f"the {{}} that {whose} allocator may hold"
    return refusal.total or _card_bytes(allocator, devices), "the card's {}"


def _card_bytes(allocator: AllocatorMarks | None, devices: DeviceMarks | None) -> int | None:
    cards = [] if devices is None else devices.cards
    if allocator is not None and allocator.card:
        return next((card.total_bytes for card in cards if card.uuid == allocator.card), None)
    return cards[0].total_bytes if len(cards) == 1 else None
