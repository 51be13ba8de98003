"""pytest's hooks, each an adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_tfmem import allocators, settings
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate import identity
from pytest_tfmem.session import KEY, TfmemSession, asks_for_itself
from pytest_tfmem.settings import options
from pytest_tfmem.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_tfmem.fixture import Tfmem
    from pytest_tfmem.reporting import Outcome
    from pytest_tfmem.testrun import TestRun

_RUN: pytest.StashKey[TestRun] = pytest.StashKey()
_GATED: pytest.StashKey[bool] = pytest.StashKey()
_TIMEOUT: pytest.StashKey[float] = pytest.StashKey()
_OUTCOME: pytest.StashKey[Outcome] = pytest.StashKey()
_BACKSTOP_SECONDS = 5.0  # the child's own pytest-timeout comes first, and says more
_CHILD_PLUGIN = "tfmem-child"  # isolate.child_plugin.PLUGIN_NAME, not imported for it
_MARKER_LINES = (
    (
        "memory_budget(*, <figure>=<size>, level='error', timeout=None, warmup=None, calls=None): run the test in a"
        " fresh process; fail it if a figure (rss, rss_growth, rss_anon, rss_tree, gpu, gpu_tensors, gpu_reserved,"
        " gpu_footprint, cpu_tensors, leak) passes its limit; gpu_tensors=True: measure it without one; calls=50:"
        " measure leak without one"
    ),
    (
        "tf_runtime(*, allocator, memory_limit, gpus, jit, precision, cpu_allocator, logical_devices, intra_op_threads,"
        " inter_op_threads, env): run the test in a fresh process with this TensorFlow runtime"
    ),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.declare(parser)


def pytest_configure(config: pytest.Config) -> None:
    for line in _MARKER_LINES:
        config.addinivalue_line("markers", line)
    if config.pluginmanager.hasplugin(_CHILD_PLUGIN):
        return  # this is a test's process: nothing is isolated or summed up here
    try:
        session = TfmemSession(config, settings.read_settings(config))
        if session.settings.update:
            from pytest_tfmem.upkeep.keeper import keep_up  # noqa: PLC0415  only where it is asked for

            keep_up(session, config)
    except TfmemError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[KEY] = session
    if session.isolates:
        config.pluginmanager.register(Gate(session), "tfmem-gate")
        config.pluginmanager.register(Shield(), "tfmem-shield")  # after Gate, so that it is called around it
    else:
        config.pluginmanager.register(InProcess(session), "tfmem-in-process")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Summary(session, config), "tfmem-summary")
        if config.pluginmanager.hasplugin("html") and config.getoption("htmlpath", None):  # of pytest-html
            from pytest_tfmem.htmlreport import HtmlReport  # noqa: PLC0415  only where there is a page to add to

            config.pluginmanager.register(HtmlReport(session), "tfmem-html")


def pytest_itemcollected(item: pytest.Item) -> None:
    identity.remember(item)
    if asks_for_itself(item) and item.config.pluginmanager.hasplugin(_CHILD_PLUGIN):
        import pytest_tfmem.fixture.making  # noqa: F401, PLC0415  now: it is not to count in the test's setup


@pytest.hookimpl(trylast=True)  # so that a test's id ends in the allocator's name
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = metafunc.definition.iter_markers("tf_runtime")
    named = next((mark.kwargs["allocator"] for mark in marks if "allocator" in mark.kwargs), None)
    # Any other list is wrong, and an error of the test: pytest would skip one of an empty list.
    if isinstance(named, (list, tuple)) and 0 < len(set(map(str, named))) == len(named):
        metafunc.fixturenames.append(allocators.FIXTURE)
        marked = [pytest.param(name, marks=pytest.mark.tf_runtime(allocator=name), id=str(name)) for name in named]
        metafunc.parametrize(allocators.FIXTURE, marked, indirect=True)


@pytest.fixture(name=allocators.FIXTURE)
def _allocator(request: pytest.FixtureRequest) -> object:
    return request.param


@pytest.fixture
def tfmem(request: pytest.FixtureRequest) -> Tfmem:
    """The test's own view of its memory: sections, checkpoints, limits known only at run time, functions measured.

    A test that asks for it runs in a fresh process.
    """
    from pytest_tfmem.fixture.making import made_for  # noqa: PLC0415  only where a test asks for it

    return made_for(request, child=request.config.pluginmanager.get_plugin(_CHILD_PLUGIN))


class _CarriedOutElsewhere(Exception):  # noqa: N818  not an error: the phase has been carried out by the child
    pass


class Gate:
    """Carries out the phases of isolated tests in a process of their own, in place of every other plugin.

    Raising before its `yield`, a wrapper keeps all that it wraps from being called; Shield takes what was raised for
    the success that it is. So pytest's own protocol, and those who wrap it, go on as if the phase had run here.
    """

    def __init__(self, session: TfmemSession) -> None:
        self._session = session
        self._running: pytest.Item | None = None
        self._following: pytest.Item | None = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if self._session.may_warm_up:
            self._session.ahead.collected(report.result)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self._session.may_warm_up and not hasattr(session.config, "workerinput"):
            # A worker of pytest-xdist is told later which of them it is to run.
            self._session.ahead.all_collected(session.items)

    @pytest.hookimpl(wrapper=True, trylast=True)  # within pytest-cov, which puts together what tests have written
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            self._session.run_is_over()

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # around whoever owns the protocol (pytest-rerunfailures)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        self._running, self._following = item, nextitem
        try:
            return (yield)
        finally:
            self._end_attempt(item)
            if _GATED in item.stash:
                self._session.ahead.ended(item)

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # around every other plugin's part in the phase
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        if not self._session.wants(item):
            return (yield)
        self._end_attempt(item)  # of an attempt before this one
        item.stash[_GATED] = True
        _skip_if_marked(item)
        run = item.stash[_RUN] = self._session.start(item)
        if _TIMEOUT in item.stash:
            run.allow(item.stash[_TIMEOUT] + _BACKSTOP_SECONDS)
        self._session.ahead.started(item, self._following)
        self._carry_out(item, "setup")

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # the same
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        if _RUN not in item.stash:
            return (yield)
        self._carry_out(item, "call")

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # the same
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        if _GATED not in item.stash:
            return (yield)
        # pytest's own teardown of what other tests have set up here and no later test needs. The other plugins had
        # no part in this test's setup.
        _hook_of(item, "pytest_runtest_teardown", "runner")(item=item, nextitem=nextitem)
        if _RUN not in item.stash:
            raise _CarriedOutElsewhere
        self._carry_out(item, "teardown")

    @pytest.hookimpl(tryfirst=True)  # before whoever shows, writes or sends what stands in it
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        run = self._running.stash.get(_RUN, None) if self._running is not None else None
        if run is not None:
            run.tells(report)

    def pytest_sessionfinish(self) -> None:
        self._session.close()

    @pytest.hookimpl(tryfirst=True)  # before pytest makes a report of what happened here
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport | None:
        run = item.stash.get(_RUN, None)
        if run is None or run.report is None:
            return None
        if run.report.failed:
            from pytest_tfmem.reporting import stand_in  # noqa: PLC0415  a session that isolates nothing does not load it

            call.excinfo = stand_in(run.report)
        return run.report

    @pytest.hookimpl(optionalhook=True, tryfirst=True)  # of pytest-timeout, in place of its own timers
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> bool | None:
        if not self._session.wants(item):
            return None
        item.stash[_TIMEOUT] = settings.timeout
        return True

    def _carry_out(self, item: pytest.Item, phase: Any) -> NoReturn:
        try:
            item.stash[_RUN].run(phase)
        except pytest.fail.Exception:
            # The process ended badly. Have pytest look at the xfail marks, by which it will judge that.
            _hook_of(item, "pytest_runtest_call", "skipping")(item=item)
            raise
        raise _CarriedOutElsewhere

    def _end_attempt(self, item: pytest.Item) -> None:
        run = item.stash.get(_RUN, None)
        if run is not None:
            del item.stash[_RUN]
            self._session.ended(run)


class Shield:
    """Called around Gate and everyone else."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # around Gate
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        return (yield from _success_of_gate())

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # the same
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        return (yield from _success_of_gate())

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # the same
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        return (yield from _success_of_gate())

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # around those who would judge again what the child has judged
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        run = item.stash.get(_RUN, None)
        if run is None:
            return (yield)
        judged = run.judgement()
        report = yield
        if judged is not None:
            judged.restore(report)
            call.excinfo = None  # it was not raised here: nobody is to debug it here
        if call.when == "teardown":
            run.put_on(report)
        return report


class InProcess:
    """Says of tests that would be measured that they are not, where they run in pytest's own process."""

    def __init__(self, session: TfmemSession) -> None:
        self._session = session

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.outcome != "passed" and item.stash.get(_OUTCOME, "passed") != "failed":
            item.stash[_OUTCOME] = report.outcome
        if call.when == "teardown" and self._session.wants(item):
            self._session.put_unmeasured(item, report, item.stash.get(_OUTCOME, "passed"))
        return report


def _success_of_gate() -> Generator[None, object, object]:
    try:
        return (yield)
    except _CarriedOutElsewhere:
        return None


def _skip_if_marked(item: pytest.Item) -> None:
    """Let pytest evaluate the marks skip and skipif here: a test that is skipped needs no process."""
    if item.get_closest_marker("skip") or item.get_closest_marker("skipif"):
        _hook_of(item, "pytest_runtest_setup", "skipping")(item=item)


def _hook_of(item: pytest.Item, hook: str, plugin: str) -> Any:
    """The hook as one plugin of pytest's implements it."""
    manager = item.config.pluginmanager
    others = [other for other in manager.get_plugins() if other is not manager.get_plugin(plugin)]
    return manager.subset_hook_caller(hook, remove_plugins=others)
