"""The trial: two small tests run through pytest itself, each in a fresh process, one of which has to fail."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tfmem.check.pytest_process import command, reason
from pytest_tfmem.doctor.diagnosis import Check
from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.figures import Reading
from pytest_tfmem.history.rundocument import read_run_document
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tfmem.figures import FigureReading, Measurement

HELD_BYTES = 64 << 20
_MOST_BESIDE_BYTES = 16 << 20  # what else a test that does nothing else may take
_SECONDS = 120

_CONFTEST = """
import contextlib
import pathlib
import time

def pytest_runtest_logstart(nodeid):
    # The first to come is pytest, which asks for the process; the process itself comes later.
    if "within" in nodeid:
        with contextlib.suppress(FileExistsError), open(pathlib.Path(__file__).with_name("asked.txt"), "x") as file:
            file.write(repr(time.time()))
"""
_TESTS = f"""
import pathlib
import time

import pytest

@pytest.mark.memory_budget(rss_growth={HELD_BYTES + _MOST_BESIDE_BYTES})
def test_within_its_limit():
    pathlib.Path(__file__).with_name("ready.txt").write_text(repr(time.time()))
    assert len(b"x" * {HELD_BYTES}) == {HELD_BYTES}

@pytest.mark.memory_budget(rss_growth={HELD_BYTES // 2})
def test_over_its_limit():
    assert len(b"x" * {HELD_BYTES}) == {HELD_BYTES}
"""
_FILES = {"pytest.ini": "[pytest]\n", "conftest.py": _CONFTEST, "test_trial.py": _TESTS}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of the trial: what is to be said of it, and the readings of the test that kept to its limit."""

    checks: list[Check]
    readings: Mapping[str, FigureReading]


def run_trial() -> Trial:
    """Run the two tests in a folder that is removed again. Nothing of the current project is read or changed."""
    with tempfile.TemporaryDirectory(prefix="tfmem-doctor-") as name:
        folder = Path(name)
        for file, text in _FILES.items():
            (folder / file).write_text(text, encoding="utf-8")
        try:
            return _judged(folder, _run(folder))
        except subprocess.TimeoutExpired:
            said = f"pytest did not come to an end within {_SECONDS} s"
            return Trial(checks=[Check(name="trial", state="bad", said=said)], readings={})


def _run(folder: Path) -> subprocess.CompletedProcess[bytes]:
    # By its name the plugin is loaded even if PYTEST_DISABLE_PLUGIN_AUTOLOAD is set.
    options = ["-p", "tfmem", "-p", "no:cacheprovider", "-q", "--color=no", "--tfmem-history=off"]
    places = ["-c", str(folder / "pytest.ini"), f"--rootdir={folder}", f"--tfmem-json={folder / 'run.json'}"]
    return subprocess.run(  # noqa: S603  our own interpreter, our own statement
        command([*options, *places, str(folder / "test_trial.py")]),
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_SECONDS,
    )


def _judged(folder: Path, ended: subprocess.CompletedProcess[bytes]) -> Trial:
    try:
        document = read_run_document(folder / "run.json")
    except TfmemError:
        said = f"pytest did not run the tests: {reason(ended)}"
        return Trial(checks=[Check(name="trial", state="bad", said=said)], readings={})
    tests = {test.nodeid.rpartition("::")[2]: test for test in document.tests}
    within, over = tests.get("test_within_its_limit"), tests.get("test_over_its_limit")
    checks = [_within(within), _over(over), _ready(folder)]
    return Trial(checks=checks, readings=within.readings if within else {})


def _within(test: Measurement | None) -> Check:
    reading = test.readings.get("rss_growth") if test else None
    if test is None or not isinstance(reading, Reading):
        return _bad("under a limit", _unmeasured(test))
    measured = f"{format_size(HELD_BYTES)} were held, {format_size(reading.bytes)} measured"
    if test.outcome != "passed":
        return _bad("under a limit", f"a test within its limit has {test.outcome}: {measured}")
    error = reading.error_bytes or 0
    if not HELD_BYTES - error <= reading.bytes <= HELD_BYTES + _MOST_BESIDE_BYTES:
        return _bad("under a limit", f"the reading is wrong: {measured}")
    return Check(name="under a limit", state="ok", said=f"a test within its limit has passed: {measured}")


def _over(test: Measurement | None) -> Check:
    if test is None or not test.verdicts:
        return _bad("over a limit", _unmeasured(test))
    if test.outcome != "failed" or test.verdict != "over":
        return _bad("over a limit", f"a test over its limit has {test.outcome}")
    return Check(name="over a limit", state="ok", said="a test over its limit has failed, as it has to")


def _unmeasured(test: Measurement | None) -> str:
    if test is None:
        return "its test was not measured"
    return f"its test was not measured: {one_line(test.unmeasured or test.died or 'pytest does not say why')}"


def _ready(folder: Path) -> Check:
    try:
        asked, ready = (float((folder / name).read_text(encoding="ascii")) for name in ("asked.txt", "ready.txt"))
    except (OSError, ValueError):
        return _bad("start", "the fresh process did not come as far as its test")
    said = f"a fresh process was ready for its test after {ready - asked:.2f} s, before it imports anything of its own"
    return Check(name="fresh start", state="ok", said=said)


def _bad(name: str, said: str) -> Check:
    return Check(name=name, state="bad", said=said)
