"""What the controller and the servers say to each other, from which tests are forked."""

from __future__ import annotations

import msgspec

from pytest_tfmem.isolate.wire.starting import Start


class Warm(msgspec.Struct, frozen=True, tag=True):
    """Server to controller: it is ready to fork, unless `unfit` says why it must not."""

    unfit: str = ""


class Serve(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Controller to server: fork a module server for the file of `start`.

    With it travel our end of its connection, and its standard output and error. `test_id`, `ordinal` and `basetemp`
    of `start` are those of the file's first test, and nobody's yet. `frameworks`: what of them the server has
    imported for this file, or None where the user has said what is to be imported.
    """

    start: Start
    environment: list[tuple[bytes, bytes]]
    directory: bytes
    search_path: list[bytes]
    frameworks: list[str] | None


class Serving(msgspec.Struct, frozen=True, tag=True):
    """Server to controller: the module server has been forked. Its process's descriptor travels with it."""

    pid: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Module server to controller: the file is collected, and tests can be forked off."""


class Unfit(msgspec.Struct, frozen=True, tag=True):
    """Module server to controller: nothing may be forked off it, for this reason, a clause about the test's file.

    `frameworks`, if any, are those that the file does import, where others had been imported for it.
    """

    reason: str
    frameworks: list[str] | None = None


class Fork(msgspec.Struct, frozen=True, tag=True):
    """Controller to module server: fork a test's process. Its channel, standard output and error travel with it."""


class Forked(msgspec.Struct, frozen=True, tag=True):
    """Module server to controller: it has been forked. Its process's descriptor travels with it."""

    pid: int


class Exited(msgspec.Struct, frozen=True, tag=True):
    """A server to controller: a process that it had forked has ended, and so has all that this had started.

    `returncode` is as subprocess has it: the exit status, or the negated signal.
    """

    pid: int
    returncode: int
