""" "1.5 GiB" <-> bytes, seconds, and how many of a thing: the only place that knows a unit."""

from __future__ import annotations

import re

from pytest_tfmem.errors import TfmemError, one_line

_BINARY = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_DECIMAL = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_FACTORS = {"B": 1} | _BINARY | _DECIMAL
_NUMBER = r"[0-9]{1,30}(?:\.[0-9]{1,30})?"  # bounded: a number of 5,000 digits is a mistake, and slow
_WHOLE = re.compile(r"[0-9]{1,30}")
_SIZE = re.compile(rf"(?P<number>{_NUMBER})\s*(?P<unit>[A-Za-z]+)")
_SECONDS = re.compile(_NUMBER)
_LARGEST = 1 << 62  # what fits a signed 64-bit integer wherever a run document is read

# The same for a JSON Schema, which has no words for a size that is out of range.
SIZE_PATTERN = rf"[0-9]{{1,30}}|{_NUMBER}\s*(?:{'|'.join(_FACTORS)})"
SECONDS_PATTERN = _NUMBER

HOW_TO_WRITE_A_SIZE = "write bytes or a number and a unit, such as '512 MiB'"


def parse_size(value: object, *, where: str = "") -> int:
    """Bytes of a size as users write it: a whole number of bytes, or a number and a unit.

    KiB, MiB, GiB and TiB are binary, kB, MB, GB and TB decimal; a fraction is rounded down to whole bytes.
    Raises TfmemError for anything else, for a negative size and for one of 2**62 bytes or more.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        size = int(value)
    elif isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        from fractions import Fraction  # noqa: PLC0415  every session loads this module; few read a size

        size = int(Fraction(match["number"]) * _factor(match["unit"], value, where))
    else:
        raise TfmemError(f"{_shown(value)} is not a size", where=where, hint=HOW_TO_WRITE_A_SIZE)
    if not 0 <= size < _LARGEST:
        raise TfmemError(f"{_shown(value)} is out of range for a size", where=where, hint=HOW_TO_WRITE_A_SIZE)
    return size


def _factor(unit: str, value: object, where: str) -> int:
    if unit in _FACTORS:
        return _FACTORS[unit]
    same = [known for known in _FACTORS if known.lower() == unit.lower()]
    hint = f"did you mean {same[0]}?" if same else f"the units are {', '.join(_FACTORS)}"
    raise TfmemError(f"{_shown(value)} has an unknown unit {unit!r}", where=where, hint=hint)


def _shown(value: object) -> str:
    # Only what is surely short and harmless is printed: the repr of a tensor touches its device, and Python
    # refuses to print an integer of 5,000 digits.
    if isinstance(value, (str, float, bool, type(None))) or (isinstance(value, int) and abs(value) < 1 << 80):
        return one_line(repr(value), most=60)
    return "this number" if isinstance(value, int) else f"a value of type {type(value).__name__}"


def format_size(size_bytes: int) -> str:
    """A size for people, in the largest binary unit that keeps it at 1 or more: `1.50 GiB`, `-3.0 MiB`, `0 B`."""
    magnitude = abs(size_bytes)
    for unit, digits in (("TiB", 2), ("GiB", 2), ("MiB", 1), ("KiB", 0)):
        if magnitude >= _BINARY[unit]:
            return f"{size_bytes / _BINARY[unit]:.{digits}f} {unit}"
    return f"{size_bytes} B"


def readable_ceiling(size_bytes: int) -> str:
    """The least size of three digits that is not below this one, as one would write it: `1.25 GiB`, `180 MiB`.

    Below a KiB whole bytes. What `parse_size` reads of it is at most 1 % more than `size_bytes`.
    """
    for unit, factor in sorted(_BINARY.items(), key=lambda item: -item[1]):
        if size_bytes >= factor:
            whole = size_bytes // factor
            parts = 100 if whole < 10 else 10 if whole < 100 else 1  # noqa: PLR2004  three digits in all
            number = -(-size_bytes * parts // factor) / parts
            return f"{number:.2f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{size_bytes} B"


def parse_seconds(value: object, *, where: str = "") -> float:
    """Seconds as users write them: a positive number. Raises TfmemError for anything else."""
    seconds = _seconds(value)
    if not 0 < seconds < _LARGEST:
        raise TfmemError(
            f"{_shown(value)} is not a time",
            where=where,
            hint="write a positive number of seconds, such as 60",
        )
    return seconds


def _seconds(value: object) -> float:
    """The number that is written, 0 for anything that is none."""
    if isinstance(value, str):
        return float(value) if _SECONDS.fullmatch(value.strip()) else 0.0
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if value < _LARGEST else 0.0  # Python makes no float of an integer of 400 digits
    return 0.0


def count_of(number: int, noun: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
