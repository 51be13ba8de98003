"""A budgets file on disk, written anew: whole or not at all, and not over what somebody else has written meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.wholefile import replace_whole

if TYPE_CHECKING:
    from pathlib import Path


def write_budgets(path: Path, data: bytes, *, read: bytes | None, shown: str) -> None:
    """Have the file at `path` hold `data`, in the mode that it has. Of a link it is the file that it leads to.

    `read` is what was read from it; None: there was no file. Raises TfmemError if that is not so any more, and if the
    file cannot be written; it is then as it was.
    """
    try:
        if read is None:
            with path.open("xb") as file:
                file.write(data)
            return
        target = path.resolve(strict=True)
        if target.read_bytes() != read:
            raise _changed(shown)
        replace_whole(target, data, mode=target.stat().st_mode & 0o7777)
    except FileExistsError:
        raise _changed(shown) from None
    except OSError as error:
        reason = one_line(error.strerror or str(error))
        raise TfmemError(f"this file cannot be written: {reason}", where=shown) from error


def _changed(shown: str) -> TfmemError:
    return TfmemError("this file was changed while tests ran, and is left as it is", where=shown, hint="run them again")
