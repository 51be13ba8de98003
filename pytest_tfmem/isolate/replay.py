"""What a test's process said, said again in the controller as if it had happened there."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tfmem.isolate import reports, wire

if TYPE_CHECKING:
    from collections.abc import Mapping


def restored(item: pytest.Item, data: dict[str, Any]) -> pytest.TestReport:
    """The packed report as a report of `item`, under the name that the item has here. Raises wire.WireError."""
    try:
        report = reports.unpack(item.config, data)
        report.nodeid = item.nodeid
    except Exception as error:  # what it sends is not believed, and plugins read reports of their own
        raise wire.WireError(f"sent a report that pytest cannot read ({type(error).__name__}: {error})") from error
    return report


def deliver(item: pytest.Item, message: wire.Message) -> None:
    """Log a report that came beside the phases' own (a subtest's), or record a warning."""
    if isinstance(message, wire.Reported):
        item.ihook.pytest_runtest_logreport(report=restored(item, message.report))
    elif isinstance(message, wire.Warned):
        item.ihook.pytest_warning_recorded.call_historic(kwargs=_warning(item, message))


def stop(session: pytest.Session, stopped: wire.Stopped) -> None:
    """Stop the session as the test wanted it stopped."""
    if stopped.kind == "exit":
        pytest.exit(stopped.reason, returncode=stopped.returncode)
    if stopped.kind == "interrupt":
        raise KeyboardInterrupt(stopped.reason)
    session.shouldstop = stopped.reason or True


def _warning(item: pytest.Item, message: wire.Warned) -> Mapping[str, object]:
    category = _category(message.category_module, message.category)
    recorded = warnings.WarningMessage(
        message=_instance(category, message.text),
        category=category,
        filename=message.filename,
        lineno=message.lineno,
    )
    return {"warning_message": recorded, "when": message.when, "nodeid": item.nodeid, "location": None}


def _category(module: str, name: str) -> type[Warning]:
    # Not imported for this: a warning class of a user's module that was not needed here is stood in for by name.
    found = getattr(sys.modules.get(module), name, None)
    if isinstance(found, type) and issubclass(found, Warning):
        return found
    return type(name if name.isidentifier() else "Warning", (Warning,), {})


def _instance(category: type[Warning], text: str) -> Warning:
    try:
        return category(text)
    except Exception:  # noqa: BLE001  a foreign class may want other arguments
        return Warning(text)
