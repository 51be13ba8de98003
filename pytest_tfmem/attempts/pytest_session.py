"""One whole pytest session, in a process of its own and so with a server of its own, and what it recorded."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from pytest_tfmem.check.pytest_process import command, reason
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.history.recorded import RecordedRun
from pytest_tfmem.history.runfile import read_runs
from pytest_tfmem.isolate.process import ChildProcess
from pytest_tfmem.settings.options import ATTEMPT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_RAN = (0, 1)  # pytest.ExitCode: all tests passed, some failed
_STOPPED = (2, 5)  # interrupted, for example by an error of collection; no test was collected
_LAST_CHANCE_SECONDS = 5.0
# What a user's settings may say and an attempt may not do: judge by earlier runs, change budgets, keep what it records.
# A test that is over its limits is to pass here, if it does: what it used counts, and the limits are judged still.
_NOT_HERE = (
    "--tfmem-baseline=off",
    "--tfmem-fail-on=nothing",
    "--tfmem-update=",
    "--tfmem-shard=",
    "--tfmem-history=off",
)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one pytest session. `run` is None where it recorded none; `said` is then why, in one line.

    `said` is also there for a session that did not come to its end, or ran no test, though it recorded a run.
    """

    run: RecordedRun | None
    exit_status: int
    said: str = ""


def attempt(
    arguments: Sequence[str],
    *,
    directory: Path,
    python: str = sys.executable,
    environment: Mapping[str, str | None] = {},
    search_path: Sequence[str] | None = None,
    timeout_seconds: float | None = None,
) -> Attempt:
    """Run pytest with these arguments in `directory`, to its end.

    In `environment` None takes a variable away. `search_path` is where modules are found, for our own interpreter.
    Whatever interrupts us ends the session with all that it started, and its temporary files are removed.
    """
    with tempfile.TemporaryDirectory(prefix="tfmem-attempt-", ignore_cleanup_errors=True) as name:
        document, temporary = Path(name, "run.json"), Path(name, "tmp")
        temporary.mkdir()
        ours = [*_loading(), *_NOT_HERE, f"--tfmem-json={document}", "--color=no"]
        ended = whole_command(
            command([*ours, *arguments], python=python, search_path=search_path),
            directory=directory,
            environment={"TMPDIR": str(temporary), **environment},
            timeout_seconds=timeout_seconds,
        )
        if ended is None:
            return Attempt(run=None, exit_status=-1, said=f"pytest did not end within {timeout_seconds} s")
        return _read(document, ended)


def _loading() -> list[str]:
    """What has the plugin loaded where pytest loads none by itself.

    Not elsewhere: a plugin that is named is loaded earlier, and its tests' processes then hold 0.3 MiB less than those
    of sessions that do not name it, against which they are to be held.
    """
    return ["-p", "tfmem"] if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") else []


def whole_command(
    words: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str | None] = {},
    timeout_seconds: float | None = None,
) -> subprocess.CompletedProcess[bytes] | None:
    """Run a command to its end, after which nothing that it started runs. None if it took too long."""
    # In files: a pipe would have to be emptied, and whoever got away could hold it open.
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        status = _run(
            words,
            directory=directory,
            environment=_environment(environment),
            output=(stdout, stderr),
            timeout_seconds=timeout_seconds,
        )
        if status is None:
            return None
        return subprocess.CompletedProcess(words, status, _whole(stdout), _whole(stderr))


def _read(document: Path, ended: subprocess.CompletedProcess[bytes]) -> Attempt:
    status = ended.returncode
    if status not in (*_RAN, *_STOPPED) or not document.exists():
        return Attempt(run=None, exit_status=status, said=reason(ended))
    try:
        run = read_runs(document)[0]
    except TfmemError as error:
        return Attempt(run=None, exit_status=status, said=str(error))
    return Attempt(run=run, exit_status=status, said="" if status in _RAN else reason(ended))


def _run(
    words: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    output: tuple[IO[bytes], IO[bytes]],
    timeout_seconds: float | None,
) -> int | None:
    """The exit status; None if it did not end in time."""
    mark = f"{os.getpid()}-{secrets.token_hex(8)}"
    popen = subprocess.Popen(  # noqa: S603  an interpreter, our own statement, and no shell
        words,
        cwd=directory,
        env={**environment, ATTEMPT_VARIABLE: mark},
        stdin=subprocess.DEVNULL,
        stdout=output[0],
        stderr=output[1],
        start_new_session=True,  # the terminal's Ctrl-C is ours, and we end it
    )
    with _ended(popen, mark):
        try:
            return popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None


@contextmanager
def _ended(popen: subprocess.Popen[bytes], mark: str) -> Iterator[None]:
    """Nothing of the session runs afterwards. If it still does, it may first tear down what its tests have set up."""
    process = ChildProcess(popen, f"{ATTEMPT_VARIABLE}={mark}")
    try:
        yield
    finally:
        try:
            if process.returncode is None:
                popen.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)
                process.wait(_LAST_CHANCE_SECONDS)
        finally:
            process.end()


def _environment(changed: Mapping[str, str | None]) -> dict[str, str]:
    whole: dict[str, str | None] = {**os.environ, **changed}
    return {name: value for name, value in whole.items() if value is not None}


def _whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    with suppress(OSError):
        return file.read()
    return b""
