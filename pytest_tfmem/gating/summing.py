"""All verdicts in one: the exit status, and the sentence that says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.gate.result import GateVerdict, Judged

_FINE, _FAILED, _UNDECIDED = 0, 1, 3
_WORDS: tuple[tuple[GateVerdict, str], ...] = (
    ("regressed", "regressed"),
    ("over", "over the limit"),
    ("not-measured", "not measured"),
)


def status_of(judged: Sequence[Judged]) -> int:
    """0 fine, 1 regressed or over, 3 not decided."""
    weights = {one.weight for one in judged}
    if "fails" in weights:
        return _FAILED
    return _UNDECIDED if "undecided" in weights or not judged else _FINE


def sentence(judged: Sequence[Judged]) -> str:
    """The verdict on the whole, in one sentence: tests are counted, each by the worst that is said of it."""
    told = [text for verdict, words in _WORDS if (text := _counted(judged, verdict, words))]
    if told:
        return f"{'not passed' if status_of(judged) == _FAILED else 'not decided'}: {', '.join(told)}"
    tests = len({one.nodeid for one in judged})
    held = "1 test was" if tests == 1 else f"{tests} tests were"
    return f"passed: {held} judged, and none needs more than it may" if tests else "not decided: nothing was measured"


def _counted(judged: Sequence[Judged], verdict: GateVerdict, words: str) -> str:
    tests = {one.nodeid for one in judged if one.verdict == verdict and one.weight in {"fails", "undecided"}}
    return f"{len(tests)} {'test' if len(tests) == 1 else 'tests'} {words}" if tests else ""
