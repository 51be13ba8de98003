"""Processes to isolate tests in, and ways to see that they have ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from pytest_tfmem.isolate.process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WAIT_SECONDS = 20  # for what is certain to come, on a machine however busy


@pytest.fixture
def start() -> Iterator[Callable[..., ChildProcess]]:
    """Starts `code` as the tests' processes are started: in a group of its own, with a token in its environment."""
    started = []

    def start_code(code: str, *arguments: str, token: str = "TFMEM_TEST_TOKEN=none") -> ChildProcess:
        name, _, value = token.partition("=")
        popen = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, name: value},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(popen)
        return ChildProcess(popen, token)

    yield start_code
    for popen in started:
        popen.kill()
        popen.wait()
        popen.stdin.close()
        popen.stdout.close()


def has_ended(pid: int) -> bool:
    """Whether the process ends within a generous time; one that nobody has reaped has ended."""
    try:
        process = psutil.Process(pid)
        deadline = time.monotonic() + _WAIT_SECONDS
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
    except psutil.NoSuchProcess:
        return True
    return True


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
