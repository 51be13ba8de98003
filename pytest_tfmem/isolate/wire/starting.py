"""What a fresh process is told to run."""

from __future__ import annotations

from typing import Any

import msgspec

from pytest_tfmem.isolate.runtime import Runtime
from pytest_tfmem.isolate.wire.functions import Call


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program that is to be run as `__main__`: the script at `path` of its Start, or this `module`.

    `search_path` is its sys.path. `blocked_signals`: those that it finds blocked, as whoever started it has them.
    """

    module: str
    search_path: list[bytes]
    blocked_signals: list[int]


class Start(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Controller to child: run this test.

    `test_id` is the test's id as it was collected, before any plugin renamed it; it is the `ordinal`-th of that
    id in its file. `workerinput` is that of the xdist worker that the controller is, if it is one.
    Bytes are text as the system has it (os.fsencode): a folder's name need not be UTF-8. `visible_devices` is what
    CUDA_VISIBLE_DEVICES is to say from now on, None to leave it as it is; `environment` has variables that are of this
    attempt alone. `warm_up` is how often the test's body is called before its call is measured; `calls` how often after
    that, with what is kept read after each call, and `leak_limit_bytes` is what a call may keep: where it may keep
    more, what grows is looked for. `profiled` asks for the profiler's events to be added up, and `explained` for what
    was alive at the peak as well. `tracked` is the file to which memray is to write what was alive at the peak, empty
    where it is not to run. `call`, if any, is to be called in the test's place, of whose file no more than its import
    is then needed. `program` is run in place of a test, if there is one.
    """

    test_id: str
    ordinal: int
    path: bytes
    arguments: list[bytes]
    argv: list[bytes]
    basetemp: bytes
    workerinput: dict[str, Any] | None
    runtime: Runtime
    visible_devices: str | None = None
    environment: dict[str, str] = {}
    warm_up: int = 0
    profiled: bool = False
    explained: bool = False
    tracked: bytes = b""
    call: Call | None = None
    calls: int = 0
    leak_limit_bytes: int | None = None
    program: Program | None = None
