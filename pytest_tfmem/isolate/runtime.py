"""`tf_runtime`: the runtime that a test asks for, set before its module runs anything."""

from __future__ import annotations

import ctypes
import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pytest_tfmem.allocators import ALLOCATORS, Allocator
from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.isolate.reports import encodable
from pytest_tfmem.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PRECISIONS = ("float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
ARGUMENTS = (
    "allocator",
    "memory_limit",
    "gpus",
    "jit",
    "precision",
    "cpu_allocator",
    "logical_devices",
    "intra_op_threads",
    "inter_op_threads",
    "env",
)

VISIBLE = "CUDA_VISIBLE_DEVICES"

_MIB = 1 << 20
_NO_CARD = "-1"  # no card has this number, and CUDA takes those before the first that there is not
_CUDA_NOT_INITIALIZED = 3  # CUDA_ERROR_NOT_INITIALIZED

# Growth by the environment alone: tf.config refuses it together with a limit, or leaves it out without a word.
# cuda_malloc_async and cuda_malloc take no notice of it.
_ALLOCATOR_ENVIRONMENT: dict[str, dict[str, str | None]] = {
    "cuda_malloc_async": {"TF_GPU_ALLOCATOR": "cuda_malloc_async"},
    "cuda_malloc": {"TF_GPU_ALLOCATOR": "cuda_malloc"},
    "growth": {"TF_GPU_ALLOCATOR": None, "TF_FORCE_GPU_ALLOW_GROWTH": "true"},
    "bfc": {"TF_GPU_ALLOCATOR": None, "TF_FORCE_GPU_ALLOW_GROWTH": "false"},
}


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """A runtime for one test. None, or an empty mapping, leaves a thing as it is.

    `memory_limit_bytes`, whole MiB, is TensorFlow's own limit on each logical GPU. `gpus` is how many cards the test
    holds: which they are is settled when it starts (`apply_visible_devices`), but for 0, which hides all.
    """

    allocator: Allocator | None = None
    memory_limit_bytes: int | None = None
    gpus: int | None = None
    jit: bool | None = None
    precision: str | None = None
    cpu_allocator: Literal["bfc", "default"] | None = None
    logical_devices: dict[str, int] = {}
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None
    env: dict[str, str | None] = {}

    @property
    def hides_gpus(self) -> bool:
        """Whether it leaves CUDA no card to see."""
        return self.gpus == 0 or hides_gpus(self.env.get(VISIBLE))

    @property
    def needs_tensorflow(self) -> bool:
        """Whether anything here has to be set through `tf.config`, after TensorFlow is imported."""
        limited = self.memory_limit_bytes is not None
        return limited or self.jit is not None or self.precision is not None or bool(self.logical_devices)


def hides_gpus(visible: str | None) -> bool:
    """Whether CUDA_VISIBLE_DEVICES, None if unset, leaves no card: CUDA takes those before the first that is none."""
    return visible is not None and visible.split(",")[0].strip() in {"", _NO_CARD}


def parse_tf_runtime(markers: Sequence[tuple[tuple[Any, ...], Mapping[str, Any]]]) -> Runtime:
    """The runtime that `tf_runtime` markers ask for, closest first: argument by argument the closest wins.

    Raises TfmemError for what is not an argument or not a value for it, and for arguments that exclude each other.
    """
    wanted: dict[str, Any] = {}
    for positional, keywords in markers:
        if positional:
            raise TfmemError("tf_runtime takes keyword arguments only", hint="write tf_runtime(jit=True)")
        for name, value in keywords.items():
            wanted.setdefault(name, value)
    runtime = Runtime(**dict(_parsed(name, value) for name, value in wanted.items()))
    _refuse_contradictions(runtime)
    return runtime


def environment_of(runtime: Runtime, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that is to have `runtime`, from the one that it would inherit.

    It chooses no cards: those that a test holds are made visible by `apply_visible_devices`.
    """
    changes: dict[str, str | None] = {}
    if runtime.allocator is not None:
        changes |= _ALLOCATOR_ENVIRONMENT[runtime.allocator]
    if runtime.cpu_allocator is not None:
        changes["TF_CPU_ALLOCATOR_USE_BFC"] = "true" if runtime.cpu_allocator == "bfc" else "false"
    if runtime.intra_op_threads is not None:
        changes["TF_NUM_INTRAOP_THREADS"] = str(runtime.intra_op_threads)
    if runtime.inter_op_threads is not None:
        changes["TF_NUM_INTEROP_THREADS"] = str(runtime.inter_op_threads)
    if runtime.gpus == 0:
        changes[VISIBLE] = _NO_CARD
    merged = dict(inherited) | changes | runtime.env
    return {name: value for name, value in merged.items() if value is not None}


def apply_visible_devices(value: str) -> None:
    """Have CUDA see these cards alone, by their uuids, from its start in this process on.

    Raises TfmemError if CUDA has been started here: it has looked at the variable once for all.
    """
    if value != os.environ.get(VISIBLE) and _cuda_is_up():
        raise TfmemError(
            "the cards that this test holds cannot be given to it: CUDA was started in its process before the test,"
            " and has taken others",
            hint="nothing that is loaded with pytest, or imported with the test's file, may list GPUs or use them",
        )
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    os.environ[VISIBLE] = value


def apply_before_import(runtime: Runtime) -> None:
    """Set through TensorFlow what a user's module may ask for when it is imported, and what touches no device.

    Called once, before any user module is imported. Raises TfmemError if TensorFlow is not there or refuses.
    """
    if runtime.needs_tensorflow:
        _with_tensorflow(runtime, _set_up_compilation)


def apply_to_devices(runtime: Runtime) -> None:
    """Set through `tf.config` how devices are divided, which may start a GPU's driver. Called once, before any use.

    Raises TfmemError if TensorFlow is not there or refuses.
    """
    if runtime.memory_limit_bytes is not None or runtime.logical_devices:
        _with_tensorflow(runtime, _divide_devices)


def _with_tensorflow(runtime: Runtime, configure: Callable[[Any, Runtime], None]) -> None:
    try:
        import tensorflow as tf  # noqa: PLC0415  only for tests that ask for it
    except ImportError as error:
        raise TfmemError(
            f"tf_runtime({_asked_of_tensorflow(runtime)}) needs TensorFlow, which cannot be imported here ({error})",
            hint="install it, for example with pip install 'pytest-tfmem[tensorflow]'",
        ) from error
    try:
        configure(tf, runtime)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise TfmemError(f"tf_runtime: TensorFlow refused ({one_line(str(error))})") from error


def _set_up_compilation(tf: Any, runtime: Runtime) -> None:
    if runtime.jit is not None:
        tf.config.optimizer.set_jit("autoclustering" if runtime.jit else False)
    if runtime.precision is not None:
        tf.keras.mixed_precision.set_global_policy(runtime.precision)


def _divide_devices(tf: Any, runtime: Runtime) -> None:
    for kind, count in runtime.logical_devices.items():
        _split_devices(tf, kind, count, runtime.memory_limit_bytes if kind == "GPU" else None)
    if runtime.memory_limit_bytes is not None and "GPU" not in runtime.logical_devices:
        _split_devices(tf, "GPU", 1, runtime.memory_limit_bytes)


def _split_devices(tf: Any, kind: str, count: int, limit_bytes: int | None) -> None:
    limit = None if limit_bytes is None else limit_bytes // _MIB  # TensorFlow counts in MiB, and cuts off a fraction
    for device in tf.config.list_physical_devices(kind):
        parts = [tf.config.LogicalDeviceConfiguration(memory_limit=limit) for _ in range(count)]
        tf.config.set_logical_device_configuration(device, parts)


def _asked_of_tensorflow(runtime: Runtime) -> str:
    asked = {
        "memory_limit": runtime.memory_limit_bytes,
        "jit": runtime.jit,
        "precision": runtime.precision,
        "logical_devices": runtime.logical_devices or None,
    }
    return ", ".join(f"{name}={value!r}" for name, value in asked.items() if value is not None)


def _cuda_is_up() -> bool:
    """Whether CUDA's driver has been initialised in this process. Does not load it, and does not initialise it."""
    try:
        if b"/libcuda.so" not in Path("/proc/self/maps").read_bytes():
            return False
        count = ctypes.c_int()
        # Some libraries load the driver long before they use it.
        return bool(ctypes.CDLL("libcuda.so.1").cuDeviceGetCount(ctypes.byref(count)) != _CUDA_NOT_INITIALIZED)
    except (OSError, AttributeError):
        return False  # no Linux, or no driver of this name


def _refuse_contradictions(runtime: Runtime) -> None:
    limit = runtime.memory_limit_bytes
    if limit is not None and (limit % _MIB or not limit):
        around = f"{limit // _MIB} MiB' or '{limit // _MIB + 1} MiB" if limit > _MIB else "1 MiB"
        raise TfmemError(
            f"tf_runtime(memory_limit=...): {limit} bytes are not a number of whole MiB, in which TensorFlow counts",
            hint=f"write '{around}'",
        )
    if limit is None and "GPU" in runtime.logical_devices:
        raise TfmemError(
            "tf_runtime(logical_devices=...) divides GPUs, which TensorFlow does only by memory",
            hint="write memory_limit too, the limit of each logical GPU",
        )
    if runtime.gpus is not None and VISIBLE in runtime.env:
        raise TfmemError(f"tf_runtime has gpus, and sets {VISIBLE} in env", hint="leave one of the two out")


def _parsed(name: str, value: Any) -> tuple[str, Any]:
    if name not in ARGUMENTS:
        close = difflib.get_close_matches(name, ARGUMENTS, n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise TfmemError(
            f"tf_runtime has no argument {one_line(name, most=60)!r}", hint=f"{meant}It has {', '.join(ARGUMENTS)}"
        )
    if name == "memory_limit":
        return "memory_limit_bytes", parse_size(value, where="tf_runtime(memory_limit=...)")
    if name == "allocator" and isinstance(value, (list, tuple)):
        raise _list_of_allocators(value)
    check, right = _CHECKS[name]
    if not check(value):
        shown = one_line(repr(value), most=60)
        raise TfmemError(f"tf_runtime({name}={shown}) is not possible", hint=f"{name} is {right}")
    return name, dict(value) if isinstance(value, dict) else value


def _list_of_allocators(value: Sequence[object]) -> TfmemError:
    """Why a list has made no tests: pytest makes them where it collects a function, of a list in which all is well."""
    names = [str(name) for name in value]
    twice = next((name for name in names if names.count(name) > 1), None)
    shown = f"tf_runtime(allocator={one_line(repr(value), most=60)})"
    if not names:
        return TfmemError(f"{shown} names no allocator", hint=f"name some of {', '.join(ALLOCATORS)}")
    if twice is not None:
        return TfmemError(f"{shown} names {one_line(twice, most=60)} twice", hint="name each once")
    return TfmemError(
        f"{shown} makes one test of each, which can be done only of a function that pytest collects, not of a method"
        " of unittest.TestCase, of a doctest, or by a marker that is added later",
        hint="name one allocator",
    )


def _is_one_of(value: object, known: Sequence[str]) -> bool:
    # Anything may stand in a marker: an array is equal to a text in each of its elements, and has no hash.
    return isinstance(value, str) and value in known


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= 1 << 16


def _is_devices(value: object) -> bool:
    return isinstance(value, dict) and all(
        kind in {"CPU", "GPU"} and _is_count(count, 1) for kind, count in value.items()
    )


def _is_environment(value: object) -> bool:
    return isinstance(value, dict) and all(
        _is_variable(name) and name and "=" not in name and _is_variable(text) for name, text in value.items()
    )


def _is_variable(value: object) -> bool:
    return value is None or (isinstance(value, str) and "\0" not in value and encodable(value) == value)


_CHECKS: dict[str, tuple[Any, str]] = {
    "allocator": (lambda value: _is_one_of(value, ALLOCATORS), f"one of {', '.join(ALLOCATORS)}, or a list of them"),
    "gpus": (lambda value: _is_count(value, 0), "a whole number of cards"),
    "jit": (lambda value: isinstance(value, bool), "True or False"),
    "precision": (lambda value: _is_one_of(value, PRECISIONS), f"one of {', '.join(PRECISIONS)}"),
    "cpu_allocator": (lambda value: _is_one_of(value, ("bfc", "default")), "'bfc' or 'default'"),
    "logical_devices": (_is_devices, 'a count by kind of device, such as {"CPU": 2}'),
    "intra_op_threads": (lambda value: _is_count(value, 1), "a whole number of threads, at least 1"),
    "inter_op_threads": (lambda value: _is_count(value, 1), "a whole number of threads, at least 1"),
    "env": (_is_environment, "a mapping of names to strings (None unsets a variable)"),
}
