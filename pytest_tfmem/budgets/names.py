"""Names that nobody declared: which one was probably meant, and which there are."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

# What people call a figure elsewhere. Spelling alone does not lead from these to ours.
_ELSEWHERE = {
    "vram": "gpu",
    "gpu_memory": "gpu",
    "device": "gpu",
    "cuda": "gpu",
    "memory": "rss",
    "mem": "rss",
    "ram": "rss",
    "host": "rss",
    "max_rss": "rss",
    "growth": "rss_growth",
    "warning": "warn",
    "fail": "error",
}


def unknown(kind: str, name: str, known: Iterable[str], *, where: str, besides: Iterable[str] = ()) -> TfmemError:
    """The error for a `kind` ("figure") whose `name` is none of `known`; `besides` are names of other kinds."""
    known, besides = list(known), list(besides)
    listed = f"the {kind}s are {', '.join(known)}"
    listed += f"; the other keys are {', '.join(besides)}" if besides else ""
    guess = _guess(name, known + besides)
    hint = f"did you mean {guess!r}? {listed[0].upper()}{listed[1:]}" if guess else listed
    return TfmemError(f"unknown {kind} {one_line(repr(name), most=60)}", where=where, hint=hint)


def _guess(name: str, known: list[str]) -> str:
    lower = name[:60].lower()
    if _ELSEWHERE.get(lower) in known:
        return _ELSEWHERE[lower]
    return next(iter(difflib.get_close_matches(lower, known, n=1)), "")
