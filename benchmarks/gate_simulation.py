"""False alarms and power of the gate, simulated: `python benchmarks/gate_simulation.py [TESTS] [WORKERS]`.

The decisions are the gate's own functions: `changes` nominates by a history of 20 sessions, `plan` says how many
attempts decide, `regressed` decides. Beside them stand the usual gates. A pull request has 300 tests, none of which has
changed; its session, and each earlier one, is on a machine of its own, which moves all of its readings together.

Few false alarms are left to count. So beside those counted stands what is expected of the same attempts if it is chance
which of them are the head's: of all the ways to tell them apart, one can be called regressed.

The stated bounds are judged in every model, with the uncertainty of the simulation: the exit status is 1 if one fails.
"""

from __future__ import annotations

import datetime as dt
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from noise_models import MACHINES, MODELS, between_machines, in_bytes
from table import show_plain

from pytest_tfmem.budgets.model import Tolerance
from pytest_tfmem.gate.compare import changes
from pytest_tfmem.gate.decide import plan, regressed
from pytest_tfmem.gate.nominate import nominated, rank
from pytest_tfmem.gate.tolerance import tolerance_for
from pytest_tfmem.history.series import History, Point, SeriesKey

SEED = 20_240_905
SESSIONS = 20
TESTS_OF_A_PULL_REQUEST = 300
INCREASES = (0.01, 0.02, 0.03, 0.05)
TESTS_FOR_POWER = 2_000
TOLERANCE = tolerance_for("rss_anon", "lower-bound", of_file=None)
MOST_CHANCE = 0.01  # of a false alarm in a pull request: what `plan` keeps
MOST_ATTEMPTS = 9  # where all 300 are suspect
T_99_OF_19 = 2.539  # the 0.99 quantile of Student's distribution with 19 degrees of freedom
USUAL = ("last run + 2 %", "mean + 2 %", "t interval, 0.99", "Q3 + 3 IQR", "all of 3 over the history")
SINCE_A_STEP = (1, 2, 3, 4, 5)
WHEN = [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=day) for day in range(2 * SESSIONS)]
KEYS = [SeriesKey(nodeid=f"test_{number}", figure="rss_anon", conditions="") for number in range(10_000)]


class Share(NamedTuple):
    """How many of how many, by pull request, as what shares a machine is not independent."""

    counts: list[float]
    each: int

    @property
    def rate(self) -> float:
        return sum(self.counts) / (len(self.counts) * self.each)

    @property
    def of_pull_requests(self) -> float:
        return sum(count > 0 for count in self.counts) / len(self.counts)

    def holds(self, bound: float) -> bool:
        """Whether it is not above the bound by more than chance explains (less than one in a thousand)."""
        error = float(np.std(self.counts)) / self.each / math.sqrt(len(self.counts))
        expected = bound * len(self.counts) * self.each
        return self.rate <= bound + 3.1 * error or _chance_of_at_least(int(sum(self.counts)), expected) > 0.001


def _chance_of_at_least(count: int, expected: float) -> float:
    """Of a Poisson variable."""
    below = sum(math.exp(-expected + k * math.log(expected) - math.lgamma(k + 1)) for k in range(count))
    return 1 - below


class Outcome(NamedTuple):
    """What became of unchanged tests: of the usual gates, by name, and of ours, with what bounds it."""

    usual: dict[str, Share]
    bounded: dict[str, tuple[Share, float]]
    attempts: tuple[int, int]


def expected(attempts: list[list[int]], k: int) -> float:
    """The chance that these attempts are called regressed, if any k of the 2k may as well be the head's."""
    ordered = sorted(attempts[0][:k] + attempts[1][:k])
    return regressed(ordered[:k], ordered[k:], TOLERANCE) / math.comb(2 * k, k)


def history(values: np.ndarray) -> History:
    """One series for each row, its sessions being the columns."""
    return History(points={key: points(row) for key, row in zip(KEYS, values.tolist(), strict=False)})


def points(row: list[int]) -> list[Point]:
    first = SESSIONS if len(row) == 1 else 0
    return [
        Point(run_id=str(place), started_at=WHEN[place], bytes=value, exactness="lower-bound")
        for place, value in enumerate(row, first)
    ]


def usual_gates(before: np.ndarray, now: np.ndarray, reruns: np.ndarray) -> dict[str, np.ndarray]:
    """Which tests each of the usual gates calls a regression. `reruns`: two more of the same session."""
    mean, deviation = before.mean(axis=1), before.std(axis=1, ddof=1)
    low, high = np.percentile(before, [25, 75], axis=1)
    called = (
        now > 1.02 * before[:, -1],
        now > 1.02 * mean,
        now > mean + T_99_OF_19 * deviation * math.sqrt(1 + 1 / before.shape[1]),
        now > high + 3 * (high - low),
        np.minimum(now, reruns.min(axis=1)) > before.max(axis=1),
    )
    return dict(zip(USUAL, called, strict=True))


