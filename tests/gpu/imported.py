"""Interpreters that have imported TensorFlow and nothing else, each of which forks a process for what is run on it.

The import takes seconds, most of what these tests would take. Devices are found and allocators made after the fork, by
the variables of the process that is forked; only what the loader reads once, where libraries are, is the interpreter's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SEARCH_PATH = "LD_LIBRARY_PATH"
_SERVER = """
import json, os, sys, tempfile
import tensorflow as tf

def tell(value):
    print(json.dumps(value), flush=True)

def _become(environment, **files):
    for place, (name, flags) in enumerate(
        [(os.devnull, os.O_RDONLY), (files["stdout"], os.O_WRONLY), (files["stderr"], os.O_WRONLY)]
    ):
        os.dup2(os.open(name, flags | os.O_CREAT), place)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # found by TensorFlow's import, in the variables that it had

for _line in sys.stdin:
    _pid = os.fork()
    if _pid == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(_pid, 0)[1]), flush=True)
else:
    sys.exit()
_code = (_asked := json.loads(_line)).pop("code")
_become(**_asked)
exec(_code)  # then this interpreter ends as any other
"""


@dataclass(frozen=True)
class Ran:
    returncode: int
    stdout: str
    stderr: str


class Imported:
    """The interpreters of a session of tests, one for each search path of libraries; they end with the block."""

    def __init__(self) -> None:
        self._servers: dict[str | None, subprocess.Popen[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers.values():
            server.communicate()

    def run(self, code: str, environment: Mapping[str, str], folder: Path) -> Ran:
        """Run code, with TensorFlow as `tf` and `tell(value)`, in a fork that has these variables alone."""
        server = self._server(environment)
        output = {name: str(folder / name) for name in ("stdout", "stderr")}
        print(json.dumps({"code": code, "environment": dict(environment), **output}), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        return Ran(status, *((folder / name).read_text(errors="replace") for name in output))

    def _server(self, environment: Mapping[str, str]) -> subprocess.Popen[str]:
        search_path = environment.get(SEARCH_PATH)
        if search_path not in self._servers:
            self._servers[search_path] = subprocess.Popen(
                [sys.executable, "-c", _SERVER],
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._servers[search_path]
