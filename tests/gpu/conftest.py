"""A machine with GPUs for a test: a stand-in one (tests/gpu_stub), or with TFMEM_TEST_GPU=real the one that this is.

TFMEM_TEST_GPU=stub: what keeps the stand-in from being built fails the tests, instead of skipping them.
"""

from __future__ import annotations

import json
import os

import pytest

from tests.gpu.imported import Imported
from tests.gpu_stub.build import CannotBuildError
from tests.gpu_stub.machine import StubMachine, libraries

_ASKED = os.environ.get("TFMEM_TEST_GPU", "")


def pytest_configure():
    if _ASKED not in {"", "stub", "real"}:
        raise pytest.UsageError(f"TFMEM_TEST_GPU={_ASKED!r} is not known; it can be 'stub', 'real', or not set.")


def pytest_runtest_setup(item):
    if _ASKED == "real" and item.get_closest_marker("stub"):
        pytest.skip("TFMEM_TEST_GPU=real: this test is about the stand-in cards")


@pytest.fixture(scope="session")
def stub_libraries():
    """The folder of the stand-in libraries, built if need be."""
    try:
        return libraries()
    except CannotBuildError as problem:
        why_not = str(problem)
    if _ASKED == "stub":
        pytest.fail(why_not, pytrace=False)
    pytest.skip(why_not)


@pytest.fixture
def new_stub(stub_libraries, tmp_path_factory):
    """Makes stand-in machines: `new_stub(cards=[StubCard(...)], process_list="host", ...)`."""

    def make(**described):
        return StubMachine(tmp_path_factory.mktemp("machine"), **described)

    return make


@pytest.fixture
def stub(new_stub):
    """A stand-in machine with one card of 8 GiB."""
    return new_stub()


@pytest.fixture
def gpu_environment(request):
    """The variables by which a child process has a GPU: a stand-in one's, or none where the real one is used."""
    return {} if _ASKED == "real" else request.getfixturevalue("stub").environment()


@pytest.fixture(scope="session")
def imported():
    with Imported() as interpreters:
        yield interpreters


@pytest.fixture
def run_tensorflow(imported, tmp_path_factory):
    """Runs code in a process of its own with TensorFlow imported as `tf`; gives the value that it told last.

    The code tells by `tell(value)`, as JSON. It has to end well. `env`: variables beside the usual ones.
    """

    def run(code, *, env=None):
        merged = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(env or {})}
        ran = imported.run(code, merged, tmp_path_factory.mktemp("ran"))
        assert ran.returncode == 0, f"ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}"
        return json.loads(ran.stdout.splitlines()[-1])

    return run
