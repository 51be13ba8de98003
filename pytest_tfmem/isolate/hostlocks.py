"""Locks that all pytest sessions of this machine see, and who holds them."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, unquote

import msgspec

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.isolate.reports import encodable

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOR_ALL = 0o1777  # as /tmp itself: anyone may add a file, nobody may remove another's
_MOST_NOTE_BYTES = 1 << 14
_HINT = "name another folder with the ini key tfmem_lease_dir"
# flock's answers where the file system, or the server that it is on, has no locks.
_WITHOUT_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
# As far as the system has them. O_NONBLOCK: what lies there need not be a file, and a pipe would be waited for.
_CAREFULLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a lock: the test, its pytest's process, since when (`time.time()`), and the cards that it is about."""

    nodeid: str
    pid: Annotated[int, msgspec.Meta(gt=0, lt=1 << 31)]
    since: float
    cards: list[str]


class HeldLock:
    """A lock that this process holds, until it is released or the process ends, however it ends."""

    def __init__(self, lock: Any, note: Path) -> None:
        self._lock = lock
        self._note = note

    def release(self) -> None:
        """Let others have it. What is said of its holder goes first, for the next one writes there at once."""
        with contextlib.suppress(OSError):
            _overwrite(self._note, b"\n")
        self._lock.release()

    def remove(self) -> None:
        """Release it, and remove its file: for a lock that nobody else will ask for."""
        # While it is held: whoever removed it later might remove another's. Windows refuses, and filelock does it then.
        for path in (self._note, self._lock.lock_file):
            with contextlib.suppress(OSError):
                os.unlink(path)
        self._lock.release()


