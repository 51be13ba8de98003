"""The exit statuses of the command `tfmem`."""

from __future__ import annotations

OK = 0
FOUND = 1
USAGE = 2
UNDECIDED = 3
WRONG_FILE = 4  # as pytest ends for the same mistake
INTERRUPTED = 130  # what a shell says of a program that Ctrl-C ended
