"""Steps that are none, and how soon those that are one are found: `python benchmarks/gate_steps.py [SERIES]`.

`gate.steps` beside PELT with squared error and a penalty of the usual size, 3 sigma^2 log(n), as `ruptures` has it. A
flat series of 60 points is stepped falsely if any step is found in it. Then the time that `steps` takes.
"""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import ruptures
from noise_models import MODELS, in_bytes
from table import machine, show_plain

from pytest_tfmem.gate.steps import steps

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 20_240_906
POINTS = 60
BEFORE = 40
AFTER = (1, 2, 3, 4, 6, 10)
STEPS = ((0.02, 0.0003), (0.02, 0.002), (0.015, 0.002), (0.03, 0.01), (0.05, 0.01))


def _normal(deviation: float) -> Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]:
    return lambda random, shape: 1 + random.normal(0, deviation, shape)


def by_squares(values: list[int]) -> list[int]:
    signal = np.array(values, dtype=float)
    sigma = np.median(np.abs(np.diff(signal))) / (math.sqrt(2) * 0.6745)
    found = ruptures.Pelt(model="l2", min_size=1, jump=1).fit(signal)
    return list(found.predict(pen=max(3 * sigma**2 * math.log(len(values)), 1.0))[:-1])


def stepped(series: list[list[int]], method: Callable[[list[int]], list[int]]) -> str:
    return f"{100 * sum(bool(method(values)) for values in series) / len(series):.1f} %"


def false_steps(random: np.random.Generator, count: int) -> None:
    models = {"normal, 0.2 %": _normal(0.002), **MODELS}
    rows = []
    for name, draw in models.items():
        ours = [stepped(in_bytes(draw(random, (count, points))).tolist(), steps) for points in (20, POINTS, 200)]
        theirs = stepped(in_bytes(draw(random, (min(count, 200), POINTS))).tolist(), by_squares)
        rows.append([name, *ours, theirs])
    print("\nFlat series in which a step is found:\n")
    show_plain(["noise", "20 points", "60 points", "200 points", "60 points, PELT with squared error"], rows)


def found_after(random: np.random.Generator, count: int) -> None:
    rows = []
    for size, deviation in STEPS:
        row = [f"+{100 * size:g} % at {100 * deviation:g} %"]
        for after in AFTER:
            factors = 1 + random.normal(0, deviation, (count, BEFORE + after))
            factors[:, BEFORE:] *= 1 + size
            found = [steps(values) for values in in_bytes(factors).tolist()]
            right = sum(len(one) == 1 and abs(one[0] - BEFORE) <= 1 for one in found)
            row.append(f"{100 * right / count:.0f} %")
        rows.append(row)
    print(f"\nA step after {BEFORE} points, found at its place or beside it, by the points since:\n")
    show_plain(["step and noise", *map(str, AFTER)], rows)


def taken(random: np.random.Generator) -> None:
    rows = []
    for name, factors in (
        ("normal, 0.15 %", 1 + random.normal(0, 0.0015, (500, 200))),
        ("normal, 1 %", 1 + random.normal(0, 0.01, (500, 200))),
        ("allocation-heavy", MODELS["allocation-heavy, 8-26 %"](random, (500, 200))),
        ("three steps, 0.2 %", np.repeat([1, 1.03, 1.05, 1.02], 50) * (1 + random.normal(0, 0.002, (500, 200)))),
    ):
        series = in_bytes(factors).tolist()
        began = time.process_time()
        for values in series:
            steps(values)
        rows.append([name, f"{time.process_time() - began:.2f} s"])
    print("\n500 series of 200 points:\n")
    show_plain(["noise", "processor time"], rows)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    random = np.random.default_rng(SEED)
    false_steps(random, count)
    found_after(random, count)
    taken(random)
    print(f"\n{count} series each, seed {SEED}. {machine()}.")


if __name__ == "__main__":
    main()
