"""A file written whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace_whole(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Have the file at `path` hold `content`, so that it never holds half of it. `mode`: the one that it is to have.

    Raises OSError, having removed what it made.
    """
    # In the same directory: only there does os.replace replace at once.
    temporary = path.with_name(f".tfmem-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
