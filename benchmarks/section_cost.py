"""What a section costs the test that enters it: `python benchmarks/section_cost.py`.

Entered and left many times in one process, as the fixture `tfmem` does it, without TensorFlow, with its devices up, and
where it counts its CPU's tensors; beside it, as a measure of the machine, one reading of /proc/self/status. Processor
time of the thread, so that what else the machine does matters little.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from table import median, show

from pytest_tfmem.isolate.channel import Channel
from pytest_tfmem.isolate.inside import Inside
from pytest_tfmem.measure.allocator import DeviceReader
from pytest_tfmem.measure.host import read_marks
from pytest_tfmem.measure.nested import Nest

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = {"Python alone": "", "TensorFlow": "0", 'TensorFlow, cpu_allocator="bfc"': "1"}
ROUNDS = 9
TIMES = 300


def main() -> None:
    if len(sys.argv) > 1:
        print(*measured())
        return
    rows = []
    for name, cpu_bfc in CASES.items():
        sections, reads = in_process(cpu_bfc)
        ratios = [section / read for section, read in zip(sections, reads, strict=True)]
        rows.append((name, median(sections, 0), median(reads, 0), median(ratios, 1)))
    show(("process", "a section, µs", "a reading of status, µs", "ratio"), rows)


def in_process(cpu_bfc: str) -> tuple[list[float], list[float]]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_CPU_ALLOCATOR_USE_BFC": cpu_bfc}
    command = [sys.executable, __file__, "inside"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    numbers = [*map(float, told.split())]
    return numbers[::2], numbers[1::2]


def measured() -> list[float]:
    """Microseconds of a section and of a reading, in turn."""
    if os.environ["TF_CPU_ALLOCATOR_USE_BFC"]:
        import tensorflow as tf  # noqa: PLC0415  only in this process

        tf.zeros(3)
    ours, theirs = socket.socketpair()
    with ours, subprocess.Popen(["cat"], stdin=theirs, stdout=subprocess.DEVNULL):  # which hears, as the controller
        theirs.close()
        inside = Inside(Channel(ours), Nest(DeviceReader()))
        inside.nest.begin()
        calls = (lambda: inside.leave(inside.enter("a section")), lambda: read_marks(since_reset=True))
        found = [microseconds(call) for _ in range(ROUNDS) for call in calls]
        ours.shutdown(socket.SHUT_RDWR)
    return found


def microseconds(call: Callable[[], object]) -> float:
    began = time.thread_time()  # others may be at work on this machine
    for _ in range(TIMES):
        call()
    return (time.thread_time() - began) / TIMES * 1e6


if __name__ == "__main__":
    main()
