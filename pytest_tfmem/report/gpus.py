"""GPUs by names that fit into a table, "GPU:1" in place of a UUID of 40 characters; and why one has no reading."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from pytest_tfmem.figures import NotMeasured, each
from pytest_tfmem.measure.device_readings import NO_DEVICE
from pytest_tfmem.report.layout import plain, shorten_middle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_tfmem.figures import AnyReading, FigureReading

_LABEL = re.compile(r"(?P<card>.*?)(?: \((?P<logical>[^()]+)\))?", re.DOTALL)
_UUID = re.compile(
    r"((?:GPU|MIG)-[0-9A-Fa-f]{8})-[0-9A-Fa-f-]{27}"
)  # their first block tells the cards of one host apart
_LONGEST = 24
_LONGEST_LABEL = 50  # a whole UUID and the framework's name


def names_in(readings: Mapping[str, FigureReading]) -> dict[str, str]:
    """For each GPU that a test's readings speak of, as they label it, a short name that no other of them has."""
    return short_names(one.device for reading in readings.values() for one in each(reading) if one.device)


def short_names(labels: Iterable[str]) -> dict[str, str]:
    """For labels such as "GPU-6f2c... (GPU:0)", the framework's name of the device, or the beginning of the UUID.

    A card of which a framework's name is known has it under every label; labels whose names would be the same though
    the cards are not get both, and if that is not enough are left as they are.
    """
    parts = {label: _parts(label) for label in labels}
    on_card: dict[str, list[str]] = {}
    for card, logical in parts.values():
        on_card.setdefault(card, []).extend([logical] if logical and logical not in on_card.get(card, []) else [])
    names = {label: logical or _of_card(card, on_card[card]) for label, (card, logical) in parts.items()}
    longer = {label: f"{_short_card(card)} ({names[label]})" for label, (card, _) in parts.items()}
    names = {label: longer[label] if label in _ambiguous(names, parts) else name for label, name in names.items()}
    doubtful = _ambiguous(names, parts)
    return {
        label: _fit(label, _LONGEST_LABEL) if label in doubtful else _fit(name, _LONGEST)
        for label, name in names.items()
    }


def why_not(reading: FigureReading | None, *, otherwise: str) -> str:
    """Why a figure has no reading: each reason once. `otherwise` where nothing is known of it at all."""
    if reading == []:
        return NO_DEVICE
    reasons = [one.not_measured or "no reason given" for one in each(reading) if isinstance(one, NotMeasured)]
    return "; ".join(dict.fromkeys(reasons)) or otherwise


def told_apart(reading: FigureReading | None) -> list[AnyReading]:
    """The readings of a figure that are worth a row each: one where all the GPUs are unmeasured for one reason."""
    ones = list(each(reading))
    reasons = {one.not_measured if isinstance(one, NotMeasured) else None for one in ones}
    return (
        [NotMeasured(next(iter(reasons)) or "")]
        if len(ones) > 1 and len(reasons) == 1 and None not in reasons
        else ones
    )


def _parts(label: str) -> tuple[str, str]:
    found = _LABEL.fullmatch(label)
    return (found["card"], found["logical"] or "") if found and found["card"] else (label, "")


def _of_card(card: str, logicals: list[str]) -> str:
    return logicals[0] if len(logicals) == 1 else _short_card(card)


def _short_card(card: str) -> str:
    found = _UUID.fullmatch(card)
    return found[1] if found else card


def _ambiguous(names: Mapping[str, str], parts: Mapping[str, tuple[str, str]]) -> set[str]:
    """The labels whose name stands for another card too."""
    cards = Counter(name for name, _ in {(name, parts[label][0]) for label, name in names.items()})
    return {label for label, name in names.items() if cards[name] > 1}


def _fit(name: str, most: int) -> str:
    return shorten_middle(plain(name), most)
