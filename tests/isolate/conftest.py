"""Processes like those that tests are isolated in."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_tfmem.isolate.process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def start() -> Iterator[Callable[..., ChildProcess]]:
    """Starts `code` as the tests' processes are started: in a group of its own, with a token in its environment."""
    started = []

    def start_code(code: str, *arguments: str, token: str = "") -> ChildProcess:
        # Its own, as in the product: else to end this one would end those of other tests that run beside it.
        token = token or f"TFMEM_TEST_TOKEN={secrets.token_hex(8)}"
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
