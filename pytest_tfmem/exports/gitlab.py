"""GitLab's metrics report: few and round numbers, for GitLab says of each that prints differently that it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.exports.exposition import Family, exposed
from pytest_tfmem.exports.names import named
from pytest_tfmem.figures import FIGURES
from pytest_tfmem.gate.tolerance import floor_bytes, tolerance_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.budgets.model import Tolerance
    from pytest_tfmem.exports.rows import Value

_MIB = 1 << 20
# GitLab takes what follows for a comment, in a label too, and then drops the whole report for the open quote.
_COMMENT = "#"


def written(values: Sequence[Value], *, tolerance: Tolerance | None) -> str:
    """The readings in MiB, rounded to the tolerance. `tolerance`: that of the budgets file, if it has one."""
    return exposed(_families(values, tolerance))


def rounded(size_bytes: int, tolerance: Tolerance) -> int:
    """The nearest multiple of a step that goes by the tolerance of such sizes: at least half of it, at most twice.

    The step is a power of two, and the same for all sizes between two powers of two: so what is greater is never
    rounded to less, and a change of twice the tolerance always shows.
    """
    power = 1 << max(size_bytes, 1).bit_length()
    step = 1 << max(floor_bytes(tolerance, power), 1).bit_length() - 1
    return (size_bytes + step // 2) // step * step


def _families(values: Sequence[Value], tolerance: Tolerance | None) -> Iterator[Family]:
    for figure, told in FIGURES.items():
        samples = [(_where(one), _shown(one, tolerance)) for one in values if one.figure == figure]
        yield Family(name=f"tfmem_{figure}_mebibytes", unit="mebibytes", help=told, samples=[*samples])


def _where(one: Value) -> dict[str, str]:
    gpu = {} if one.gpu is None else {"gpu": str(one.gpu)}
    return {"test": named(one.test.nodeid, without=_COMMENT), **gpu}


def _shown(one: Value, of_file: Tolerance | None) -> str:
    tolerance = tolerance_for(one.figure, one.known.exactness, of_file=of_file)
    # Without a rest: the step is a power of two.
    return f"{rounded(one.known.bytes, tolerance) / _MIB:.20f}".rstrip("0").rstrip(".")
