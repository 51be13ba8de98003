"""What sampling costs the session that samples: `python benchmarks/sampler_share.py [SECONDS]`.

The sampler at its default interval, driven as the session drives it, beside processes of several shapes. Its share is
its thread's processor time over the clock's; the bar is under 1 %, which it keeps by stretching its interval.
"""

from __future__ import annotations

import selectors
import subprocess
import sys
import time

from table import median, show

from pytest_tfmem.measure.sampler import Sampler, descendants
from pytest_tfmem.settings import DEFAULT_INTERVAL_SECONDS

WAIT = "print('ready', flush=True); sys.stdin.read()"
TENSORFLOW = """
import tensorflow as tf
dataset = tf.data.Dataset.range(1000).map(lambda x: x * 2, num_parallel_calls=16).prefetch(4)
kept = iter(dataset)
next(kept)
tf.linalg.matmul(tf.ones((2000, 2000)), tf.ones((2000, 2000)))
"""
GRANDCHILDREN = """
import subprocess
asleep = [subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"]) for _ in range(20)]
"""
CHILDREN = {
    "Python": "",
    "TensorFlow": TENSORFLOW,
    "Python with 20 grandchildren": GRANDCHILDREN,
    "TensorFlow with 20 grandchildren": TENSORFLOW + GRANDCHILDREN,
}


def threads_of(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:
        return int(next(line.split()[1] for line in file if line.startswith("Threads:")))


def row(name: str, code: str, seconds: float) -> list[str]:
    command = [sys.executable, "-c", f"import sys\n{code}\n{WAIT}"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdin
    assert child.stdout
    child.stdout.readline()
    shape = f"{threads_of(child.pid)} threads, {len(descendants(child.pid))} descendants"
    sampler = Sampler(child.pid, DEFAULT_INTERVAL_SECONDS)
    selector = selectors.DefaultSelector()
    selector.register(child.stdout, selectors.EVENT_READ)
    shares, intervals = [], []
    for _ in range(10):
        count, began, cpu_began = sampler.samples.count, time.monotonic(), time.thread_time()
        while (elapsed := time.monotonic() - began) < seconds / 10:
            selector.select(sampler.wait_seconds())
            sampler.sample_if_due()
        shares.append(100 * (time.thread_time() - cpu_began) / elapsed)
        intervals.append(1000 * elapsed / (sampler.samples.count - count))
    child.stdin.close()
    child.wait()
    return [name, shape, median(shares, 2, "%"), median(intervals, 1, "ms")]


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    rows = [row(name, code, seconds) for name, code in CHILDREN.items()]
    show(
        ["process", "shape", "sampler's share of one CPU", f"interval ({1000 * DEFAULT_INTERVAL_SECONDS:g} ms wanted)"],
        rows,
    )


if __name__ == "__main__":
    main()
