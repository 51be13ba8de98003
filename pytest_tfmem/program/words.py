"""Readings of a program: in words that speak of one, and where it was cut off, as good as they then are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.figures import GPU_FIGURES, AnyReading, FigureReading, NotMeasured, Reading
from pytest_tfmem.measure.host import read_marks

if TYPE_CHECKING:
    from pytest_tfmem.isolate.program import Ended

# Longest first. Figures are explained where they are read, and there it is nearly always a test that they are of.
_WORDS = (
    ("since the test's process began", "since the program's process began"),
    ("the test's process", "the program's process"),
    ("the test", "the program"),
    ("before setup: the interpreter, pytest and imports", "before its first statement: the interpreter"),
    ("pytest and its plugins", "not called by code below the program's folder"),
    ("before its setup", "before its first statement"),
    ("before setup", "before its first statement"),
    ("gpu_tensors=True on memory_budget, or --tfmem-explain, has them counted", "only of a test can they be counted"),
    ("a test that profiles itself", "a program that profiles itself"),
    ("--tfmem-gpu=off", "--gpu=off"),
)
_ASKED = re.compile(r"""tf_runtime\((\w+)=["']?([^"')]*)["']?\)""")
_REFUSED = re.compile(r"^tf_runtime\((\w+)=(.*)\)(?= is not possible$)")
_RUNTIME = "--runtime"
_WORDS_OF_REFUSALS = (
    ("the marker", _RUNTIME),
    ("pytest's environment", "the environment"),
    ("tf_runtime(", f"{_RUNTIME} ("),
    ("tf_runtime", _RUNTIME),
)
# By wait4(2), which has no mark for the program alone.
_COUNTED = "ru_maxrss and its largest error, of the program or one that it waited for"
_ANOTHER = "the program gave its place to another one (exec)"


def in_words_of_a_program(text: str) -> str:
    """The text with a program in place of a test."""
    for of_test, of_program in _WORDS:
        text = text.replace(of_test, of_program)
    return _ASKED.sub(r"--runtime \1=\2", text)


def refused_of_a_program(error: TfmemError) -> TfmemError:
    """What is said of a test's runtime, for who has given it as options."""
    what, where = _refused(_REFUSED.sub(rf"{_RUNTIME} \1=\2", error.what)), _refused(error.where)
    hint = error.hint.replace(", or a list of them", "")
    return TfmemError(what, where=where or ("" if _RUNTIME in what else _RUNTIME), hint=hint)


def told_of_a_program(readings: dict[str, FigureReading]) -> dict[str, FigureReading]:
    """The readings, each of which says of a program what it says of a test."""
    return {figure: _each(reading) for figure, reading in readings.items()}


def readings_of_the_ended(
    readings: dict[str, FigureReading], ended: Ended, before_bytes: int | None
) -> dict[str, FigureReading]:
    """The readings of a program that was cut off: with what the system has counted, which no sample can miss.

    `before_bytes`: what was resident before its first statement, None where what came before may have been more.
    """
    if ended.became_another:
        return readings | dict.fromkeys(("rss_growth", "cpu_tensors", *_OF_ALLOCATORS), NotMeasured(_ANOTHER))
    here = read_marks(since_reset=False)
    # The count survives exec: it is never less than what the process had from which it was started, which is ours.
    if ended.peak_bytes is None or here.error is None or before_bytes is None or ended.peak_bytes <= here.peak:
        return readings
    most = Reading(bytes=ended.peak_bytes + here.error, exactness="upper-bound", source=_COUNTED)
    growth = msgspec.structs.replace(
        most, bytes=max(0, most.bytes - before_bytes), source=f"{_COUNTED} - VmRSS before setup"
    )
    return readings | {"rss": most, "rss_growth": growth}


def _refused(text: str) -> str:
    text = in_words_of_a_program(text)
    for of_test, of_program in _WORDS_OF_REFUSALS:
        text = text.replace(of_test, of_program)
    return text


_OF_ALLOCATORS = tuple(figure for figure in GPU_FIGURES if figure != "gpu_footprint")


def _each(reading: FigureReading) -> FigureReading:
    return [_told(one) for one in reading] if isinstance(reading, list) else _told(reading)


def _told(one: AnyReading) -> AnyReading:
    if isinstance(one, NotMeasured):
        return msgspec.structs.replace(one, not_measured=in_words_of_a_program(one.not_measured))
    return msgspec.structs.replace(one, source=in_words_of_a_program(one.source))
