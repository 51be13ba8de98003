"""A real browser for tests of pages: headless Chromium, and what it had to say of a page.

TFMEM_TEST_BROWSER=required: where there is none, the tests fail instead of being skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, until the block ends. Skips, or fails where a browser is required, if there is none."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _without("playwright is not installed")
    if program is None:
        _without("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        # --no-sandbox: tests may run as root, in containers. The pages are our own.
        # /tmp: the path of its socket may have a hundred characters, and a test's own temporary folder many of them.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"], env={**os.environ, "TMPDIR": "/tmp"}
        )
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One page, opened in a context of its own: what it complains about, and what it asks the network for."""

    def __init__(self, browser: Browser, url: str, **context: object) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._context = browser.new_context(**context)
        self.page: Page = self._context.new_page()
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", self._dismissed)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    @property
    def requests_elsewhere(self) -> list[str]:
        """What was asked of any other place than files and the page itself."""
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]

    def close(self) -> None:
        self._context.close()

    def _dismissed(self, dialog: object) -> None:
        self.errors.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _without(why: str) -> None:
    if os.environ.get("TFMEM_TEST_BROWSER") == "required":
        pytest.fail(f"TFMEM_TEST_BROWSER=required: {why}", pytrace=False)
    pytest.skip(why)
