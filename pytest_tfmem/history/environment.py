"""The environment of a run: what its readings depend on beside the code under test."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Distributions that provide the package `tensorflow`, the usual ones first; which one is installed is part of the
# environment, because builds of one version differ in their allocators and kernels.
TENSORFLOW_DISTRIBUTIONS = (
    "tensorflow",
    "tensorflow-cpu",
    "tf-nightly",
    "tf-nightly-cpu",
    "tensorflow-gpu",
    "tensorflow-intel",
    "tensorflow-macos",
    "tensorflow-rocm",
    "tensorflow-aarch64",
    "tensorflow-cpu-aws",
    "intel-tensorflow",
    "intel-tensorflow-avx512",
    "nvidia-tensorflow",
)
KERAS_DISTRIBUTIONS = ("keras", "keras-nightly", "tf-keras", "tf-keras-nightly")

# Only these are kept of the process's environment: whatever else stands there is nobody's business, secrets included.
SETTINGS = (
    "CUDA_VISIBLE_DEVICES",
    "GLIBC_TUNABLES",
    "KERAS_BACKEND",
    "LD_PRELOAD",  # jemalloc and tcmalloc come this way
    "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_TRIM_THRESHOLD_",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONMALLOC",
    "TF_CPU_ALLOCATOR_USE_BFC",
    "TF_CPU_BFC_MEM_LIMIT_IN_MB",
    "TF_CUDA_MALLOC_ASYNC_SUPPORTED_PREALLOC",
    "TF_CUDNN_USE_AUTOTUNE",
    "TF_CUDNN_WORKSPACE_LIMIT_IN_MB",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_GPU_GARBAGE_COLLECTION",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_FORCE_GPU_ALLOW_GROWTH",
    "TF_FORCE_UNIFIED_MEMORY",
    "TF_GPU_ALLOCATOR",
    "TF_GPU_HOST_MEM_LIMIT_IN_MB",
    "TF_GPU_THREAD_COUNT",
    "TF_GPU_THREAD_MODE",
    "TF_MKL_ALLOC_MAX_BYTES",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS",
    "TF_ONEDNN_USE_SYSTEM_ALLOCATOR",
    "TF_PER_DEVICE_MEMORY_LIMIT_MB",
    "TF_USE_LEGACY_KERAS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
)
_LONGEST_SETTING = 500
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


class Environment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What readings depend on. What could not be told is None or missing, never guessed.

    `gpus`: the names of all GPUs of the machine, visible or not, in the driver's order; `gpu_driver` its version.
    `packages`: versions by distribution. `cores`: logical cores of the machine; `cores_allowed`: those this process may
    run on. `transparent_huge_pages`: the kernel's mode, "always", "madvise" or "never". `onednn`: TF_ENABLE_ONEDNN_OPTS
    as it is set, None if TensorFlow's default holds. `settings`: the variables of `SETTINGS` that are set. `plugins`:
    those of pytest, which are loaded in every test's process; "coverage" among them where that is measured.
    """

    python: str
    python_implementation: str
    system: str
    os: str
    kernel: str
    machine: str
    packages: dict[str, str]
    gpus: list[str] = []
    gpu_driver: str | None = None
    libc: str | None = None
    cores: int | None = None
    cores_allowed: int | None = None
    page_size_bytes: int | None = None
    transparent_huge_pages: str | None = None
    onednn: str | None = None
    settings: dict[str, str] = {}
    plugins: list[str] = []


def describe_environment(
    *,
    gpus: Sequence[str] = (),
    gpu_driver: str | None = None,
    plugins: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Environment:
    """The environment of this process. Imports none of the packages that it names the versions of.

    `gpus` and `gpu_driver` are told by whoever has asked the driver, `plugins` by whoever has asked pytest.
    """
    return Environment(
        python=platform.python_version(),
        python_implementation=platform.python_implementation(),
        system=platform.system(),
        os=_operating_system(),
        kernel=platform.release(),
        machine=platform.machine(),
        packages=_packages(),
        gpus=list(gpus),
        gpu_driver=gpu_driver,
        libc=" ".join(platform.libc_ver()).strip() or None,
        cores=os.cpu_count(),
        cores_allowed=_cores_allowed(),
        page_size_bytes=_page_size(),
        transparent_huge_pages=_selected(_HUGE_PAGES),
        onednn=environ.get("TF_ENABLE_ONEDNN_OPTS"),
        settings={name: environ[name][:_LONGEST_SETTING] for name in SETTINGS if name in environ},
        plugins=sorted(plugins),
    )


def _packages() -> dict[str, str]:
    tensorflow = _installed(TENSORFLOW_DISTRIBUTIONS)
    keras = _installed(KERAS_DISTRIBUTIONS)
    return tensorflow | keras | _installed(("numpy", "pytest", "pytest-tfmem"))


def _installed(distributions: Iterable[str]) -> dict[str, str]:
    found = {name: _version(name) for name in distributions}
    return {name: version for name, version in found.items() if version}


def _version(distribution: str) -> str | None:
    try:
        metadata = importlib.metadata.metadata(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    # Not importlib.metadata.version: it warns, and will raise, where an installation is broken and names none.
    if "Version" not in metadata:
        return None
    return metadata["Version"]


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform(terse=True)


def _cores_allowed() -> int | None:
    # Not os.process_cpu_count: it is new in Python 3.13, and -X cpu_count overrides it.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else None


def _page_size() -> int | None:
    return os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None


def _selected(path: Path) -> str | None:
    """What is in brackets in a file of /sys that lists what one can select: `always [madvise] never`."""
    try:
        text = path.read_text(encoding="ascii")
    except OSError:
        return None
    return text.partition("[")[2].partition("]")[0] or None
