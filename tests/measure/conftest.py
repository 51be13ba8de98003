"""Real processes to measure."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOOLS = """
import json, mmap, os, subprocess, sys, threading
from pytest_tfmem.measure.host import read_marks, reset_peak

MIB = 1 << 20
HOLD = "import mmap, sys; held = mmap.mmap(-1, int(sys.argv[1])); held.write(bytes(len(held)));" \\
    " print('held', flush=True); sys.stdin.read()"

def tell(value):
    print(json.dumps(value), flush=True)

def touched(size):
    held = mmap.mmap(-1, size)
    for page in range(0, size, mmap.PAGESIZE):
        held[page] = 1
    return held

def holder(size):
    '''A process that holds this many bytes until its standard input ends.'''
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process
"""


class Child:
    """A new interpreter that runs `code` and says values with `tell`; it ends when its standard input does."""

    def __init__(self, code: str) -> None:
        command = [sys.executable, "-c", _TOOLS + code]
        self.popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.popen.pid

    def told(self) -> Any:
        """The next value that it says; waits for it."""
        line = _of(self.popen.stdout).readline()
        return json.loads(line)

    def end(self) -> None:
        """Close its standard input and wait for its end."""
        _of(self.popen.stdin).close()
        self.popen.wait()

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()


def _of(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


@pytest.fixture
def child() -> Iterator[Callable[[str], Child]]:
    """Starts children, and ends them with the test."""
    children: list[Child] = []

    def start(code: str) -> Child:
        children.append(Child(code))
        return children[-1]

    yield start
    for started in children:
        started.kill()
        _of(started.popen.stdout).close()
        _of(started.popen.stdin).close()
