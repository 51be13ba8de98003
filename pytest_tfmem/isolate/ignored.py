"""Variables with a value that TensorFlow takes no notice of, so that another allocator is in force than was meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pytest_tfmem.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

# The only spellings that TensorFlow compares with (gpu_process_state.cc, gpu_bfc_allocator.cc, process_state.cc).
_SPELLINGS = {
    "TF_GPU_ALLOCATOR": ("cuda_malloc_async", "cuda_malloc", "memory_guard"),
    "TF_FORCE_GPU_ALLOW_GROWTH": ("true", "false"),
    "TF_CPU_ALLOCATOR_USE_BFC": ("true", "false", "1", "0"),
}
_OF_ANY_CASE = {"TF_CPU_ALLOCATOR_USE_BFC"}


def ignored_values(environ: Mapping[str, str | None]) -> list[str]:
    """For each variable with such a value one sentence, without a full stop. An empty value is one that is not set."""
    return [
        _sentence(name, value, spellings)
        for name, spellings in _SPELLINGS.items()
        if (value := environ.get(name)) and (value.lower() if name in _OF_ANY_CASE else value) not in spellings
    ]


def _sentence(name: str, value: str, spellings: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(value[:60].lower(), spellings, n=1)
    meant = f"did you mean {close[0]!r}? It" if close else "it"
    shown = one_line(repr(value), most=60)
    return f"TensorFlow ignores {name}={shown} without a word; {meant} knows {', '.join(spellings)}"
