"""What an isolated test costs over running its file alone with pytest: `python benchmarks/spawn_cost.py [PAIRS]`.

Compared are, in turn:

plain   `python -m pytest -p no:tfmem FILE`, from its start to its end
child   the test's own process under `python -m pytest --tfmem-all FILE`, from before it is started until it is
        reaped: what the session's run protocol takes for the one test. Its processor time is that of the child and
        that of the session beside it, which samples
whole   that same session from its start to its end; it imports and collects the file a second time

The bar is on child against plain: at most 5 % more, in the median of the pairs' ratios. On a machine that does
something else besides, the least of each against the other says more than the medians, and processor time more than
the clock: the child is a session of its own to the scheduler, which may give it more of a busy machine than the plain
run gets.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from processes import Cost, cost_of
from table import median, show

FILES = {
    "no-op": "import tensorflow\n\ndef test_nothing():\n    pass\n",
    "Keras fit": """
import numpy as np
import tensorflow as tf

def test_fit():
    model = tf.keras.Sequential([tf.keras.Input((32, 32, 3)), tf.keras.layers.Conv2D(32, 3, activation="relu"),
                                 tf.keras.layers.Flatten(), tf.keras.layers.Dense(10)])
    model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(np.zeros((256, 32, 32, 3), "float32"), np.zeros(256), epochs=1, batch_size=32, verbose=0)
""",
}
TIMER = """
import os
import resource
import time

import pytest

def cpu():
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)

@pytest.hookimpl(wrapper=True, tryfirst=True)  # within the plugin that is measured, which then only tidies up
def pytest_runtest_protocol(item):
    began, cpu_began = time.perf_counter(), cpu()
    try:
        return (yield)
    finally:
        # Written by the session last: what the test's own process wrote before is written over.
        with open(os.environ["BENCHMARK_TIMES"], "w") as file:
            print(time.perf_counter() - began, cpu() - cpu_began, file=file)
"""


def run(folder: Path, *options: str) -> Cost:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    more = {"PYTHONPATH": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3", "BENCHMARK_TIMES": str(folder / "times")}
    return cost_of([*command, "--rootdir", str(folder), "test_it.py"], folder, more)


def measure(text: str, pairs: int) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {"plain": [], "child": [], "whole": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_it.py").write_text(text)
        (folder / "benchmark_timer.py").write_text(TIMER)
        for pair in range(pairs + 1):
            for kind in ("plain", "child") if pair % 2 else ("child", "plain"):
                if kind == "plain":
                    costs["plain"].append(run(folder, "-p", "no:tfmem"))
                else:
                    costs["whole"].append(run(folder, "--tfmem-all", "-p", "benchmark_timer"))
                    seconds, cpu = (folder / "times").read_text().split()
                    costs["child"].append(Cost(float(seconds), float(cpu)))
    return {kind: measured[1:] for kind, measured in costs.items()}  # the first of each warms the disk's cache


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    rows = []
    for name, text in FILES.items():
        costs = measure(text, pairs)
        for index, clock in enumerate(("clock", "processor")):
            of = {kind: [cost[index] for cost in measured] for kind, measured in costs.items()}
            over = {
                kind: [100 * (one / plain - 1) for one, plain in zip(of[kind], of["plain"], strict=True)]
                for kind in ("child", "whole")
            }
            seconds = [median(of[kind], 2, "s") for kind in ("plain", "child", "whole")]
            least = 100 * (min(of["child"]) / min(of["plain"]) - 1)
            ratios = [median(over["child"], 1, "%"), f"{least:.1f} %", median(over["whole"], 1, "%")]
            rows.append([name, clock, *seconds, *ratios])
    show(["test", "time", "plain", "child", "whole", "child over plain", "least over least", "whole over plain"], rows)


if __name__ == "__main__":
    main()
