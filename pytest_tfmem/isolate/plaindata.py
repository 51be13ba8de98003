"""Values on their way from one process to another: plain data, which cannot run anything where it arrives."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_tfmem.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_DEPTH = 100
_AS_THEY_ARE = {type(None), bool, float, bytes}
_SEQUENCES: dict[str, Callable[[Any], Any]] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
_PATHS: dict[str, Callable[[str], Any]] = {
    "Path": pathlib.Path,
    "PurePath": pathlib.PurePath,
    "PurePosixPath": pathlib.PurePosixPath,
    "PureWindowsPath": pathlib.PureWindowsPath,
}
KINDS = (
    "None, bool, int, float, complex, str, bytes, list, tuple, dict, set, range, slice, Path, NumPy scalars and arrays"
)


class NotPlainError(Exception):
    """A value is no plain data: its text is a clause that names it by `where`."""


def pack(value: object, where: str) -> bytes:
    """The value in bytes. `where` is what it is called in an error. Raises NotPlainError."""
    return msgspec.msgpack.encode(_packed(value, where, 0))


def unpack(data: bytes | memoryview) -> Any:
    """The value that was packed: equal, of the same types, and nothing of it shared with `data`."""
    return _unpacked(msgspec.msgpack.decode(data))


def _packed(value: Any, where: str, depth: int) -> Any:
    """Scalars as they are; everything else as a list of its kind and what it is made of."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is int:
        return value if -(1 << 63) <= value < 1 << 63 else ["int", hex(value)]
    if kind is str:
        return ["str", value.encode("utf-8", "surrogatepass")]
    if depth > _MOST_DEPTH:
        raise NotPlainError(f"{where} is nested more than {_MOST_DEPTH} deep, or holds itself")
    if kind is dict:
        items = [(key, _packed(key, f"a key of {where}", depth + 1), each) for key, each in value.items()]
        return [
            "dict",
            [(key, _packed(each, f"{where}[{one_line(repr(raw), most=40)}]", depth + 1)) for raw, key, each in items],
        ]
    if kind.__name__ in _SEQUENCES and kind is _SEQUENCES[kind.__name__]:
        return [kind.__name__, [_packed(each, f"{where}[{place}]", depth + 1) for place, each in enumerate(value)]]
    return _rest(value, where, depth)


def _rest(value: Any, where: str, depth: int) -> list[Any]:
    kind = type(value)
    if kind is complex:
        return ["complex", value.real, value.imag]
    if kind in {range, slice}:
        return [kind.__name__, [_packed(part, where, depth + 1) for part in (value.start, value.stop, value.step)]]
    if isinstance(value, pathlib.PurePath) and kind.__module__.startswith("pathlib"):
        name = "Path" if isinstance(value, pathlib.Path) else kind.__name__
        return ["path", name, os.fsencode(value)]
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and kind is numpy.ndarray:
        return _packed_array("array", value, where)
    if numpy is not None and isinstance(value, numpy.generic):
        return _packed_array("scalar", numpy.asarray(value), where)
    if numpy is not None and isinstance(value, numpy.dtype) and _name_of(value):
        return ["dtype", _name_of(value)]
    raise NotPlainError(f"{where} is {_a(kind)}")


def _packed_array(kind: str, array: Any, where: str) -> list[Any]:
    name = _name_of(array.dtype)
    if not name:
        raise NotPlainError(f"{where} is a NumPy {kind} of dtype {array.dtype}")
    order = "F" if array.flags.fnc else "C"
    return [kind, name, list(array.shape), order, array.tobytes(order)]


def _name_of(dtype: Any) -> str:
    """By which NumPy finds a type again; empty where there is none: of objects, of fields."""
    numpy: Any = sys.modules["numpy"]
    for name in (dtype.str, dtype.name):
        with contextlib.suppress(TypeError):
            if not dtype.hasobject and dtype.fields is None and numpy.dtype(name) == dtype:
                return str(name)
    return ""


def _unpacked(data: Any) -> Any:
    if not isinstance(data, list):
        return data
    kind, *parts = data
    if kind in _SEQUENCES:
        return _SEQUENCES[kind](map(_unpacked, parts[0]))
    if kind == "dict":
        return {_unpacked(key): _unpacked(value) for key, value in parts[0]}
    return _MADE[kind](*parts)


def _array(name: str, shape: list[int], order: str, data: bytes) -> Any:
    numpy = _numpy(name)
    # A copy, for it is to be writable, and its message to be forgotten.
    flat = numpy.frombuffer(data, dtype=numpy.dtype(name)) if data else numpy.empty(0, dtype=numpy.dtype(name))
    return flat.reshape(shape, order=order).copy(order=order)


def _scalar(name: str, shape: list[int], order: str, data: bytes) -> Any:
    return _array(name, shape, order, data)[()]


def _numpy(dtype: str) -> Any:
    import numpy as np  # noqa: PLC0415  only where a value is NumPy's

    try:
        np.dtype(dtype)
    except TypeError:
        import ml_dtypes  # type: ignore[import-not-found, unused-ignore]  # noqa: F401, PLC0415  makes bfloat16 known
    return np


_MADE: dict[str, Callable[..., Any]] = {
    "int": lambda text: int(text, 16),
    "str": lambda data: data.decode("utf-8", "surrogatepass"),
    "complex": complex,
    "range": lambda parts: range(*parts),
    "slice": lambda parts: slice(*map(_unpacked, parts)),
    "path": lambda name, data: _PATHS[name](os.fsdecode(data)),
    "dtype": lambda name: _numpy(name).dtype(name),
    "array": _array,
    "scalar": _scalar,
}


def _a(kind: type) -> str:
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
