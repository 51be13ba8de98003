"""pytest's reports on their way from the test's process to the controller's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

MOST_SECTION_CHARS = 4 << 20
MOST_TEXT_CHARS = 32 << 20
_MOST_DEPTH = 40
_LARGEST_INTEGER = 1 << 63


def pack(config: pytest.Config, report: pytest.TestReport) -> dict[str, Any]:
    """The report in builtin types that a message can hold.

    What has no such form (a plugin's object, a property that is an array) is replaced by a text of it; captured
    output and other texts are cut in their middle when they are long beyond use.
    """
    data = config.hook.pytest_report_to_serializable(config=config, report=report)
    data["sections"] = [(name, shortened(str(text), MOST_SECTION_CHARS)) for name, text in data.get("sections", ())]
    packed: dict[str, Any] = plain(data)
    return packed


def unpack(config: pytest.Config, data: dict[str, Any]) -> pytest.TestReport:
    """The report that `pack` packed, with its tuples restored: JUnit and the terminal take them apart as such."""
    restored = dict(data)
    restored["location"] = tuple(restored["location"])
    restored["sections"] = [tuple(section) for section in restored["sections"]]
    restored["user_properties"] = [tuple(pair) for pair in restored["user_properties"]]
    if isinstance(restored["longrepr"], list):
        restored["longrepr"] = tuple(restored["longrepr"])
    report: pytest.TestReport = config.hook.pytest_report_from_serializable(config=config, data=restored)
    return report


def is_of_phase(data: dict[str, Any], phase: str) -> bool:
    """Whether the packed report is that of the phase itself, not one of a subtest in it."""
    return data.get("$report_type") == "TestReport" and "_report_type" not in data and data.get("when") == phase


def shortened(text: str, most: int) -> str:
    """`text`, its middle cut out where it has over `most` characters."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out by pytest-tfmem ...]\n{text[-half:]}"


def plain(value: Any, depth: int = 0) -> Any:
    """`value` in builtin types of bounded size and depth, with text that UTF-8 can hold."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # Not str(value): a subclass, such as an enumeration's, has its own idea of that.
        return encodable(shortened(str.__str__(value), MOST_TEXT_CHARS))
    if type(value) in {int, float}:
        return value if isinstance(value, float) or -_LARGEST_INTEGER <= value < _LARGEST_INTEGER else _text(value)
    if depth < _MOST_DEPTH and isinstance(value, dict):
        return {_key(key): plain(each, depth + 1) for key, each in value.items()}
    if depth < _MOST_DEPTH and isinstance(value, (list, tuple)):
        return [plain(each, depth + 1) for each in value]
    return _number(value)


def encodable(text: str) -> str:
    """`text` with its lone surrogates escaped: no encoding takes them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _key(key: Any) -> str:
    return encodable(key) if isinstance(key, str) else _text(key)


def _number(value: Any) -> Any:
    """A NumPy-like scalar as the number that it is, anything else as text."""
    try:
        number = value.item()
    except Exception:  # noqa: BLE001  a foreign object may raise anything
        return _text(value)
    if type(number) is bool or (type(number) is int and abs(number) < _LARGEST_INTEGER):
        return number
    return number if type(number) is float and math.isfinite(number) else _text(value)


def _text(value: Any) -> str:
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001  a foreign object may raise anything
        text = f"<{type(value).__name__} whose text raises {type(error).__name__}>"
    return encodable(shortened(text, MOST_TEXT_CHARS))