def false_alarms(name: str, machines: float, pull_requests: int, seed: int) -> Outcome:
    random = np.random.default_rng([SEED, seed])
    draw, tests = MODELS[name], TESTS_OF_A_PULL_REQUEST
    usual: dict[str, list[float]] = {gate: [] for gate in USUAL}
    ours: dict[str, list[float]] = {}
    bound: dict[str, float] = {}
    fewest, most = 100, 0
    for _ in range(pull_requests):
        factors = draw(random, (tests, SESSIONS + 3 + 2 * MOST_ATTEMPTS))
        factors[:, :SESSIONS] *= between_machines(random, machines, (SESSIONS,))
        factors[:, SESSIONS:] *= between_machines(random, machines, ())
        readings = in_bytes(factors)
        before, now, reruns = readings[:, :SESSIONS], readings[:, SESSIONS], readings[:, SESSIONS + 1 : SESSIONS + 3]
        for gate, called in usual_gates(before, now, reruns).items():
            usual[gate].append(int(called.sum()))
        found = changes(history(now[:, None]), history(before), tolerance=None, limited=lambda _: False)
        suspect = [one.standing == "suspect" for one in found]
        planned = plan([len(one.baseline.values) for one in found if one.baseline], nominated=sum(suspect))
        k = planned.attempts
        fewest, most = min(fewest, k), max(most, k)
        attempts = readings[:, SESSIONS + 3 :]
        base, head = attempts[:, :MOST_ATTEMPTS].tolist(), attempts[:, MOST_ATTEMPTS:].tolist()
        red = [
            is_suspect and regressed(b[:k], h[:k], TOLERANCE)
            for is_suspect, b, h in zip(suspect, base, head, strict=True)
        ]
        by_chance = [expected([b, h], k) for is_suspect, b, h in zip(suspect, base, head, strict=True) if is_suspect]
        bare = [nominated(x, values, 0) for x, values in zip(now.tolist(), before.tolist(), strict=True)]
        by_three = [regressed(b[:3], h[:3], Tolerance()) for b, h in zip(base, head, strict=True)]
        nomination = (rank(SESSIONS) + 1) / (SESSIONS + 1)
        for what, count, at_most in (
            ("suspect", sum(suspect), nomination),
            ("regressed", sum(red), MOST_CHANCE / tests),
            ("regressed, expected", sum(by_chance), MOST_CHANCE / tests),
            ("suspect, no floor", sum(bare), nomination),
            ("3 of each, no floor", sum(by_three), 1 / math.comb(6, 3)),
        ):
            ours.setdefault(what, []).append(count)
            bound[what] = max(bound.get(what, 0.0), at_most)
    return Outcome(
        usual={gate: Share(counts, tests) for gate, counts in usual.items()},
        bounded={what: (Share(counts, tests), bound[what]) for what, counts in ours.items()},
        attempts=(fewest, most),
    )


def power(name: str, machines: float, increase: float, seed: int) -> dict[str, float]:
    """Which part of tests that need so much more is found; each is of a pull request of its own."""
    random = np.random.default_rng([SEED, seed])
    tests, k = TESTS_FOR_POWER, plan([SESSIONS] * TESTS_OF_A_PULL_REQUEST).attempts
    factors = MODELS[name](random, (tests, SESSIONS + 3 + 2 * k))
    factors[:, :SESSIONS] *= between_machines(random, machines, (tests, SESSIONS))
    factors[:, SESSIONS:] *= between_machines(random, machines, (tests, 1))
    factors[:, SESSIONS : SESSIONS + 3] *= 1 + increase
    factors[:, SESSIONS + 3 + k :] *= 1 + increase
    readings = in_bytes(factors)
    before, now, reruns = readings[:, :SESSIONS], readings[:, SESSIONS], readings[:, SESSIONS + 1 : SESSIONS + 3]
    found = changes(history(now[:, None]), history(before), tolerance=None, limited=lambda _: False)
    base, head = readings[:, SESSIONS + 3 : SESSIONS + 3 + k].tolist(), readings[:, SESSIONS + 3 + k :].tolist()
    suspect = np.array([one.standing == "suspect" for one in found])
    decided = np.array([regressed(b, h, TOLERANCE) for b, h in zip(base, head, strict=True)])
    by_four = np.array([regressed(b[:4], h[:4], TOLERANCE) for b, h in zip(base, head, strict=True)])
    usual = {gate: float(called.mean()) for gate, called in usual_gates(before, now, reruns).items()}
    ours = {"nominated": suspect, "4 decide": by_four, "7 decide": decided, "gate": suspect & decided}
    return usual | {what: float(which.mean()) for what, which in ours.items()}


