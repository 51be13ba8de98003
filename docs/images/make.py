"""The pictures of the page, made anew: `python docs/images/make.py`.

Takes the packages of the tests, Chromium and pngquant; the fonts are those of this machine.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 375, "height": 812}
# By name: light or dark, how large, and the end of the id of the test, or the place on the page, that is shown.
PICTURES = {
    "report-light": ("light", WIDE, ""),
    "report-dark": ("dark", WIDE, "#tests"),
    "report-test": ("light", {"width": 1280, "height": 1500}, "test_resnet.py::test_fit"),
    "report-phone": ("dark", NARROW, ""),
}


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from pytest_tfmem.page.render import page_of  # noqa: PLC0415  the path first
    from pytest_tfmem.page.shown import link_to_test  # noqa: PLC0415
    from tests.browsers import Visit, chromium  # noqa: PLC0415
    from tests.page.shown_off import shown_off  # noqa: PLC0415

    digest = shown_off()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        page = Path(folder, "report.html")
        page.write_text(page_of(digest), encoding="utf-8")
        for name, (scheme, viewport, ending) in PICTURES.items():
            ids = [told.test.nodeid for told in digest.tests if ending and told.test.nodeid.endswith(ending)]
            address = page.as_uri() + "".join(map(link_to_test, ids[:1]))
            with Visit(browser, address, viewport=viewport, color_scheme=scheme) as visit:
                if ids:
                    visit.page.locator(".chart .main-svg").first.wait_for(timeout=120_000)
                    visit.page.wait_for_timeout(3000)  # until both charts are drawn
                if ending.startswith("#"):
                    visit.page.locator(ending).evaluate("element => scrollTo(0, element.offsetTop - 70)")
                visit.page.screenshot(path=HERE / f"{name}.png")
            smaller(HERE / f"{name}.png")


def smaller(path: Path) -> None:
    """The picture with a palette, a third of its size, where there is a program for that."""
    program = shutil.which("pngquant")
    if program:
        subprocess.run([program, "--force", "--ext", ".png", "--quality", "80-98", str(path)], check=True)  # noqa: S603  ours


if __name__ == "__main__":
    main()
