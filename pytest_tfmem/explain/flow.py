"""Which tests are explained, and how: each kind of memory by a second run of its own.

A kind is a module with two functions: `wanted(measured, when)` gives the figures that it is to explain, and
`explain(again, figures)` runs the test again and says what held them. Nothing that goes wrong there touches the test's
result: it is a reason in place of the explanation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.errors import one_line
from pytest_tfmem.explain import device, host
from pytest_tfmem.explanations import Explanation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_tfmem.explain.again import Again
    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.settings import ExplainWhen

KINDS = (host, device)
_OTHERWISE = "the test failed for another reason, too"
_INTERRUPTED = "interrupted"


def is_wanted(measured: Measurement, when: ExplainWhen) -> bool:
    """Whether anything of this test is to be explained: not of one that died, or was skipped."""
    if when == "off" or measured.died or measured.outcome == "skipped":
        return False
    return any(kind.wanted(measured, when) for kind in KINDS)


def explain(again: Callable[[], Again], measured: Measurement, when: ExplainWhen) -> list[Explanation]:
    """What held the memory of every figure that is to be explained; or why that is not known.

    Ctrl-C ends it, and is such a reason: what was measured is there, and is to be reported.
    """
    found: list[Explanation] = []
    for kind in KINDS:
        figures = kind.wanted(measured, when)
        if not figures:
            continue
        refused = kind is device and measured.out_of_memory
        if measured.outcome == "failed" and not measured.breached and not refused:
            found.append(Explanation(figure=figures[0], failed=_OTHERWISE))
        elif is_interrupted(found):
            found.append(Explanation(figure=figures[0], failed=_INTERRUPTED))
        else:
            found += _of_kind(kind.explain, again, figures)
    return found


def is_interrupted(found: Sequence[Explanation]) -> bool:
    """Whether Ctrl-C has ended the explaining."""
    return any(one.failed == _INTERRUPTED for one in found)


def _of_kind(
    explains: Callable[[Again, Sequence[str]], list[Explanation]], again: Callable[[], Again], figures: Sequence[str]
) -> list[Explanation]:
    try:
        return explains(again(), figures)
    except KeyboardInterrupt:
        return [Explanation(figure=figures[0], failed=_INTERRUPTED)]
    except Exception as error:  # noqa: BLE001  the test has its verdict, which no fault of ours may change
        shown = one_line(f"{type(error).__name__}: {error}", most=300)
        return [Explanation(figure=figures[0], failed=f"the second run could not be made use of: {shown}")]
