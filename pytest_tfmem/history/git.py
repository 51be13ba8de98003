"""What git says, or that it says nothing."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 20.0


def git(directory: Path, *arguments: str) -> str | None:
    """What git prints for these arguments in `directory`; None if there is no git, no repository, or it refuses.

    Nothing is changed by asking: not even the index is refreshed. No argument may be what a user wrote and begin with
    a dash.
    """
    try:
        done = subprocess.run(  # noqa: S603  no shell
            ["git", "--no-optional-locks", "-C", str(directory), *arguments],  # noqa: S607  whichever git the user has
            capture_output=True,
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
    except (OSError, ValueError, subprocess.SubprocessError):  # ValueError: an argument that holds a null character
        return None
    return done.stdout.decode(errors="replace")
