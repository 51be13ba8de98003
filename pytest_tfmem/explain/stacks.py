"""Who is in a stack: the user's own code, the library that it called, and what these were about."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from pytest_tfmem.measure.lines import is_own_file

if TYPE_CHECKING:
    from collections.abc import Sequence


class Frame(NamedTuple):
    """One function of a stack. `file` ends in ".py" for Python's own, is of C or unknown for native ones."""

    function: str
    file: str
    line: int

    @property
    def is_python(self) -> bool:
        return self.file.endswith(".py") or self.file.startswith("<frozen")


class Place(NamedTuple):
    """Whose a stack is. `what`: function; `where`: "file:line"; `detail`: what was called from there.

    `path`: the user's lines from the outermost in, each once as "function file:line".
    """

    kind: str
    what: str
    where: str = ""
    detail: str = ""
    path: tuple[str, ...] = ()


IN_REGION = "a region of TensorFlow's allocator"
IN_THREAD = "in a thread of a library"
INSIDE = "pytest and its plugins"

_LIBRARIES = frozenset({"site-packages", "dist-packages"})
_OWN = "pytest_tfmem"
_OURS = frozenset({"_pytest", "pluggy", "pytest", "xdist", _OWN})
_IMPORTING = "<frozen importlib"
# What every call of Keras and TensorFlow goes through, between what it is asked for and what it does.
_PLUMBING = re.compile(
    r"/(?:utils?|tracking|polymorphic_function|autograph|eager|framework|trackable|profiler)/|/weak_tensor_ops\.py"
    r"|/backend/(?!tensorflow/trainer)"
)
_OPERATION = re.compile(r"(?:^|::)(\w+?)(?:Op(?:Base)?(?:<.*>)?|DatasetOp::Dataset::\w*Iterator)::(?:Compute|GetNext)")
_ALLOCATING = re.compile(
    r"malloc|memalign|mmap|operator new|Alloc|alloc|^std::|^void std::|TensorBuffer|Tensor::|OpKernelContext::|^PyData"
    r"|^PyArray_|^PyObject_|^_?Py|^absl::|_M_|start_thread|clone"
)
_MOST_NAME = 60


def place_of(stack: Sequence[Frame], root: str) -> Place:
    """Whose memory this is, by the stack that asked for it, the innermost frame first.

    `root`: the root directory, with a separator at its end.
    """
    at = user_frame(stack, root)
    if at is not None:
        return _of_user(stack, at, root)
    calls = [frame for frame in stack if frame.is_python]
    if any(_is_inside(frame) for frame in calls):
        return Place("python", INSIDE)
    if calls:
        return Place("python", f"{_package(calls[-1].file)}, not called by the test")
    return Place("native", operation_of(stack) or _function_of(stack), detail=IN_THREAD)


def user_frame(stack: Sequence[Frame], root: str) -> int | None:
    """The place in the stack of the innermost frame that is the user's own."""
    return next((at for at, frame in enumerate(stack) if is_users(frame, root)), None)


def where(frame: Frame, root: str) -> str:
    """`tests/test_a.py:12`, counted from the root directory."""
    return f"{frame.file.removeprefix(root)}:{frame.line}"


def operation_of(stack: Sequence[Frame]) -> str:
    """The TensorFlow operation at whose work the innermost of these frames are, as `operation Fill`, if any."""
    for frame in stack:
        found = None if frame.is_python else _OPERATION.search(frame.function)
        if found:
            return f"operation {found[1]}"[:_MOST_NAME]
    return ""


def is_users(frame: Frame, root: str) -> bool:
    """Whether the frame is of a Python file below the root directory, and of no installed package."""
    return _is_users_file(frame.file, root)


def _of_user(stack: Sequence[Frame], at: int, root: str) -> Place:
    frame, folded = stack[at], stack[:at]
    # Each line once, where it is innermost: a recursion is one holder, however deep.
    own = (f"{one.function} {where(one, root)}" for one in stack[at:] if is_users(one, root))
    path = tuple(reversed(dict.fromkeys(own)))
    imported = _imported(folded)
    if imported:
        return Place("python", f"import {imported}", where(frame, root), path=path)
    return Place("python", frame.function, where(frame, root), _landmarks(folded), path)


@cache  # there are tens of thousands of stacks, of a few hundred files
def _is_users_file(file: str, root: str) -> bool:
    return file.endswith(".py") and file.startswith(root) and is_own_file(file)


def _is_inside(frame: Frame) -> bool:
    return _package(frame.file) in _OURS


def _imported(folded: Sequence[Frame]) -> str:
    """The package that is being imported, if the stack passes through an import: the outermost one."""
    # Native frames stand between those of an import where a stack has them.
    for outer, inner in pairwise(frame for frame in reversed(folded) if frame.is_python):
        if outer.file.startswith(_IMPORTING) and inner.file.endswith(".py"):
            return _package(inner.file)
    return ""


@cache
def _package(file: str) -> str:
    """The package in which a file is, or the module's name where it is not installed."""
    parts = PurePath(file).parts
    if _OWN in parts:
        return _OWN  # also where it is not installed, but worked at
    at = next((at for at, part in enumerate(parts[:-1]) if part in _LIBRARIES), None)
    return PurePath(file).stem if at is None else parts[at + 1].removesuffix(".py")


@cache
def _is_plumbing(file: str) -> bool:
    return _PLUMBING.search(file) is not None


def _landmarks(folded: Sequence[Frame]) -> str:
    """`trainer.fit -> adam.build -> operation Fill`: what the user called, and what came of it."""
    calls = [frame for frame in reversed(folded) if frame.is_python and not _is_plumbing(frame.file)]
    own = [frame for frame in calls if _package(frame.file) == _package(calls[0].file)]
    names = [*map(_named, calls[:1]), *map(_named, own[-2:]), operation_of(folded)]
    if any("BFCAllocator::Extend" in frame.function for frame in folded):
        names.append(IN_REGION)
    return " -> ".join(dict.fromkeys(filter(None, names)))


def _named(frame: Frame) -> str:
    return f"{frame.file.rpartition('/')[2].removesuffix('.py')}.{frame.function}"[:_MOST_NAME]


def _function_of(stack: Sequence[Frame]) -> str:
    """The first function that is no allocator's."""
    names = [frame.function for frame in stack if not _ALLOCATING.search(frame.function)]
    return (names or ["unknown"])[0].partition("(")[0][:_MOST_NAME] or "unknown"
