"""Which line of the user's own code each thread was in, and when."""

from __future__ import annotations

import sys
import sysconfig
import threading
import time
from array import array
from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

_MOST_MOMENTS = 4_000_000  # of one thread, 16 bytes each
_TOOL = 4  # of sys.monitoring's six: debuggers, coverage, profilers and optimizers have others
_NOWHERE = 0
_GENERATED = "__autograph_generated_file"  # what tf.function makes of a user's function


class _Followed(NamedTuple):
    """Where one thread was from each moment on: nanoseconds since the epoch, and a place's number."""

    moments: array[int]
    places: array[int]


class Lines:
    """Follows the lines of the user's own code from `start` on until `stop`: the innermost of those being carried out.

    The user's own is what stands neither in Python's library nor among installed packages. `meet(number)` is called in
    each thread of Python's when its first such line comes. Where this Python cannot tell, or another tool has taken
    the only place from which it could be told, no line is known.
    """

    def __init__(self, meet: Callable[[int], None]) -> None:
        self._meet = meet
        self._threads: dict[int, _Followed] = {}
        self._main = threading.main_thread().ident or 0
        self._numbers: dict[tuple[str, int], int] = {}
        self._names: list[str] = [""]
        self._own: dict[str, bool] = {}
        monitoring = getattr(sys, "monitoring", None)  # from Python 3.12 on
        self._follower: _Monitoring | _Tracing = _Monitoring(self, monitoring) if monitoring else _Tracing(self)

    def start(self) -> None:
        self._follower.start()

    def stop(self) -> None:
        self._follower.stop()

    def at(self, thread: int | None, nanoseconds: int) -> str:
        """ "file:line" in which this thread was, or the main one where it is none of Python's; empty if in none."""
        followed = self._threads.get(self._main if thread is None else thread)
        if followed is None:
            return ""
        place = bisect_right(followed.moments, nanoseconds) - 1
        return self._names[followed.places[place]] if place >= 0 else ""

    def is_own(self, file: str) -> bool:
        known = self._own.get(file)
        if known is None:
            known = self._own[file] = is_own_file(file)
        return known

    def reached(self, file: str, line: int) -> None:
        """This thread has come to a line of the user's."""
        number = self._numbers.get((file, line))
        if number is None:
            # A file's name need not be text that can be sent on.
            self._names.append(f"{file}:{line}".encode("utf-8", "backslashreplace").decode())
            number = self._numbers[file, line] = len(self._names) - 1
        self._note(number)

    def left(self, caller: FrameType | None) -> None:
        """This thread has left a function of the user's, for `caller`."""
        while caller is not None and not self.is_own(caller.f_code.co_filename):
            caller = caller.f_back
        if caller is None:
            self._note(_NOWHERE)
        else:
            self.reached(caller.f_code.co_filename, caller.f_lineno)

    def _note(self, number: int) -> None:
        thread = threading.get_ident()
        followed = self._threads.get(thread)
        if followed is None:
            followed = self._threads[thread] = _Followed(array("q"), array("l"))
            self._meet(thread)
        if len(followed.moments) < _MOST_MOMENTS:
            followed.moments.append(time.time_ns())
            followed.places.append(number if len(followed.moments) < _MOST_MOMENTS else _NOWHERE)


class _Monitoring:
    """By sys.monitoring: what is not the user's costs nothing after its first call."""

    def __init__(self, lines: Lines, monitoring: Any) -> None:
        self._lines = lines
        self._monitoring = monitoring
        self._taken = False

    def start(self) -> None:
        if self._monitoring.get_tool(_TOOL) is not None:
            return
        self._taken = True
        self._monitoring.use_tool_id(_TOOL, "pytest-tfmem")
        events = self._monitoring.events
        told = {
            events.PY_START: self._starts,
            events.LINE: self._reaches,
            events.PY_RESUME: self._resumes,
            events.PY_RETURN: self._leaves,
            events.PY_YIELD: self._leaves,
            events.PY_UNWIND: self._leaves,
        }
        for event, callback in told.items():
            self._monitoring.register_callback(_TOOL, event, callback)
        # How a function is left by an exception is told of all functions, or of none.
        self._monitoring.set_events(_TOOL, events.PY_START | events.PY_UNWIND)

    def stop(self) -> None:
        if self._taken:
            self._taken = False
            self._monitoring.set_events(_TOOL, 0)
            self._monitoring.free_tool_id(_TOOL)

    def _starts(self, code: CodeType, offset: int) -> object:
        del offset
        if self._taken and self._lines.is_own(code.co_filename):
            events = self._monitoring.events
            inside = events.LINE | events.PY_RETURN | events.PY_YIELD | events.PY_RESUME
            self._monitoring.set_local_events(_TOOL, code, inside)
            self._lines.reached(code.co_filename, code.co_firstlineno)
        return self._monitoring.DISABLE

    def _reaches(self, code: CodeType, line: int) -> None:
        if self._taken:
            self._lines.reached(code.co_filename, line)

    def _leaves(self, code: CodeType, *_: object) -> None:
        if self._taken and self._lines.is_own(code.co_filename):
            self._lines.left(sys._getframe(1).f_back)  # noqa: SLF001  as documented for such tools

    def _resumes(self, code: CodeType, offset: int) -> None:
        del offset
        if self._taken:
            self._lines.reached(code.co_filename, sys._getframe(1).f_lineno)  # noqa: SLF001  the same


class _Tracing:
    """By sys.settrace, for Python 3.11, unless a debugger or a measurement of coverage has it."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def start(self) -> None:
        if sys.gettrace() is None:
            threading.settrace(self._calls)
            sys.settrace(self._calls)

    def stop(self) -> None:
        if sys.gettrace() == self._calls:
            threading.settrace(None)
            sys.settrace(None)

    def _calls(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        del event, arg
        if not self._lines.is_own(frame.f_code.co_filename):
            return None
        self._lines.reached(frame.f_code.co_filename, frame.f_lineno)
        return self._within

    def _within(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        del arg
        if event == "line":
            self._lines.reached(frame.f_code.co_filename, frame.f_lineno)
        elif event == "return":
            self._lines.left(frame.f_back)
        return self._within


def is_own_file(file: str) -> bool:
    """Whether a file of Python is neither installed nor the interpreter's, nor of this package."""
    if file.startswith("<") or Path(file).name.startswith(_GENERATED):
        return False
    parts = Path(file).parts
    return not ({"site-packages", "dist-packages"} & set(parts) or file.startswith(_LIBRARIES))


_PATHS = sysconfig.get_paths()
_LIBRARIES = (
    *(f"{_PATHS[name]}/" for name in ("stdlib", "platstdlib")),
    f"{Path(__file__).parent.parent}/",
)
