"""The documentation as a site: `tox run -e docs`. Sphinx and MyST read the pages as GitHub does, links too."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "pytest-tfmem"
author = "The pytest-tfmem authors"
project_copyright = author

extensions = ["myst_parser"]
myst_heading_anchors = 4  # those that GitHub makes
highlight_language = "none"  # of blocks that name no language: what tools print
exclude_patterns = ["workflows"]

html_theme = "furo"  # fonts of the reader's system; nothing is loaded from elsewhere
html_title = project
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

# Pages of the repository that stand outside this folder, and where the site has them.
ELSEWHERE = {
    "README.md": "docs/index.md",
    "CHANGELOG.md": "docs/project/changes.md",
    "CONTRIBUTING.md": "docs/project/contributing.md",
    "benchmarks/README.md": "docs/project/benchmarks.md",
}
ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def setup(app: Sphinx) -> None:
    app.connect("source-read", lambda app, _page, text: lead(app, ROOT / "docs" / app.env.docname, text))
    app.connect("include-read", lambda app, path, _page, text: lead(app, ROOT / "docs" / path, text))


def lead(app: Sphinx, page: Path, text: list[str]) -> None:
    """Links of a page, relative to where it stands in the repository, lead to what the site has of it."""
    shown_in = (ROOT / "docs" / app.env.docname).parent

    def led(link: re.Match[str]) -> str:
        path = os.path.relpath(page.parent / link[1], ROOT)
        return os.path.relpath(ROOT / ELSEWHERE.get(path, path), shown_in)

    text[0] = LINK.sub(led, text[0])