class HostLocks:
    """Locks by name, each a file in a folder that all sessions share, and beside it a note of who holds it.

    The kernel releases a lock with its holder's process, by whatever that ends. `directory` is the folder, by default
    one that is the same for all users and whatever TMPDIR says.
    """

    def __init__(self, directory: Path | None) -> None:
        self._is_given = directory is not None
        self.directory = usual_directory() if directory is None else directory

    def prepare(self) -> None:
        """Have the folder. Raises TfmemError if there can be none, or another user's stands in its place."""
        try:
            if self._is_given or os.name != "posix":
                self.directory.mkdir(parents=True, exist_ok=True)
            else:
                _have_folder_for_all(self.directory)
        except OSError as error:
            raise TfmemError(f"the folder for locks on GPUs cannot be made: {error}", hint=_HINT) from error

    def take(self, name: str, note: Note | None = None) -> HeldLock | None:
        """Hold the lock, if nobody does: never waits. `note` is for those who wait for it.

        Raises TfmemError where files cannot be locked.
        """
        from filelock import Timeout  # noqa: PLC0415  only where cards are leased

        lock = _lock_class()(self._path(name, "lock"), mode=0o666, thread_local=False, fallback_to_soft=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        except OSError as error:
            raise TfmemError(_why_not(error, self.directory), hint=_HINT) from error
        held = HeldLock(lock, self._path(name, "json"))
        if note is not None:
            # It is for people to read: that it cannot be written must not keep a test from its card.
            with contextlib.suppress(OSError):
                _write(self._path(name, "json"), msgspec.json.encode(note) + b"\n")
        return held

    def names(self) -> Iterator[str]:
        """Names of all locks, held or not, that anyone has ever asked for here and not removed. Raises TfmemError."""
        try:
            files = os.listdir(self.directory)
        except OSError as error:
            raise TfmemError(_why_not(error, self.directory), hint=_HINT) from error
        for file in files:
            if file.endswith(".lock"):
                yield unquote(file.removesuffix(".lock"))

    def note(self, name: str) -> Note | None:
        """Who says that he holds the lock; None if nobody does whose process still runs. Anyone may have written it."""
        try:
            note = msgspec.json.decode(_read(self._path(name, "json")), type=Note)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return note if _still_runs(note) else None

    def _path(self, name: str, ending: str) -> Path:
        # A card's name is the driver's: older ones of parts of a card have slashes in them.
        return self.directory / f"{quote(name, safe='')}.{ending}"


def usual_directory() -> Path:
    """The folder of this machine's locks: not a user's own, nor by TMPDIR, for all must find the same."""
    parent = "/tmp" if os.name == "posix" else tempfile.gettempdir()  # noqa: S108  the one that all users have
    return Path(parent, "pytest-tfmem-leases")


def own_note(nodeid: str, cards: list[str]) -> Note:
    """What this process says of itself."""
    return Note(nodeid=encodable(nodeid), pid=os.getpid(), since=time.time(), cards=cards)


def shown(note: Note) -> str:
    """The holder as a waiter is to read it."""
    seconds = max(0, round(time.time() - note.since))
    return f"{one_line(note.nodeid, most=120)} (pytest, process {note.pid}) for {seconds} s"


def _lock_class() -> Any:
    import filelock  # noqa: PLC0415  only where cards are leased

    kernels = filelock.UnixFileLock if os.name == "posix" else filelock.WindowsFileLock
    if not issubclass(filelock.FileLock, kernels):
        # Its other kind is a file that is there: it outlives a holder that is killed, and its cards would stay locked.
        raise TfmemError("GPUs cannot be leased here: this system cannot lock files")
    return kernels


def _why_not(error: OSError, directory: Path) -> str:
    if error.errno in _WITHOUT_LOCKS:
        return f"GPUs cannot be leased: the file system of {directory} does not lock files ({error.strerror})"
    return f"GPUs cannot be leased: {error}"


def _have_folder_for_all(path: Path) -> None:
    """Raises OSError if it cannot be made, TfmemError if what is there is not such a folder."""
    if not os.path.lexists(path):
        made = tempfile.mkdtemp(prefix=f"{path.name}-", dir=path.parent)
        os.chmod(made, _FOR_ALL)
        try:
            # In one step, so that nobody meets it half made. It replaces nothing but an empty folder of this user's.
            os.rename(made, path)
        except OSError:  # another session was faster
            os.rmdir(made)
    status = os.lstat(path)
    # Whose it is does not matter, for it is some user's who came first. He could split locks in two by removing their
    # files; all that he would gain is to share the cards.
    if not stat.S_ISDIR(status.st_mode) or stat.S_IMODE(status.st_mode) != _FOR_ALL:
        raise TfmemError(
            f"{path}, where all sessions of this machine lock its GPUs, is not a folder open to all users (mode 1777)",
            hint=f"remove it, or {_HINT}",
        )


def _read(path: Path) -> bytes:
    """The first line. What comes after is of an earlier note."""
    with open(os.open(path, os.O_RDONLY | _CAREFULLY), "rb", buffering=0) as file:
        return (file.read(_MOST_NOTE_BYTES) or b"").partition(b"\n")[0]


def _write(path: Path, line: bytes) -> None:
    """Write the file's first line; any user may overwrite it."""
    try:
        # Not O_CREAT alone: in a folder such as /tmp, the kernel refuses that for another user's file.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFULLY)
    except FileExistsError:
        _overwrite(path, line)
        return
    with open(descriptor, "wb", buffering=0) as file:
        if hasattr(os, "fchmod"):  # whatever the umask
            os.fchmod(descriptor, 0o666)
        file.write(line)


def _overwrite(path: Path, line: bytes) -> None:
    # Not cut off behind it: that costs more than all else of a lease together.
    with open(os.open(path, os.O_WRONLY | _CAREFULLY), "wb", buffering=0) as file:
        file.write(line)


def _still_runs(note: Note) -> bool:
    """Whether the process that wrote the note runs, and not a later one with its number."""
    import psutil  # noqa: PLC0415  only where somebody waits

    try:
        process = psutil.Process(note.pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= note.since + 1
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False
