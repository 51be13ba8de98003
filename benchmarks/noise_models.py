"""What readings of unchanged code are like: factors by which each reading is off, drawn for many at once.

Peaks of host memory err upwards (frees that come late, arenas of threads), jump between modes, and have outliers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

BYTES = 512 << 20
PAGE = 4096


def _normal(deviation: float) -> Draw:
    return lambda random, shape: 1 + random.normal(0, deviation, shape)


def _skewed(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return 1 + random.exponential(0.005, shape)


def _two_modes(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return 1 + 0.01 * (random.random(shape) < 0.3) + random.normal(0, 0.0005, shape)


def _heavy_tails(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return 1 + 0.003 * random.standard_t(2, shape)


def _allocation_heavy(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Spreads of 8 to 26 %, another for each test, with most readings in the lower half."""
    spread = random.uniform(0.08, 0.26, (shape[0], *[1] * (len(shape) - 1)))
    return 1 + spread * random.beta(2, 3, shape)


MODELS: dict[str, Draw] = {
    "normal, 0.03 %": _normal(0.0003),
    "normal, 0.15 %": _normal(0.0015),
    "normal, 1 %": _normal(0.01),
    "skewed upwards, 0.5 %": _skewed,
    "two modes, 1 % apart": _two_modes,
    "heavy tails (t, 2 degrees)": _heavy_tails,
    "allocation-heavy, 8-26 %": _allocation_heavy,
}
MACHINES = (0.0, 0.01, 0.03)


def between_machines(random: np.random.Generator, deviation: float, shape: tuple[int, ...]) -> np.ndarray:
    """By which factor each session's machine reads more or less than the usual one."""
    return 1 + random.normal(0, deviation, shape)


def in_bytes(factors: np.ndarray) -> np.ndarray:
    """Readings in whole pages, as the kernel counts."""
    return np.maximum((BYTES * factors / PAGE).astype(np.int64), 0) * PAGE
