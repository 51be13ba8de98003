"""What must never be green: tests over their limits, and tests whose bodies have not run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pytest_tfmem.settings.options import START_METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks for what is left by way of /proc")

NOT_RUN = "Failed: the test's process came to its end without having run the test"
NOT_FOUND = (
    "Failed: {name}/test_{name}.py::test_it was not there when its file was collected again in a fresh process"
    " (0 other tests were found); a test's id has to be the same at every collection: no random numbers, times,"
    " addresses or process ids in it"
)


class Canary(NamedTuple):
    """A test that must fail, for what its folder's conftest or the head of its file does in the test's process."""

    name: str
    sentence: str
    conftest: str = ""
    head: str = ""
    limit: str = "1 GiB"

    @property
    def test(self) -> str:
        return f"{self.name}/test_{self.name}.py::test_it"


CONTROL = Canary("control", "")

CANARIES = [
    Canary("over", "MemoryBudgetExceeded: memory budget exceeded: rss ", limit="1 MiB"),
    Canary(
        "deselected",
        NOT_FOUND.format(name="deselected"),
        conftest="""
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if config.pluginmanager.hasplugin("tfmem-child"):
        items.clear()
""",
    ),
    Canary(
        "deselected_late",
        NOT_RUN,
        conftest="""
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if config.pluginmanager.hasplugin("tfmem-child"):
        items.clear()
""",
    ),
    Canary(
        "exchanged",
        "Failed: another test came to run in its place\nexchanged/test_exchanged.py::test_other",
        conftest="""
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if config.pluginmanager.hasplugin("tfmem-child") and items and "exchanged" in items[0].nodeid:
        items[:] = [pytest.Function.from_parent(items[0].parent, name="test_other", callobj=lambda: None)]
""",
    ),
    Canary(
        "protocol_swallowed",
        NOT_RUN,
        conftest="""
def pytest_runtest_protocol(item):
    return True if item.config.pluginmanager.hasplugin("tfmem-child") else None
""",
    ),
    Canary(
        "reports_made_up",
        "Failed: the test's process reported that setup passed, which it has not run: some plugin runs tests itself",
        conftest="""
import pytest

def pytest_runtest_protocol(item):
    if item.config.pluginmanager.hasplugin("tfmem-child"):
        for when in ("setup", "call", "teardown"):
            report = pytest.TestReport(item.nodeid, item.location, {}, "passed", None, when)
            item.ihook.pytest_runtest_logreport(report=report)
        return True
""",
    ),
    # See ROOT_CONFTEST.
    Canary("usage_error", NOT_RUN),
    Canary(
        "skipped_module",
        NOT_FOUND.format(name="skipped_module"),
        head="import os, pytest\n"
        "if 'PYTEST_TFMEM_TOKEN' in os.environ: pytest.skip('not twice', allow_module_level=True)\n",
    ),
    Canary(
        "exit_at_import",
        "Failed: the test's process ended by itself before setup, with exit status 0, before the test was over;"
        " something in it called os._exit() or ended the process from native code",
        head="import os\nif 'PYTEST_TFMEM_TOKEN' in os.environ: os._exit(0)\n",
    ),
]

ROOT_CONFTEST = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    if config.pluginmanager.hasplugin("tfmem-child") and "usage_error" in str(config.args):
        raise pytest.UsageError("not like this")
"""

TEST = """{head}
import os, pytest

@pytest.mark.memory_budget(rss="{limit}")
def test_it():
    open(os.environ["TFMEM_FAULTS_SEEN"] + "/ran-{name}", "a").write("x")
"""


@pytest.fixture(
    scope="module",
    params=[(method, spread) for method in START_METHODS for spread in ("here", "spread")],
    ids="-".join,
)
def session(request: pytest.FixtureRequest, new_project: Callable[[], Any]) -> tuple[Any, Any]:
    """A project of canaries and its session that is over, by each start method, with pytest-xdist and without."""
    method, spread = request.param
    project = new_project(method).write(conftest=ROOT_CONFTEST)
    for canary in (CONTROL, *CANARIES):
        text = TEST.format(head=canary.head, limit=canary.limit, name=canary.name)
        project.write(**{f"{canary.name}__conftest": canary.conftest, f"{canary.name}__test_{canary.name}": text})
    options = ["-pxdist", "-n2"] if spread == "spread" else []
    return project, project.run("-q", *options)


def test_one_that_keeps_its_budget_and_whose_body_runs_is_green(session):
    project, ended = session
    assert ended.outcomes(CONTROL.test) == {"setup": "passed", "call": "passed", "teardown": "passed"}
    assert project.noted("ran-control") == "x"


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name)
def test_a_canary_is_red(session, canary: Canary):
    project, ended = session
    outcomes = ended.outcomes(canary.test)
    phase = next(when for when, outcome in outcomes.items() if outcome == "failed")
    assert ended.text(canary.test, phase).startswith(canary.sentence)
    assert ended.status == 1
    # Of the body nothing has been run, except that which has used too much.
    assert (phase, project.noted(f"ran-{canary.name}")) == (("call", "x") if canary.name == "over" else ("setup", ""))


def test_canaries_leave_nothing_running_nothing_open_and_no_file(session):
    _, ended = session
    assert {test: seen.processes for test, seen in ended.seen.items() if seen.processes} == {}
    assert len(ended.seen) == 1 + len(CANARIES)
    assert [seen.descriptors_left for seen in ended.seen.values() if seen.descriptors_left] == []
    assert [path for path in ended.temporary if "tfmem" in path] == []
