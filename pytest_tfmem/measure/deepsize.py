"""How many bytes a value takes, with all that it holds: each object, buffer and tensor once."""

from __future__ import annotations

import sys
import types
from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Of the program, not of a value that refers to it.
_OF_THE_PROGRAM = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.CodeType,
    types.FrameType,
)
_ATOMS = {bool, int, float, complex, str, bytes, bytearray, type(None)}  # that hold nothing else
_CONTAINERS = (list, tuple, set, frozenset, deque)
_WITHOUT_DATA = {"DType", "TensorShape", "dtype", "device", "Size"}  # of a framework's, but no place for data
_FRAMEWORKS = ("tensorflow", "keras", "tf_keras", "jax", "jaxlib", "torch")


class DeepSize:
    """Adds up a value. `bytes` are those found; `uncounted` says of what there is no telling, each a sentence.

    Of Python's objects what `sys.getsizeof` says, followed through containers, attributes and slots; where a class
    written in Python has a `__sizeof__` of its own, that is believed. Of an array the buffer that it looks at, whole
    and once however many arrays look at it. Of a tensor or variable its elements, of a model its variables and its
    optimizer's; of a framework's other objects only the object itself.
    """

    def __init__(self, value: object) -> None:
        self.bytes = 0
        self._uncounted: dict[str, None] = {}
        self._seen: set[int] = set()
        self._kept: list[object] = []  # what was made on the way: its id is not to be another's
        self._left: list[object] = [value]
        while self._left:
            self._add(self._left.pop())

    @property
    def uncounted(self) -> list[str]:
        return list(self._uncounted)

    def _add(self, value: Any) -> None:
        if id(value) in self._seen or isinstance(value, _OF_THE_PROGRAM):
            return
        self._seen.add(id(value))
        kind: type = type(value)
        if kind in _ATOMS:
            self.bytes += sys.getsizeof(value)
        elif str(kind.__module__).partition(".")[0] == "numpy" and self._is_array(value):
            self._add_array(value)
        elif _is_of_framework(kind):
            self._add_of_framework(value)
        else:
            self.bytes += sys.getsizeof(value, 0)
            self._left += self._held_by(value)

    def _held_by(self, value: Any) -> Iterable[object]:
        if isinstance(type(value).__sizeof__, types.FunctionType):
            return ()
        held: list[object] = [*self._attributes(value)]
        if isinstance(value, dict):
            held += [*value.keys(), *value.values()]
        elif isinstance(value, _CONTAINERS):
            held += value
        elif isinstance(value, memoryview):
            held.append(value.obj)
        return held

    def _attributes(self, value: Any) -> Iterable[object]:
        if hasattr(value, "__dict__"):
            own = vars(value)
            self._kept.append(own)
            yield own
        for kind in type(value).__mro__:
            slots = vars(kind).get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                member = vars(kind).get(name)
                if isinstance(member, types.MemberDescriptorType):
                    try:
                        yield member.__get__(value)
                    except AttributeError:  # it is not set
                        continue

    def _is_array(self, value: Any) -> bool:
        return isinstance(value, sys.modules["numpy"].ndarray)

    def _add_array(self, array: Any) -> None:
        base = array.base
        if base is None:
            self.bytes += sys.getsizeof(array)  # with the buffer, which is its own
        else:
            self.bytes += sys.getsizeof(array) if not array.flags.owndata else sys.getsizeof(array) - array.nbytes
            self._add_base(array, base)
        if array.dtype.hasobject and array.dtype.fields is None:
            self._left += array.ravel().tolist()

    def _add_base(self, array: Any, base: Any) -> None:
        if self._is_array(base):
            self._left.append(base)
        elif isinstance(base, memoryview) and base.obj is not None:
            self._add_base(array, base.obj)
        else:
            self._once(base, lambda: _buffer_bytes(base, at_least=array.nbytes))

    def _add_of_framework(self, value: Any) -> None:
        if hasattr(value, "element_size") and hasattr(value, "nelement"):  # PyTorch's tensor
            self._once(value.untyped_storage(), lambda: value.untyped_storage().nbytes())
        elif hasattr(value, "optimizer") and hasattr(value, "variables"):
            self._left += [*value.variables, *getattr(value.optimizer, "variables", ())]
        elif hasattr(value, "variables"):  # a layer, an optimizer, a metric
            self._left += list(value.variables)
        elif len(parts := _parts(value)) > 1:
            self._kept.append(parts)
            self._left += parts
        elif hasattr(value, "shape") and hasattr(value, "dtype"):
            self._add_tensor(value)
        else:
            self.bytes += sys.getsizeof(value, 0)
            if type(value).__name__ not in _WITHOUT_DATA:
                self._uncounted[f"what a {type(value).__name__} holds"] = None

    def _add_tensor(self, value: Any) -> None:
        held = getattr(value, "value", None)
        if held is not None and not callable(held):  # Keras's variable, of whatever backend
            self._left.append(held)
            return
        size, each = _elements(value.shape), getattr(value.dtype, "size", None) or _itemsize(value.dtype)
        if size is None or not each or getattr(value.dtype, "name", "") in {"string", "variant", "resource"}:
            self._uncounted[f"a tensor of {getattr(value.dtype, 'name', value.dtype)}"] = None
            return
        self.bytes += size * each

    def _once(self, what: object, size: Callable[[], int]) -> None:
        if id(what) not in self._seen:
            self._kept.append(what)
            self._seen.add(id(what))
            self.bytes += size()


@cache
def _is_of_framework(kind: type) -> bool:
    """By itself or, as a user's own model or layer is, by an ancestor."""
    rooms = {str(one.__module__).partition(".")[0] for one in kind.__mro__}
    return not rooms.isdisjoint(_FRAMEWORKS)


def _buffer_bytes(base: Any, *, at_least: int) -> int:
    try:
        with memoryview(base) as buffer:
            return buffer.nbytes
    except (TypeError, ValueError, BufferError):  # some library's, which does not tell how large it is
        return at_least


def _parts(value: Any) -> list[Any]:
    """The tensors of which a tensor is made, if it is: a ragged or sparse one, or slices of one."""
    if not hasattr(value, "_type_spec"):
        return [value]
    parts: list[Any] = sys.modules["tensorflow"].nest.flatten(value, expand_composites=True)
    return parts


def _elements(shape: Any) -> int | None:
    count = 1
    for length in tuple(shape):
        if length is None:
            return None
        count *= int(length)
    return count


def _itemsize(dtype: Any) -> int:
    size = getattr(dtype, "itemsize", 0)
    return size if isinstance(size, int) else 0
