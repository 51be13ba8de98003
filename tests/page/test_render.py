"""A page is one file that trusts nothing in it but its own scripts, and says in a line what it needs to be made."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import zlib
from html import unescape

import pytest

from pytest_tfmem.page.assets import drawing_library
from pytest_tfmem.page.render import page_of
from tests.page.shown_off import shown_off


@pytest.fixture(scope="module")
def page():
    return page_of(shown_off(tests=3, runs=2))


def hashed(script):
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"


def test_the_policy_trusts_the_pages_own_script_and_the_library_and_nothing_of_the_network(page):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    rules = dict(rule.split(" ", 1) for rule in unescape(policy).split("; "))
    assert rules == {
        "default-src": "'none'",
        "script-src": f"{hashed(script.encode())} {hashed(drawing_library())}",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_library_that_draws_is_there_once_and_whole(page):
    (packed,) = re.findall(r'<script type="text/plain" id="library">([^<]+)</script>', page)
    assert zlib.decompress(base64.b64decode(packed)) == drawing_library()


def test_the_page_names_no_address_but_those_of_its_run(page):
    found = set(re.findall(r"(?:src|href|action)=[\"']?(?!#|data:)([^\"' >]+)", page.partition("<script")[0]))
    assert found == {"https://example.org/runs/1"}


@pytest.mark.parametrize("missing", ["jinja2", "plotly"])
def test_without_the_extra_one_line_says_what_is_missing(missing):
    script = f"""
import sys
sys.modules[{missing!r}] = None
from pytest_tfmem.digest.model import Digest
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.page.render import page_of
try:
    page_of(Digest(weight="fine", sentence="a"))
except TfmemError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "Jinja2 or plotly is not installed; pip install 'pytest-tfmem[report]'\n"


def test_making_a_page_imports_no_plotly():
    script = (
        "import sys; from pytest_tfmem.page.assets import drawing_library as d; d(); print('plotly' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "False\n"
