"""Where the temporary folders of isolated tests lie."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

import psutil

KEPT_SESSIONS = 3  # as pytest keeps the temporary folders of its last sessions
_NAME = re.compile(r"tfmem-(\d+)-(\d+)-\w+")


class Scratch:
    """One session's folder, made when first needed: a numbered folder in it is the `basetemp` of one test.

    What a passing test leaves is removed with it, what a failing one leaves is kept, for its author to look at, for
    as many sessions as pytest itself keeps.
    """

    def __init__(self, basetemp: str | None) -> None:
        self._is_given = bool(basetemp)
        # Beside the user's --basetemp: pytest empties that one when a test of its own process first asks for a folder.
        usual = Path(tempfile.gettempdir(), f"pytest-tfmem-of-{_user()}")
        self._parent = Path(f"{os.path.abspath(basetemp)}-tfmem") if basetemp else usual
        self._root: Path | None = None
        self._used = 0

    def next_folder(self) -> Path:
        """A path that is not there yet, in a folder that is. Raises OSError if there can be none."""
        if self._root is None or not self._root.is_dir():
            self._root = self._make_root()
        self._used += 1
        return self._root / str(self._used)

    def discard(self, folder: Path) -> None:
        """Remove what a test left in its folder."""
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the session's folder if no test left anything in it."""
        if self._root is None:
            return
        try:
            self._root.rmdir()
            self._parent.rmdir()
        except OSError:
            return  # something is kept there

    def _make_root(self) -> Path:
        self._parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._is_given and not _is_own_folder(self._parent):
            # Anyone may have made it before us, for everyone can tell what it will be called.
            raise PermissionError(f"{self._parent} is not a folder of this user's own; remove it or use --basetemp")
        self._prune()
        number = 1 + max((number for number, _, _ in self._sessions()), default=0)
        return Path(tempfile.mkdtemp(prefix=f"tfmem-{number}-{os.getpid()}-", dir=self._parent))

    def _prune(self) -> None:
        ended = sorted((number, path) for number, pid, path in self._sessions() if not psutil.pid_exists(pid))
        for _, path in ended[: -KEPT_SESSIONS + 1]:
            shutil.rmtree(path, ignore_errors=True)

    def _sessions(self) -> list[tuple[int, int, Path]]:
        """Folders that sessions made here: number, process id, path. Links are not ours."""
        found = [(path, _NAME.fullmatch(path.name)) for path in self._parent.iterdir() if not path.is_symlink()]
        return [(int(match[1]), int(match[2]), path) for path, match in found if match and path.is_dir()]


def _is_own_folder(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISDIR(status.st_mode) and (not hasattr(os, "getuid") or status.st_uid == os.getuid())


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "me"
