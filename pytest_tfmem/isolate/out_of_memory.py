"""Out of memory on a device, told from the error that ended a phase and from the marks at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.isolate.refusals import Refusal, read_refusal, what_was_asked
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.measure.devices import AllocatorMarks, DeviceMarks

_MOST_ERRORS = 100  # of one chain; no real one has so many
_MOST_TEXT = 1 << 20  # of one error: TensorFlow's may bring the traceback of each node's definition before its reason
_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
_SPEAKERS = {"tensorflow": "tensorflow", "jax": "jax", "jaxlib": "jax", "torch": "torch", "cupy": "cupy"}


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
        hidden = one.__suppress_context__ or one.__context__ is None
        waiting += [behind for behind in (one.__cause__, None if hidden else one.__context__) if behind is not None]


def _refusal_of(error: BaseException) -> Refusal | None:
    kind = type(error)
    framework = next(filter(None, map(_speaker, kind.__mro__)), "")
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


def _speaker(kind: type) -> str:
    """The framework whose type it is, if it is one's."""
    return _SPEAKERS.get(str(kind.__module__).partition(".")[0], "")


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
