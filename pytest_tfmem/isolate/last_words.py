"""What native code wrote before it ended a process with abort(), in a clause that its author can act on."""

from __future__ import annotations

import re

from pytest_tfmem.errors import one_line
from pytest_tfmem.isolate.refusals import read_refusal, what_was_asked

_MOST_QUOTED = 200
_MOST_TEXT = 1 << 16
# "F0000 00:00:1795240386.684322 32759 gpu_device.cc:168] text", and "2024-05-01 12:00:00.123456: F xla/a.cc:1] text".
_FATAL = re.compile(
    r"^(?:F[0-9]{4} [^\]\n]{1,300}|[0-9-]{10} [0-9:.]{8,20}: F [^\]\n]{1,300})\] (?P<text>[^\n]*)", re.MULTILINE
)
_CHECK = re.compile(r"Check failed: [^\n]*")
_CUDA_ERROR = re.compile(r"(?P<name>CUDA_ERROR_[A-Z0-9_]{1,60})(?:: (?P<text>[A-Za-z0-9 ,'-]{1,100}))?")
_DRIVER = re.compile(r"version compatible with: (?P<major>[0-9]{1,3})0(?P<minor>[0-9]{1,2})0\b")
_OTHER_ALLOCATOR = 'tf_runtime(allocator="growth") asks nothing of the kind'


def why_aborted(output_tail: str) -> str:
    """A clause on why the process ended itself, from the last that it wrote; "" where nothing there tells."""
    tail = output_tail[-_MOST_TEXT:]
    fatal = [match["text"] for match in _FATAL.finditer(tail)] or _CHECK.findall(tail)
    if not fatal:
        return _told_of_cuda(tail)
    words = fatal[-1].strip()
    return _no_pools(words) or _refused(words) or _cuda_error(words) or _event(words, tail) or _quoted(words)


def _no_pools(words: str) -> str:
    if "cuda_malloc_async isn't currently supported" in words or "Failed to get default CUDA pool" in words:
        return f"this card or its driver cannot do what TensorFlow's cuda_malloc_async needs; {_OTHER_ALLOCATOR}"
    if "Disable cuda_malloc_async" in words:
        has = _DRIVER.search(words)
        which = f" (it is for CUDA {has['major']}.{has['minor']})" if has else ""
        return f"the driver is too old for TensorFlow's cuda_malloc_async{which}; {_OTHER_ALLOCATOR}"
    return ""


def _refused(words: str) -> str:
    refusal = read_refusal(words)
    if refusal is None:
        return ""
    asked = what_was_asked(refusal)
    return f"out of memory on {refusal.device or 'a GPU'}" + (f": {asked}" if asked else "")


def _cuda_error(words: str) -> str:
    match = _CUDA_ERROR.search(words)
    if match is None:
        return ""
    if match["name"] == "CUDA_ERROR_NOT_INITIALIZED":
        return "CUDA cannot be used in a fork of a process that had started it (CUDA_ERROR_NOT_INITIALIZED)"
    return f"a call of CUDA failed with {_named(match)}"


def _event(words: str, tail: str) -> str:
    if "Unexpected Event status" not in words:
        return ""
    before = _told_of_cuda(tail)
    return "the GPU failed in the midst of its work" + (f"; {before}" if before else "")


def _told_of_cuda(tail: str) -> str:
    errors = list(_CUDA_ERROR.finditer(tail))
    return f"its output names {_named(errors[-1])}" if errors else ""


def _named(match: re.Match[str]) -> str:
    return match["name"] + (f" ({match['text'].strip()})" if match["text"] else "")


def _quoted(words: str) -> str:
    return f"its last words were {one_line(words, most=_MOST_QUOTED)!r}"
