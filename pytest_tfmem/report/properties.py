"""What JUnit and other reports of pytest keep of a measurement: properties whose values are scalars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.errors import one_line
from pytest_tfmem.figures import Reading
from pytest_tfmem.report.judged import judge_limits

if TYPE_CHECKING:
    from pytest_tfmem.figures import Measurement


def junit_properties(measurement: Measurement) -> list[tuple[str, int | str]]:
    """`tfmem.<figure>_bytes` of what was measured, `tfmem.<figure>_not_measured` of limits that were not, the verdict.

    Numbers are plain ints and text is one printable line, so that XML can hold them and xdist can send them.
    """
    sizes: list[tuple[str, int | str]] = [
        (f"tfmem.{figure}_bytes", reading.bytes)
        for figure, reading in measurement.readings.items()
        if isinstance(reading, Reading)
    ]
    reasons = [
        (f"tfmem.{limit.figure}_not_measured", one_line(limit.reason))
        for limit in judge_limits([measurement])
        if limit.standing == "not measured"
    ]
    return [*sizes, *reasons, ("tfmem.verdict", measurement.verdict)]
