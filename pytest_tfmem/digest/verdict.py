"""The verdict on a run, in a sentence."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_tfmem.digest.findings import worst_weight
from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_tfmem.digest.model import Finding, Kind
    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.gate.result import GateResult, Weight

_WORDS: dict[Kind, tuple[str, str]] = {
    "died": ("test died", "tests died"),
    "over": ("test is over its memory limit", "tests are over their memory limits"),
    "regressed": ("test needs more memory than before", "tests need more memory than before"),
    "failed": ("test failed for another reason", "tests failed for other reasons"),
    "out of memory": ("test ran out of GPU memory", "tests ran out of GPU memory"),
    "undecided": ("test could not be decided", "tests could not be decided"),
    "not measured": ("test has limits that were not measured", "tests have limits that were not measured"),
    "unmeasured": ("test ran unmeasured", "tests ran unmeasured"),
    "warn": ("test is over a limit that only warns", "tests are over limits that only warn"),
    "inherited": ("test is over as the base is", "tests are over as the base is"),
    "suspect": ("test is suspect", "tests are suspect"),
    "xfail": ("test is over as expected", "tests are over as expected"),
    "waived": ("test is over but waived", "tests are over but waived"),
    "near": ("test is near its limit", "tests are near their limits"),
    "improved": ("test needs less than before", "tests need less than before"),
}
_STATUS_WEIGHT: dict[int, Weight] = {0: "fine", 1: "fails"}


def verdict_of_gate(result: GateResult, found: Iterable[Finding]) -> tuple[Weight, str]:
    """How much the gate's verdict weighs, and its own sentence."""
    weight = _STATUS_WEIGHT.get(result.status, "undecided")
    warned = weight == "fine" and worst_weight(found) == "warns"
    return ("warns" if warned else weight), result.sentence


def verdict_of_run(
    tests: Sequence[Measurement], found: Sequence[Finding], *, complete: bool, held_against: int
) -> tuple[Weight, str]:
    """How much it weighs, and what is to be said first, as sentences.

    A run of nothing, and one that did not come to its end, are never fine: `complete` says that it did.
    """
    if not tests:
        return "undecided", "Nothing was measured."
    weight = worst_weight(found)
    said = _said(tests, found, weight, held_against)
    if not complete:
        return ("fails" if weight == "fails" else "undecided"), f"The run did not come to its end. {said}"
    return weight, said


def _said(tests: Sequence[Measurement], found: Sequence[Finding], weight: Weight, held_against: int) -> str:
    if weight != "fine":
        told = _listed([*_counted(found, weight)])
        rest = len(tests) - len({one.nodeid for one in found if one.weight != "fine"})
        fine = f" The other {rest} of {len(tests)} are fine." if rest else ""
        return f"{told[:1].upper()}{told[1:]}.{fine}"
    limits = sum(len(test.limits) for test in tests)
    kept = f"within {'its limit' if limits == 1 else f'all {limits} limits'}" if limits else "measured, without limits"
    grown = f"; nothing grew against {count_of(held_against, 'earlier run')}" if held_against else ""
    return f"{count_of(len(tests), 'test')} {kept}{grown}."


def _counted(found: Sequence[Finding], weight: Weight) -> Iterator[str]:
    """How many tests there are of each kind that weighs so much, in the order of the findings."""
    tests = {(one.kind, one.nodeid) for one in found if one.weight == weight}
    counts = Counter(kind for kind, _ in tests)
    for kind in dict.fromkeys(one.kind for one in found if one.weight == weight):
        one, several = _WORDS[kind]
        yield f"{counts[kind]} {one if counts[kind] == 1 else several}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
