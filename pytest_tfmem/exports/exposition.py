"""Text in OpenMetrics' format: families of samples, with their metadata and their labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

END = "# EOF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Samples of one name, each its labels and its value as text. `unit`, if any, is the end of the name.

    Of a family of the type info the samples' own name ends in `_info`, and their value is 1.
    """

    name: str
    type: Literal["gauge", "info"] = "gauge"
    unit: str = ""
    help: str
    samples: list[tuple[Mapping[str, str], str]] = field(default_factory=list)


def exposed(families: Iterable[Family]) -> str:
    """The text, one line for each sample, without those families that have none."""
    lines = [line for family in families if family.samples for line in _lines(family)]
    return "\n".join([*lines, END, ""])


def _lines(family: Family) -> Iterator[str]:
    yield f"# TYPE {family.name} {family.type}"
    if family.unit:
        yield f"# UNIT {family.name} {family.unit}"
    yield f"# HELP {family.name} {_quoted(family.help)}"
    name = f"{family.name}_info" if family.type == "info" else family.name
    for labels, value in family.samples:
        told = ",".join(f'{label}="{_quoted(text)}"' for label, text in labels.items())
        yield f"{name}{{{told}}} {value}" if told else f"{name} {value}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
