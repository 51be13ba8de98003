"""Where there is no program to run: in one line, where it was looked for and what would be right."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tfmem.errors import one_line
from pytest_tfmem.isolate.program import NoProgramError

if TYPE_CHECKING:
    from pytest_tfmem.program.asked import Program

_STDIN = "-"
_NAME_ONE = "name a script, or with -m a module"
_LOOKED_FOR = "modules are looked for in this folder and among what is installed, as python -m does"


def refuse_what_is_not_there(program: Program) -> None:
    """Raises NoProgramError where that can be seen without running anything."""
    if not program.target:
        raise NoProgramError("not given", where="PROGRAM", hint=_NAME_ONE)
    if program.is_module:
        _refuse_a_script(program)
    else:
        _refuse_what_cannot_be_read(program.target)


def told(found: NoProgramError, program: Program) -> NoProgramError:
    """What Python has said of it, for who has named the program."""
    name = one_line(program.target, most=100)
    if program.is_module:
        what, _, why = found.what.partition("; ")  # of a package: that it cannot be executed
        return NoProgramError(one_line(what), where=f"-m {name}", hint=one_line(why) or _LOOKED_FOR)
    kind = "folder" if Path(program.target).is_dir() else "archive"
    return NoProgramError(f"there is no __main__ in this {kind}", where=name, hint="name a script")


def _refuse_a_script(program: Program) -> None:
    """Python would run it, to look for a module in it."""
    name, extension = os.path.splitext(program.target)
    if extension == ".py" and os.path.isfile(program.target) and not os.path.isdir(name):
        where = f"-m {one_line(program.target)}"
        raise NoProgramError("this is a script, and no module", where=where, hint="leave -m out")


def _refuse_what_cannot_be_read(target: str) -> None:
    where = one_line(target)
    if target == _STDIN:
        raise NoProgramError("standard input is left to the program", where=where, hint=_NAME_ONE)
    try:
        mode = os.stat(target).st_mode
    except OSError as fault:
        what = "no such file" if isinstance(fault, FileNotFoundError) else fault.strerror or str(fault)
        raise NoProgramError(what, where=where, hint=_NAME_ONE) from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise NoProgramError("this is no file, but a pipe or a device", where=where, hint=_NAME_ONE)
    if not os.access(target, os.R_OK):
        raise NoProgramError("it may not be read", where=where)
