"""`tf_runtime`: the runtime that a test asks for, set before its module runs anything."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.isolate.reports import encodable
from pytest_tfmem.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ALLOCATORS = ("cuda_malloc_async", "growth", "bfc", "cuda_malloc")
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

# Without these, TensorFlow's allocator is what the variables of the user's own environment say.
_ALLOCATOR_ENVIRONMENT: dict[str, dict[str, str | None]] = {
    "cuda_malloc_async": {"TF_GPU_ALLOCATOR": "cuda_malloc_async"},
    "cuda_malloc": {"TF_GPU_ALLOCATOR": "cuda_malloc"},
    "growth": {"TF_GPU_ALLOCATOR": None, "TF_FORCE_GPU_ALLOW_GROWTH": "true"},
    "bfc": {"TF_GPU_ALLOCATOR": None, "TF_FORCE_GPU_ALLOW_GROWTH": "false"},
}


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """A runtime for one test. None, or an empty mapping, leaves a thing as it is.

    `memory_limit_bytes` is TensorFlow's own limit on each GPU, `gpus` how many of the visible GPUs stay visible.
    """

    allocator: Literal["cuda_malloc_async", "growth", "bfc", "cuda_malloc"] | None = None
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
    def needs_tensorflow(self) -> bool:
        """Whether anything here has to be set through `tf.config`, after TensorFlow is imported."""
        limited = self.memory_limit_bytes is not None
        return limited or self.jit is not None or self.precision is not None or bool(self.logical_devices)


def parse_tf_runtime(markers: Sequence[tuple[tuple[Any, ...], Mapping[str, Any]]]) -> Runtime:
    """The runtime that `tf_runtime` markers ask for, closest first: argument by argument the closest wins.

    Raises TfmemError for what is not an argument or not a value for it.
    """
    wanted: dict[str, Any] = {}
    for positional, keywords in markers:
        if positional:
            raise TfmemError("tf_runtime takes keyword arguments only", hint="write tf_runtime(jit=True)")
        for name, value in keywords.items():
            wanted.setdefault(name, value)
    return Runtime(**dict(_parsed(name, value) for name, value in wanted.items()))


def environment_of(runtime: Runtime, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that is to have `runtime`, from the one that it would inherit."""
    changes: dict[str, str | None] = {}
    if runtime.allocator is not None:
        changes |= _ALLOCATOR_ENVIRONMENT[runtime.allocator]
    if runtime.cpu_allocator is not None:
        changes["TF_CPU_ALLOCATOR_USE_BFC"] = "true" if runtime.cpu_allocator == "bfc" else "false"
    if runtime.intra_op_threads is not None:
        changes["TF_NUM_INTRAOP_THREADS"] = str(runtime.intra_op_threads)
    if runtime.inter_op_threads is not None:
        changes["TF_NUM_INTEROP_THREADS"] = str(runtime.inter_op_threads)
    if runtime.gpus is not None:
        changes |= _visible_gpus(runtime.gpus, inherited)
    merged = dict(inherited) | changes | runtime.env
    return {name: value for name, value in merged.items() if value is not None}


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
    limit = None if limit_bytes is None else limit_bytes / (1 << 20)  # tf.config counts in MiB
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


def _visible_gpus(count: int, inherited: Mapping[str, str]) -> dict[str, str | None]:
    listed = inherited.get("CUDA_VISIBLE_DEVICES")
    cards = listed.split(",") if listed is not None else [str(index) for index in range(count)]
    chosen = ",".join(cards[:count]) if count else "-1"
    changes: dict[str, str | None] = {"CUDA_VISIBLE_DEVICES": chosen}
    return changes if listed is not None else changes | {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def _parsed(name: str, value: Any) -> tuple[str, Any]:
    if name not in ARGUMENTS:
        close = difflib.get_close_matches(name, ARGUMENTS, n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise TfmemError(
            f"tf_runtime has no argument {one_line(name, most=60)!r}", hint=f"{meant}It has {', '.join(ARGUMENTS)}"
        )
    if name == "memory_limit":
        return "memory_limit_bytes", parse_size(value, where="tf_runtime(memory_limit=...)")
    check, right = _CHECKS[name]
    if not check(value):
        shown = one_line(repr(value), most=60)
        raise TfmemError(f"tf_runtime({name}={shown}) is not possible", hint=f"{name} is {right}")
    return name, dict(value) if isinstance(value, dict) else value


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
