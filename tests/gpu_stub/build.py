"""Stand-in CUDA libraries, built by gcc from the sources beside this file and the names in the installed TensorFlow.

Every function of CUDA that TensorFlow's libraries name is exported. Those of the C sources do what they say there; each
of the others only succeeds: it is written as a weak symbol, so that the linker prefers the source's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import mmap
import os
import re
import shutil
import struct
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from tests.gpu_stub import layout

HERE = Path(__file__).parent
DRIVER_FOLDER = "driver"


class CannotBuildError(Exception):
    """Why the libraries cannot be built here, a sentence for the person who wants them."""


class Library(NamedTuple):
    """One library: its file's name, which names are its own, its sources, and what a function without one returns."""

    soname: str
    names: str
    sources: tuple[str, ...] = ()
    returns: int = 0
    folder: str = "cuda"


CUPTI_ERROR_NOT_INITIALIZED = 15  # so that the profiler goes on without the device's activity
LIBRARIES = (
    Library("libcuda.so.1", r"cu[A-Z]\w*", ("cuda_device.c", "cuda_context.c", "cuda_memory.c", "cuda_work.c")),
    Library("libcudart.so.12", r"(?:__)?cuda[A-Z]\w*", ("cudart.c", "kernels.c")),
    Library("libcublas.so.12", r"cublas(?!Lt)[A-Z]\w*"),
    Library("libcublasLt.so.12", r"cublasLt[A-Z]\w*", ("cublaslt.c",)),
    Library("libcudnn.so.9", r"cudnn[A-Z]\w*", ("cudnn.c",)),
    Library("libcufft.so.11", r"cufft[A-Z]\w*", ("cufft.c",)),
    Library("libcusolver.so.11", r"cusolver[A-Z]\w*"),
    Library("libcusparse.so.12", r"cusparse[A-Z]\w*"),
    Library("libnccl.so.2", r"p?nccl[A-Z]\w*"),
    Library("libcupti.so.12", r"cupti[A-Z]\w*", (), CUPTI_ERROR_NOT_INITIALIZED),
    Library("libnvidia-ml.so.1", r"(?!)", ("nvml_machine.c", "nvml_memory.c"), folder=DRIVER_FOLDER),
)
# What the sources share among themselves is nobody else's to find: several of the libraries have the same of it.
_EXPORTS = "{ global: cu*[A-Z]*; __cuda*; nccl*; pnccl*; nvml[A-Z]*; local: *; };"
_FLAGS = ("-shared", "-fPIC", "-O1", "-std=gnu11", "-Wall", "-Wno-unused-parameter", "-Wno-format-truncation")


def libraries(cache: Path) -> Path:
    """The folder with the libraries for the installed TensorFlow, built there if they are not yet: `cuda`, `driver`.

    Any number of processes may ask at once. `driver` has only libnvidia-ml, so that it can be left out.
    """
    tensorflow = _tensorflow_libraries()
    compiler = shutil.which("gcc")
    if compiler is None:
        raise CannotBuildError("There is no gcc on the PATH, which builds the stand-in CUDA libraries; install gcc.")
    folder = cache / _key(tensorflow)
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "lock"):
        if not folder.exists():
            _build(compiler, _names(tensorflow), folder)
    return folder


def _tensorflow_libraries() -> list[Path]:
    spec = importlib.util.find_spec("tensorflow")  # it is not imported: that takes seconds
    if spec is None or spec.origin is None:
        raise CannotBuildError(
            "TensorFlow is not installed; the stand-in GPU needs its CUDA build: pip install tensorflow"
        )
    folder = Path(spec.origin).parent
    found = [folder / name for name in ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2")]
    if missing := [path.name for path in found if not path.exists()]:
        raise CannotBuildError(
            f"{folder} has no {' and no '.join(missing)}: the stand-in GPU needs TensorFlow for Linux."
        )
    return found


def _key(tensorflow: list[Path]) -> str:
    """Of what the libraries are made of. TensorFlow's are told by size and time: a gigabyte is not read for that."""
    digest = hashlib.sha256()
    for path in tensorflow:
        status = path.stat()
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    for path in [*sorted(HERE.glob("*.[ch]")), HERE / "build.py", HERE / "layout.py"]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _names(tensorflow: list[Path]) -> set[str]:
    """Everything in TensorFlow's libraries that could be a function of CUDA: it finds them by name when it runs."""
    pattern = re.compile(rb"\0((?:__|p)?(?:cu|nccl)[A-Za-z]\w{3,80})(?=\0)")
    names: set[str] = set()
    for path in tensorflow:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start, size = _constants(content)
            names.update(found[1].decode() for found in pattern.finditer(content, start, start + size))
    if "cuDevicePrimaryCtxRetain" not in names:
        raise CannotBuildError(
            "The installed TensorFlow is not built for CUDA (is it tensorflow-cpu?); the stand-in GPU needs the other: "
            "pip install tensorflow"
        )
    return names


def _constants(elf: mmap.mmap) -> tuple[int, int]:
    """Offset and size of .rodata in a 64-bit ELF file: an eighth of the whole, and all strings are in it."""
    (sections,) = struct.unpack_from("<Q", elf, 0x28)
    entry_size, count, names_index = struct.unpack_from("<3H", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, sections + entry_size * i) for i in range(count)]
    names = headers[names_index][4]
    for name, _, _, _, offset, size in headers:
        if elf[names + name :][:8] == b".rodata\0":
            return offset, size
    return 0, len(elf)


def _build(compiler: str, names: set[str], folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch, "made")
        for part in {library.folder for library in LIBRARIES}:
            (made / part).mkdir(parents=True)
        Path(scratch, "exports").write_text(_EXPORTS, encoding="utf-8")
        Path(scratch, "layout.h").write_text(layout.header(), encoding="utf-8")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda library: _compile(compiler, library, names, Path(scratch), made), LIBRARIES))
        made.rename(folder)  # at once, so that a folder with this name is a whole one


def _compile(compiler: str, library: Library, names: set[str], scratch: Path, made: Path) -> None:
    own = sorted(name for name in names if re.fullmatch(library.names, name))
    generated = scratch / f"{library.soname}.c"
    generated.write_text(_generated(own, library.returns), encoding="utf-8")
    sources = [HERE / source for source in ("account.c", *library.sources)]
    linker = f"-Wl,-soname,{library.soname},--version-script={scratch / 'exports'}"
    command = [compiler, *_FLAGS, f"-I{HERE}", f"-I{scratch}", linker]
    command += ["-o", made / library.folder / library.soname, *sources, generated, "-lpthread", "-ldl"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise CannotBuildError(f"gcc could not build {library.soname}:\n{ran.stderr}")


def _generated(names: list[str], returns: int) -> str:
    """Functions that succeed. One that creates something writes a handle to where its first argument points."""
    lines = ['#include "account.h"', "#include <stdlib.h>", "#define WEAK __attribute__((weak))"]
    for name in names:
        if "Create" in name and "Plan" not in name:
            body = f"COUNT_CALL(); if (handle) *handle = calloc(1, 256); return {returns};"
            lines.append(f"WEAK int {name}(void **handle) {{ {body} }}")
        else:
            lines.append(f"WEAK int {name}(void) {{ COUNT_CALL(); return {returns}; }}")
    return "\n".join(lines) + "\n"
