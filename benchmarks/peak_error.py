"""How far the kernel's high-water mark falls short of the truth: `python benchmarks/peak_error.py [SPIKES]`.

Spikes of random sizes, anonymous, file and shared pages mixed, are touched page by page while the process moves from
CPU to CPU, and are freed at once. The truth is what is resident while the spike is held, which the kernel counts
exactly since Linux 6.17, and which to read does not move the mark. The largest shortfall seen stands beside the
largest that the plugin states (`peak_error_bytes`).
"""

from __future__ import annotations

import mmap
import os
import random
import sys
import tempfile

from table import show

from pytest_tfmem.measure.host import read_marks, reset_peak

PAGE = mmap.PAGESIZE
CPUS = sorted(os.sched_getaffinity(0))
LARGEST = 512  # pages in one part of a spike
KINDS = ("anonymous", "file", "shared", "all three")


def touch(spike: mmap.mmap, moves: int, *, write: bool) -> None:
    """Touch every page, on one CPU after another. Reading anonymous memory would take none."""
    pages = len(spike) // PAGE
    borders = {random.randrange(pages) for _ in range(moves)}
    for page in range(pages):
        if page in borders:
            os.sched_setaffinity(0, [random.choice(CPUS)])
        if write:
            spike[page * PAGE] = 1
        else:
            spike[page * PAGE]


def part(kind: str, pages: int, file: int, memory: int) -> mmap.mmap:
    if kind == "anonymous":
        return mmap.mmap(-1, pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(file if kind == "file" else memory, pages * PAGE, access=mmap.ACCESS_READ)


def shortfall(kind: str, file: int, memory: int) -> int:
    """Bytes by which the mark falls short of one random spike."""
    kinds = KINDS[:3] if kind == "all three" else (kind,)
    wanted = [(each, random.randint(1, LARGEST)) for each in kinds]
    reset_peak()
    before = read_marks(since_reset=True).rss
    parts = [(part(each, pages, file, memory), each == "anonymous") for each, pages in wanted]
    for spike, is_anonymous in parts:
        touch(spike, random.randint(0, 8), write=is_anonymous)
    held = read_marks(since_reset=True).rss - before
    for spike, _ in parts:
        spike.close()
    peak = read_marks(since_reset=True).peak - before
    return held - peak


def main() -> None:
    spikes = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    memory = os.memfd_create("spike")
    os.write(memory, bytes(LARGEST * PAGE))
    stated = read_marks(since_reset=True).error or 0
    rows = []
    with tempfile.TemporaryFile() as file:
        file.write(bytes(LARGEST * PAGE))
        file.flush()
        for kind in KINDS:
            short = [shortfall(kind, file.fileno(), memory) for _ in range(spikes)]
            missed = sum(each > 0 for each in short)
            share = f"{100 * missed / len(short):.0f} %"
            rows.append([kind, len(short), share, f"{max(short) // 1024} KiB", f"{stated // 1024} KiB"])
    show(["pages of the spike", "spikes", "fell short", "largest shortfall", "stated at most"], rows)


if __name__ == "__main__":
    main()
