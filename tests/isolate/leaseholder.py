"""A process that leases cards, as a pytest session does, for tests that watch it from outside.

    python leaseholder.py hold    '{"cards": [...], "directory": "...", "count": 1, "nodeid": "..."}'
    python leaseholder.py stream  '{..., "counts": [1, 2, 2], "log": "..."}'

`hold` says what it holds, releases it when its input ends, and says so. `stream` leases again and again and writes
down when it holds which card. With "user", a number, it becomes that user; with "leaves", what outlives it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pytest_tfmem.isolate.hostlocks import HostLocks, own_note
from pytest_tfmem.isolate.lease import Leases

NOWHERE = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}


def said(text):
    print(text, flush=True)


def hold(leases, wanted):
    with leases.acquire(wanted["count"], nodeid=wanted["nodeid"], on_wait=said) as lease:
        for way in wanted.get("leaves", []):
            said(left_behind(way))
        said(f"holds {','.join(lease.cards)}")
        sys.stdin.read()
    said("released")


def become(user):
    """Become another user, who may not read the interpreter's files: all that is imported later is used before."""
    with tempfile.TemporaryDirectory() as folder:
        HostLocks(Path(folder)).take("card", own_note("test", []))
        assert HostLocks(Path(folder)).note("card")
    os.setgid(user)
    os.setuid(user)


def left_behind(way):
    """A process that runs on, by its id."""
    if way == "program":
        return subprocess.Popen(["sleep", "1000"], **NOWHERE, close_fds=False).pid
    pid = os.fork()
    if pid == 0:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1):
            os.dup2(nowhere, standard)
        signal.pause()
    return pid


def stream(leases, wanted):
    log = os.open(wanted["log"], os.O_WRONLY | os.O_APPEND)
    for count in wanted["counts"]:
        with leases.acquire(count, nodeid=wanted["nodeid"], on_wait=lambda text: None) as lease:
            os.write(log, f"+ {os.getpid()} {','.join(lease.cards)}\n".encode())
            time.sleep(0.001)  # for others to come between, if they can
            os.write(log, f"- {os.getpid()} {','.join(lease.cards)}\n".encode())


if __name__ == "__main__":
    way, text = sys.argv[1:]
    wanted = json.loads(text)
    if "user" in wanted:
        become(wanted["user"])
    os.umask(wanted.get("umask", 0o077))
    leases = Leases(wanted["cards"], Path(wanted["directory"]))
    {"hold": hold, "stream": stream}[way](leases, wanted)
