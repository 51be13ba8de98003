"""What pytest is told of a test that did not run where it thinks, or ran there though it should not have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_tfmem.budgets.verdict import judge, worst
from pytest_tfmem.figures import Measurement, NotMeasured
from pytest_tfmem.isolate import identity, reports

if TYPE_CHECKING:
    from pytest_tfmem.figures import FigureReading
    from pytest_tfmem.request import Request

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class HookJudgement:
    """What pytest's own hooks may change of a report: skip, xfail and strict xfail, already judged in the child."""

    outcome: Outcome
    longrepr: Any
    wasxfail: str | None

    @classmethod
    def of(cls, report: pytest.TestReport) -> HookJudgement:
        return cls(report.outcome, report.longrepr, getattr(report, "wasxfail", None))

    def restore(self, report: pytest.TestReport) -> None:
        report.outcome = self.outcome
        report.longrepr = self.longrepr
        if self.wasxfail is not None:
            report.wasxfail = self.wasxfail
        elif hasattr(report, "wasxfail"):
            del report.wasxfail


def unmeasured(item: pytest.Item, request: Request, outcome: Outcome, reason: str) -> Measurement:
    """The measurement of a test that ran in pytest's own process: every limit of it is not measured."""
    limits = request.budget.limits
    readings: dict[str, FigureReading] = {figure: NotMeasured(reason) for figure in limits}
    verdicts = judge(limits, readings)
    return Measurement(
        nodeid=identity.collected_id(item),
        outcome=outcome,
        start_method="in-process",
        verdict=worst(verdicts),
        readings=readings,
        limits=dict(limits),
        verdicts=verdicts,
        phases={},
        unmeasured=reason,
        where=defined_at(item),
        notes=list(request.budget.notes),
    )


def defined_at(item: pytest.Item) -> str:
    """The file and line of the test, `tests/test_a.py:12`, as far as pytest knows them."""
    file, line, _ = item.location
    return reports.encodable(f"{file}:{line + 1}" if line is not None else "")


def stand_in(report: pytest.TestReport) -> Any:
    """What pytest would hold as the raised exception, had the failing phase run here: same name, same text.

    For plugins that decide by it, such as pytest-rerunfailures with `--only-rerun`.
    """
    crash = getattr(report.longrepr, "reprcrash", None)
    name, _, text = str(getattr(crash, "message", "Failed: ")).partition(": ")
    kind = type(name if name.isidentifier() else "Failed", (Exception,), {})
    with pytest.raises(kind) as raised:
        raise kind(text)
    return raised
