"""Which figures this machine measures, by the readings of the trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.doctor.diagnosis import FigureCheck
from pytest_tfmem.figures import DEVICE_FIGURES, FIGURES, NotMeasured, Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tfmem.figures import FigureReading

_NOT_YET = "this version does not measure it"
_HELP = {
    "rss_tree": "a smaller --tfmem-interval misses less of what is held for a moment only",
    "gpu": "a limit on it is reported as not measured, and fails the test with --tfmem-gpu=require",
}


def figure_checks(readings: Mapping[str, FigureReading]) -> list[FigureCheck]:
    """One for every figure there is. Without a reading, as when the trial came to nothing, none is measured."""
    return [_figure(figure, counts, readings.get(figure)) for figure, counts in FIGURES.items()]


def _figure(figure: str, counts: str, reading: FigureReading | None) -> FigureCheck:
    help_ = _HELP.get(figure, "")
    if not isinstance(reading, Reading):
        return FigureCheck(figure=figure, counts=counts, measured=False, reason=_reason(figure, reading), help=help_)
    return FigureCheck(
        figure=figure,
        counts=counts,
        measured=True,
        source=reading.source,
        exactness=reading.exactness,
        error_bytes=reading.error_bytes,
        help=help_,
    )


def _reason(figure: str, reading: FigureReading | None) -> str:
    if figure in DEVICE_FIGURES:
        return _NOT_YET  # not the reading's "no GPU": with one it would not be measured, either
    return reading.not_measured if isinstance(reading, NotMeasured) else "the trial came to no reading"
