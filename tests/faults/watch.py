"""A plugin for pytest under test: notes after each test what pytest's own process still holds."""

from __future__ import annotations

import json
import os
import re
import time

import pytest

READY = {b"tfmem-server", b"tfmem-file", b"tfmem-spare"}


def pytest_sessionstart(session: pytest.Session) -> None:
    if not session.config.pluginmanager.hasplugin("tfmem-child"):
        # Now, not as part of this module: so that it is registered last, and called around pytest-tfmem.
        session.config.pluginmanager.register(_Watch(), "watch-each-test")


class _Watch:
    @pytest.hookimpl(wrapper=True, tryfirst=True)  # around everyone
    def pytest_runtest_protocol(self, item):
        before = _descriptors()
        try:
            return (yield)
        finally:
            note = {
                "nodeid": item.nodeid.encode("utf-8", "backslashreplace").decode(),
                "ended_at": time.monotonic(),
                "processes": _marked_processes(),
                "descriptors": _descriptors(),
                "descriptors_before": before,
                "peak_bytes": _peak_bytes(),
            }
            with open(f"{os.environ['TFMEM_FAULTS_SEEN']}/watched-{os.getpid()}.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(note) + "\n")


def _descriptors() -> list[str]:
    """Where descriptors lead. Files without a name are one like another, and so are sockets."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(re.sub(r".* \(deleted\)|:\[.*", "", os.readlink(f"/proc/self/fd/{number}")))
        except OSError:
            continue  # the one by which they were listed
    return sorted(found)


def _marked_processes() -> list[str]:
    """Processes of isolated tests that this process has started, and of all that these have started.

    Not the servers from which tests are forked, nor a spare one that no test has got yet.
    """
    mark = f"PYTEST_TFMEM_TOKEN={os.getpid()}-".encode()
    marked = [entry for entry in os.listdir("/proc") if entry.isdecimal() and mark in _read(f"/proc/{entry}/environ")]
    found = [pid for pid in marked if not _is_ready(pid)]
    commands = [(pid, _read(f"/proc/{pid}/cmdline")) for pid in found]
    # Without a command line it has ended while this looked.
    return [f"{pid}: {line[-300:].decode(errors='backslashreplace')}" for pid, line in commands if line]


def _is_ready(pid: str) -> bool:
    if _read(f"/proc/{pid}/comm").strip() in READY:
        return True
    # A server that has just been started, and has not said yet what it is.
    parent = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[1:2]
    return parent == [b"%d" % os.getpid()] and b"isolate.server" in _read(f"/proc/{pid}/cmdline")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _peak_bytes() -> int:
    lines = _read("/proc/self/status").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(b"VmHWM"))
