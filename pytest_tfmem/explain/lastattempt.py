"""When an attempt at a test is explained, where another may follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_tfmem.figures import Phase


class LastAttempt:
    """One attempt: `explain` is called as its phase is over, or not before it turns out that no other follows.

    pytest-rerunfailures decides that when it has the reports of all phases, and says so by the outcome of those that
    it then has told. It sets `execution_count` on tests that it may run again.
    """

    def __init__(self, item: pytest.Item, explain: Callable[[pytest.TestReport, Phase], None]) -> None:
        self._may_follow = hasattr(item, "execution_count")
        self._explain = explain
        self._untold: list[tuple[pytest.TestReport, Phase]] = []

    def phase_over(self, report: pytest.TestReport, phase: Phase) -> None:
        """This report has been made of a phase."""
        if self._may_follow:
            self._untold.append((report, phase))
        else:
            self._explain(report, phase)

    def told(self, report: pytest.TestReport) -> None:
        """A report is about to be told: perhaps one of this attempt's, perhaps of a subtest of it."""
        phases = [phase for one, phase in self._untold if one is report]
        outcome = getattr(report, "outcome", "")
        if outcome == "rerun":
            self._untold.clear()
        elif phases and (outcome == "failed" or report is self._untold[-1][0]):
            # Before the last report one that has not failed says nothing: a later phase may have, and be the one that
            # is told as to be repeated.
            self._explain(report, phases[0])
