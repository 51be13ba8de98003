"""Which figures fail a phase of a test: each that is over its limit once, in the first phase that shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.budgets.verdict import breaches
from pytest_tfmem.figures import DEVICE_FIGURES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tfmem.figures import Limit, Phase, Verdict
    from pytest_tfmem.settings import Settings


class Failing:
    """Of one attempt. `phases`: those that have been failed by it."""

    def __init__(self, settings: Settings) -> None:
        self.phases: set[Phase] = set()
        self._fails_on_limits = settings.fail_on_limits
        self._requires_gpu = settings.gpu == "require"
        self._at_call: set[str] | None = None

    def looks(self, phase: Phase) -> bool:
        """Whether limits can fail this phase: no setup, and no teardown after a call that did not pass."""
        return self._fails_on_limits and (phase == "call" or (phase == "teardown" and self._at_call is not None))

    def figures(self, phase: Phase, limits: Mapping[str, Limit], verdicts: Mapping[str, Verdict]) -> list[str]:
        """The figures for which the phase is to fail, none of which has failed the call."""
        over = [*breaches(verdicts, limits), *self._required(limits, verdicts)]
        new = [figure for figure in over if figure not in (self._at_call or ())]
        if phase == "call":
            self._at_call = set(over)
        if new:
            self.phases.add(phase)
        return new

    def _required(self, limits: Mapping[str, Limit], verdicts: Mapping[str, Verdict]) -> list[str]:
        """Device figures that fail the test because they could not be measured, under --tfmem-gpu=require."""
        if not self._requires_gpu:
            return []
        unread = [figure for figure in DEVICE_FIGURES if verdicts.get(figure) == "not-measured"]
        return [figure for figure in unread if limits[figure].level == "error"]
