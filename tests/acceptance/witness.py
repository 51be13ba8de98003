"""Loaded into every pytest of an acceptance test (`-p witness`): writes down what happens, and in which process.

The file is named by the variable WITNESS and is shared by all processes of a run; each line is one event.
"""

from __future__ import annotations

import json
import os


def note(text):
    """For tests, fixtures and hooks: say that this place was reached, in this process."""
    _write(event="note", text=str(text))


def pytest_sessionstart(session):
    manager = session.config.pluginmanager
    _write(event="session", isolated=manager.hasplugin("tfmem-child"))


def pytest_runtest_protocol(item):
    _write(event="test", isolated=item.config.pluginmanager.hasplugin("tfmem-child"))


def pytest_runtest_logreport(report):
    _write(
        event="report",
        nodeid=report.nodeid,
        when=report.when,
        outcome=report.outcome,
        xfail=hasattr(report, "wasxfail"),
        measured=getattr(report, "tfmem", None),
    )


def _write(**event):
    line = json.dumps({"pid": os.getpid(), **event}) + "\n"
    file = os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)
