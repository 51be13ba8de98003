"""All verdicts in one: the exit status, and the sentence that says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.units import count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.gate.result import GateVerdict, Judged

_FINE, _FAILED, _UNDECIDED = 0, 1, 3
_WORDS: tuple[tuple[GateVerdict, str], ...] = (
    ("regressed", "regressed"),
    ("over", "over the limit"),
    ("not-measured", "not measured"),
)


def status_of(judged: Sequence[Judged], *, lacks_base: bool = False) -> int:
    """0 fine, 1 regressed or over, 3 not decided. `lacks_base`: all was to be decided, and there was no base to run."""
    weights = {one.weight for one in judged}
    if "fails" in weights:
        return _FAILED
    return _UNDECIDED if "undecided" in weights or lacks_base or not judged else _FINE


def sentence(judged: Sequence[Judged], *, lacks_base: bool = False) -> str:
    """The verdict on the whole, in one sentence: tests are counted, each by the worst that is said of it."""
    told = [text for verdict, words in _WORDS if (text := _counted(judged, verdict, words))]
    if told:
        return f"{'not passed' if status_of(judged) == _FAILED else 'not decided'}: {', '.join(told)}"
    if lacks_base or not judged:
        return f"not decided: {'the base could not be run' if lacks_base else 'nothing was judged'}"
    tests = len({one.nodeid for one in judged})
    held = f"passed: {count_of(tests, 'test')} {'was' if tests == 1 else 'were'} judged"
    doubtful = len({one.nodeid for one in judged if one.verdict == "suspect" and one.base_bytes is None})
    if doubtful:
        return f"{held}, but {count_of(doubtful, 'test')} that history makes suspect could not be decided"
    alone = _only_incomparable(judged)
    if alone:
        those = "all" if alone == tests else str(alone)
        return f"{held}, {those} by limits alone, for earlier runs were made under other conditions"
    return f"{held}, and none needs more than it may"


def _only_incomparable(judged: Sequence[Judged]) -> int:
    """Of how many tests nothing is known but that they ran under other conditions than before."""
    told = {one.nodeid for one in judged if one.verdict != "incomparable"}
    return len({one.nodeid for one in judged} - told)


def _counted(judged: Sequence[Judged], verdict: GateVerdict, words: str) -> str:
    tests = {one.nodeid for one in judged if one.verdict == verdict and one.weight in {"fails", "undecided"}}
    return f"{count_of(len(tests), 'test')} {words}" if tests else ""