def after_a_step(name: str, sessions: int, increase: float, seed: int) -> float:
    """Which part of tests is suspect that had an accepted step of 5 % so many sessions ago."""
    random = np.random.default_rng([SEED, seed])
    factors = MODELS[name](random, (TESTS_FOR_POWER, SESSIONS + sessions + 1))
    factors[:, SESSIONS:] *= 1.05
    factors[:, -1] *= 1 + increase
    readings = in_bytes(factors)
    found = changes(history(readings[:, -1:]), history(readings[:, :-1]), tolerance=None, limited=lambda _: False)
    return sum(one.standing == "suspect" for one in found) / len(found)


def percent(share: float) -> str:
    return f"{100 * share:.4f} %" if 0 < share < 0.0005 else f"{100 * share:.3g} %"


def _named(model: str, machines: float) -> str:
    return model if not machines else f"{model}; machines {percent(machines)}"


def main() -> int:
    tests = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    pull_requests = -(-tests // TESTS_OF_A_PULL_REQUEST)
    cells = [(name, machines) for machines in MACHINES for name in MODELS]
    began = time.monotonic()
    with ProcessPoolExecutor(workers) as pool:
        outcomes = [
            pool.submit(false_alarms, name, machines, pull_requests, seed)
            for seed, (name, machines) in enumerate(cells)
        ]
        powers = [
            [
                pool.submit(power, name, machines, increase, 1000 + 10 * seed + number)
                for number, increase in enumerate(INCREASES)
            ]
            for seed, (name, machines) in enumerate(cells)
        ]
        judged = show_false_alarms(cells, [one.result() for one in outcomes], pull_requests)
        show_power(cells, [[one.result() for one in row] for row in powers])
        show_after_a_step(pool)
    print(f"\n{time.monotonic() - began:.0f} s with {workers} processes; seed {SEED}.")
    return 0 if judged else 1


def show_false_alarms(cells: list[tuple[str, float]], outcomes: list[Outcome], pull_requests: int) -> bool:
    tests = pull_requests * TESTS_OF_A_PULL_REQUEST
    print(f"\nUnchanged tests, {tests:,} in each model, {SESSIONS} earlier sessions. False alarms of a test:\n")
    show_plain(
        ["noise", *USUAL, "suspect", "gate", "gate, expected"],
        [
            [
                _named(*cell),
                *(percent(share.rate) for share in one.usual.values()),
                *(percent(one.bounded[what][0].rate) for what in ("suspect", "regressed", "regressed, expected")),
            ]
            for cell, one in zip(cells, outcomes, strict=True)
        ],
    )
    print(f"\nFalse alarms of a pull request of {TESTS_OF_A_PULL_REQUEST} tests (at least one):\n")
    show_plain(
        ["noise", *USUAL, "gate", "gate, expected", "attempts"],
        [
            [
                _named(*cell),
                *(percent(share.of_pull_requests) for share in one.usual.values()),
                percent(one.bounded["regressed"][0].of_pull_requests),
                percent(TESTS_OF_A_PULL_REQUEST * one.bounded["regressed, expected"][0].rate),
                "-".join(map(str, sorted(set(one.attempts)))),
            ]
            for cell, one in zip(cells, outcomes, strict=True)
        ],
    )
    print("\nThe bounds, of a test:\n")
    rows, all_hold = [], True
    for cell, one in zip(cells, outcomes, strict=True):
        row = [_named(*cell)]
        for share, bound in one.bounded.values():
            holds = share.holds(bound)
            all_hold &= holds
            row.append(f"{percent(share.rate)}: {'holds' if holds else 'FAILS'}")
        rows.append(row)
    show_plain(
        ["noise", *(f"{what} (at most {percent(bound)})" for what, (_, bound) in outcomes[0].bounded.items())], rows
    )
    return all_hold


def show_power(cells: list[tuple[str, float]], powers: list[list[dict[str, float]]]) -> None:
    increases = ", ".join(f"+{100 * increase:.0f} %" for increase in INCREASES)
    print(f"\nPower: found of {TESTS_FOR_POWER:,} tests that need more, by {increases}:\n")
    show_plain(
        ["noise", *USUAL, "nominated", "4 decide", "7 decide", "gate"],
        [
            [_named(*cell), *(" / ".join(f"{100 * one[what]:.0f}" for one in row) for what in row[0])]
            for cell, row in zip(cells, powers, strict=True)
        ],
    )


def show_after_a_step(pool: ProcessPoolExecutor) -> None:
    rows = []
    for seed, name in enumerate(MODELS):
        pairs = [
            [
                pool.submit(after_a_step, name, sessions, increase, 5000 + 10 * seed + sessions)
                for increase in (0.0, 0.03)
            ]
            for sessions in SINCE_A_STEP
        ]
        rows.append([name, *(" / ".join(f"{100 * one.result():.0f}" for one in pair) for pair in pairs)])
    print("\nJust after an accepted step of 5 %: suspect with no change / with another 3 %, in per cent:\n")
    show_plain(["noise", *(f"{since} since the step" for since in SINCE_A_STEP)], rows)


if __name__ == "__main__":
    sys.exit(main())
