"""Which files are a checkout's own. Loaded in tests' processes, whose memory is measured: it imports little."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_INSTALLED = frozenset({"site-packages", "dist-packages"})


def is_own(path: str, top: Path) -> bool:
    """Whether a file or folder is one of the checkout's own: in it, but not in an environment that lies in it."""
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(top):
        return False
    inside = real.relative_to(top)
    prefix = Path(os.path.realpath(sys.prefix))
    in_environment = prefix != top and prefix.is_relative_to(top) and real.is_relative_to(prefix)
    return not (in_environment or _INSTALLED.intersection(inside.parts))


def foreign_modules(top: Path, tree: Path) -> list[tuple[str, str]]:
    """The loaded modules that are the checkout's and not the work tree's, with their files."""
    loaded = [(name, getattr(module, "__file__", None)) for name, module in list(sys.modules.items())]
    return [(name, path) for name, path in loaded if isinstance(path, str) and _is_foreign(path, top, tree)]


def _is_foreign(path: str, top: Path, tree: Path) -> bool:
    return is_own(path, top) and not Path(os.path.realpath(path)).is_relative_to(tree)
