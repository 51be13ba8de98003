"""Code in a new interpreter, which may be forked and changed as pytest's own process may not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

_TOOLS = """
import json, os, sys

def tell(value):
    print(json.dumps(value), flush=True)

def in_fork(function, *arguments):
    '''What the function returns in a fork of this process.'''
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        with open(writing, "w") as file:
            file.write(json.dumps(function(*arguments)))
        os._exit(0)
    os.close(writing)
    with open(reading) as file:
        told = file.read()
    os.waitpid(pid, 0)
    return json.loads(told)
"""


def told(code, *arguments, flags=(), environment=None):
    """What `code` tells by `tell(value)`: the only value, or a list of all. It has to end well.

    `environment`: what is different in its own; None for what is not in it.
    """
    merged = {**os.environ, **(environment or {})}
    ran = subprocess.run(
        [sys.executable, *flags, "-c", _TOOLS + code, *map(str, arguments)],
        env={name: value for name, value in merged.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    values = [json.loads(line) for line in ran.stdout.splitlines()]
    return values[0] if len(values) == 1 else values
