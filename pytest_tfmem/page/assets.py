"""What a page is made of beside its data: styles, scripts, the library that draws, and what the browser may run."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import zlib
from importlib.resources import files
from pathlib import Path

from pytest_tfmem.errors import TfmemError

# In the order in which they stand on the page: scripts use what stands above them.
STYLES = ("theme", "page", "findings", "table", "test", "narrow", "print")
SCRIPTS = ("format", "elements", "theme", "sparkline", "rows", "table", "charts", "figures", "test", "routing")

NOT_INSTALLED = "Jinja2 or plotly is not installed"
HOW_TO_INSTALL = "pip install 'pytest-tfmem[report]'"


def styles() -> str:
    return "\n".join(_text("styles", f"{name}.css") for name in STYLES)


def scripts() -> str:
    """All scripts as one, which leaves no names behind."""
    return "\n".join(["'use strict';", "(() => {", *(_text("scripts", f"{name}.js") for name in SCRIPTS), "})();"])


def drawing_library() -> bytes:
    """plotly.js, as the package `plotly` brings it. Raises TfmemError where that is not installed."""
    # Found, not imported: that takes half a second, and only this file of it is needed.
    found = importlib.util.find_spec("plotly")
    for folder in (found and found.submodule_search_locations) or ():
        path = Path(folder, "package_data", "plotly.min.js")
        if path.is_file():
            return path.read_bytes()
    raise TfmemError(NOT_INSTALLED, hint=HOW_TO_INSTALL)


def compressed(data: bytes) -> str:
    """The data in a third of its size, as the scripts take it from the page when a chart is first to be drawn."""
    return base64.b64encode(zlib.compress(data)).decode()


def policy(*trusted: bytes) -> str:
    """What the page may do: run these scripts, and nothing that asks the network for anything.

    Styles may stand in the page, for the library that draws sets them; they can load nothing either.
    """
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in trusted)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )


def _text(folder: str, name: str) -> str:
    return files("pytest_tfmem.page").joinpath(folder, name).read_text(encoding="utf-8")
