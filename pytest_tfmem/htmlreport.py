"""The hooks of pytest-html: its report has our figures in its table, and each test's own in the test's details."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tfmem.figures import decode_measurement, greatest
from pytest_tfmem.report.details import CLASS, STYLE, details, worst_limit
from pytest_tfmem.report.layout import plain
from pytest_tfmem.report.sizes import format_mib, format_share

if TYPE_CHECKING:
    from collections.abc import MutableSequence

    from pytest_tfmem.figures import FigureReading, Measurement
    from pytest_tfmem.session import TfmemSession

_TITLES = {
    "tfmem_anon": ("rss_anon, MiB", "rss_anon: peak anonymous memory of the test's process"),
    "tfmem_gpu": ("gpu, MiB", "gpu: peak bytes in use in the GPU allocator, the most of any GPU"),
    "tfmem_limit": ("of limit", "what the test used of the limit that it is nearest to or furthest over"),
}
_EMPTY = ("", "", "")
_HIDDEN = "".join(f".col-{key},[data-column-type={key}]{{display:none}}" for key in _TITLES)
_COLOURS = {"over": "#d32f2f", "warn": "#a15c00", "waived": "#a15c00", "near": "#a15c00", "not measured": "#a15c00"}


class HtmlReport:
    """Adds to the page that pytest-html makes, in the process in which it makes it."""

    def __init__(self, session: TfmemSession) -> None:
        self._session = session
        self._cells: dict[tuple[str, int], tuple[str, ...]] = {}

    @pytest.hookimpl(tryfirst=True)  # before pytest-html reads the report, and before the measurement is taken off it
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        measured = getattr(report, "tfmem", None)
        if not isinstance(measured, dict):
            return
        test = decode_measurement(measured)
        self._cells[_attempt(report)] = _cells(test)
        if _is_filename(report.nodeid):
            shown = details(test, attempt=_attempt(report)[1] + 1)
            report.extras = [*getattr(report, "extras", []), _extra(shown)]  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True, tryfirst=True)  # before a user's own hook, which may take a row away
    def pytest_html_results_table_header(self, cells: MutableSequence[str]) -> None:
        # Before the last, the links.
        cells[-1:-1] = [
            f'<th class="sortable" data-column-type="{key}" title="{said}">{title}</th>'
            for key, (title, said) in _TITLES.items()
        ]

    @pytest.hookimpl(optionalhook=True, tryfirst=True)  # the same
    def pytest_html_results_table_row(self, report: Any, cells: MutableSequence[str]) -> None:
        shown = self._cells.get(_attempt(report), _EMPTY)
        cells[-1:-1] = [f'<td class="col-{key}">{cell}</td>' for key, cell in zip(_TITLES, shown, strict=True)]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: MutableSequence[str]) -> None:
        tests = self._session.measurements()
        if not tests:
            prefix.append(f"<style>{_HIDDEN}</style>")  # the columns: nothing was to be measured
            return
        prefix.append(f"<style>{STYLE}</style>")
        prefix.append(f'<div class="{CLASS}"><p><b>Memory:</b> {escape(self._verdict(tests))}</p></div>')

    def _verdict(self, tests: list[Measurement]) -> str:
        from pytest_tfmem.digest.findings import findings_of  # noqa: PLC0415  only at the session's end
        from pytest_tfmem.digest.verdict import verdict_of_run  # noqa: PLC0415
        from pytest_tfmem.report.judged import judge_each_gpu  # noqa: PLC0415

        held = self._session.held_against(tests)
        found = findings_of(tests, judge_each_gpu(tests), held.changes if held else ())
        _, sentence = verdict_of_run(tests, found, complete=True, held_against=held.runs if held else 0)
        return plain(sentence)


def _attempt(report: Any) -> tuple[str, int]:
    """Which test, and how often pytest-rerunfailures has run it before."""
    return report.nodeid, getattr(report, "rerun", 0)


def _cells(test: Measurement) -> tuple[str, ...]:
    return _size(test.readings.get("rss_anon")), _size(test.readings.get("gpu")), _limit(test)


def _size(reading: FigureReading | None) -> str:
    most = greatest(reading)
    return _sorted_by(most.bytes, format_mib(most.bytes)) if most else ""


def _limit(test: Measurement) -> str:
    worst = worst_limit(test)
    if worst is None:
        return _sorted_by(0, "unmeasured", _COLOURS["not measured"]) if test.unmeasured else ""
    colour = _COLOURS.get(worst.standing, "")
    if worst.reading is None:
        return _sorted_by(0, f"{worst.figure} not measured", colour)
    share = format_share(worst.reading.bytes, worst.allowed_bytes)
    standing = "" if worst.standing == "ok" else f", {worst.standing}"
    # Where the limit is 0 there is no share of it.
    return _sorted_by(round(10_000 * min(worst.share, 1e9)), f"{share} {worst.figure}{standing}".lstrip(), colour)


def _sorted_by(number: int, text: str, colour: str = "") -> str:
    """A cell's content. pytest-html sorts by it, as text: it begins with the number, always as long."""
    style = f' style="color:{colour};font-weight:bold"' if colour else ""
    return f'<span data-value="{number:020}"{style}>{escape(plain(text))}</span>'


def _is_filename(nodeid: str) -> bool:
    """Whether pytest-html can attach anything to the test.

    It makes a file's name of its id, and for that reads it as if it were in the source of a program: an id in which a
    backslash is not followed by what has a meaning there would end the session.
    """
    try:
        (nodeid + "::teardown").encode("utf-8").decode("unicode_escape")
    except (UnicodeError, Warning):  # a DeprecationWarning, where warnings are errors
        return False
    return True


def _extra(content: str) -> dict[str, str | None]:
    from pytest_html import extras  # noqa: PLC0415  there is none but where pytest-html is

    extra: dict[str, str | None] = extras.html(content)
    return extra
