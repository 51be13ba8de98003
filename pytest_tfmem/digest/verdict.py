"""The verdict on a run, in a sentence."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_tfmem.digest.findings import worst_of, worst_weight
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
_LESS: dict[Weight, tuple[str, str]] = {
    "undecided": ("could not be decided", "could not be decided"),
    "warns": ("has a warning", "have warnings"),
    "fine": ("is fine", "are fine"),
}
_STATUS_WEIGHT: dict[int, Weight] = {0: "fine", 1: "fails"}


def verdict_of_gate(result: GateResult, found: Iterable[Finding]) -> tuple[Weight, str]:
    """How much the gate's verdict weighs, and its own sentence. A gate that judged nothing is never fine."""
    weight = _STATUS_WEIGHT.get(result.status, "undecided") if result.judged or result.status else "undecided"
    return worst_of([weight, worst_weight(found)]), as_sentence(result.sentence)


def verdict_of_run(
    tests: Sequence[Measurement], found: Sequence[Finding], *, complete: bool, held_against: int
) -> tuple[Weight, str]:
    """How much it weighs, and what is to be said first, as sentences.

    A run of nothing, and one that did not come to its end, are never fine: `complete` says that it did.
    """
    weight = worst_weight(found) if tests else "undecided"
    said = _said(tests, found, weight, held_against) if tests else "Nothing was measured."
    if not complete:
        return worst_of([weight, "undecided"]), f"The run did not come to its end. {said}"
    return weight, said


def as_sentence(text: str) -> str:
    """With a capital letter and one full stop."""
    told = text.strip()
    return f"{told[:1].upper()}{told[1:]}{'' if told.endswith(('.', '!', '?', '…')) else '.'}" if told else ""


def _said(tests: Sequence[Measurement], found: Sequence[Finding], weight: Weight, held_against: int) -> str:
    if weight != "fine":
        return f"{as_sentence(listed([*counted(found, weight)]))}{_of_others(tests, found, weight)}"
    grown = f", and nothing grew against {count_of(held_against, 'earlier run')}" if held_against else ""
    near = as_sentence(listed([*counted(found, "fine")]))
    was = "was" if len(tests) == 1 else "were"
    return f"{count_of(len(tests), 'test')} {was} measured{_kept(tests)}{grown}.{f' {near}' if near else ''}"


def _kept(tests: Sequence[Measurement]) -> str:
    limits = sum(len(test.limits) for test in tests)
    if not limits:
        return ", without a limit"
    return ", and the one limit was kept" if limits == 1 else f", and all {limits} limits were kept"


def _of_others(tests: Sequence[Measurement], found: Sequence[Finding], weight: Weight) -> str:
    """What is to be said of the tests that do not make the verdict what it is."""
    worst: dict[str, Weight] = {}
    for one in found:
        worst[one.nodeid] = worst_of([one.weight, worst.get(one.nodeid, "fine")])
    counts = Counter(worst.get(nodeid, "fine") for nodeid in {test.nodeid for test in tests})
    others = counts.total() - counts[weight]
    if not others:
        return ""
    if counts["fine"] == others:
        return " The other test is fine." if others == 1 else f" The other {others} tests are fine."
    told = (f"{counts[one]} {words[counts[one] > 1]}" for one, words in _LESS.items() if one != weight and counts[one])
    return f" Of the other {count_of(others, 'test')}, {listed([*told])}."


def counted(found: Sequence[Finding], weight: Weight) -> Iterator[str]:
    """How many tests there are of each kind that weighs so much, in the order of the findings."""
    tests = {(one.kind, one.nodeid) for one in found if one.weight == weight}
    counts = Counter(kind for kind, _ in tests)
    for kind in dict.fromkeys(one.kind for one in found if one.weight == weight):
        one, several = _WORDS[kind]
        yield f"{counts[kind]} {one if counts[kind] == 1 else several}"


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *before, last = parts or [""]
    return f"{', '.join(before)} and {last}" if before else last
