"""By which start method a test's process comes to be, and why by another than was hoped for."""

from __future__ import annotations

import os
import sys
import time

import pytest

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate import starter as starting
from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.fitness import why_no_forkserver
from pytest_tfmem.isolate.order import Order
from pytest_tfmem.isolate.runtime import Runtime
from pytest_tfmem.isolate.starter import Starter
from tests.isolate.ended import has_ended

can_fork = pytest.mark.skipif(why_no_forkserver() != "", reason=why_no_forkserver() or "it can")

NOTES_ITS_IMPORT = "with open('imports', 'a') as file: file.write(f'{__name__} ')\n"
FIT = NOTES_ITS_IMPORT + "def test_it(): pass\n"
UNFIT = NOTES_ITS_IMPORT + (
    "import ctypes, threading\n"
    "def run():\n    ctypes.CDLL(None).prctl(15, b'mine', 0, 0, 0); begun.set(); threading.Event().wait()\n"
    "begun = threading.Event(); threading.Thread(target=run, daemon=True).start(); begun.wait()\n"
    "def test_it(): pass\n"
)
WHY_UNFIT = "test_a.py started threads when imported: 2 threads, among them mine"
BROKEN = NOTES_ITS_IMPORT + "raise ValueError('broken when imported')\n"


@pytest.fixture
def starter():
    """Makes starters, and closes them with all that they started."""
    made, started = [], []

    def make(method, preload=()):
        made.append(Starter(method, preload))
        plain_start = made[-1].start

        def start(order, deadline=None):
            started.append(plain_start(order, deadline))
            return started[-1]

        made[-1].start = start
        return made[-1]

    yield make
    for one in (*started, *made):
        one.close()


@pytest.fixture
def order(tmp_path):
    """An order for the only test of a file with this text."""

    def make(text, *, runtime=None, timeout_seconds=None):
        path = tmp_path / "test_a.py"
        path.write_text(text)
        start = wire.Start(
            test_id="test_a.py::test_it",
            ordinal=0,
            path=os.fsencode(path),
            arguments=[b"-p", b"no:cacheprovider", b"-p", b"no:randomly", b"--rootdir", os.fsencode(tmp_path)],
            argv=[b"pytest"],
            basetemp=os.fsencode(tmp_path / "base"),
            workerinput=None,
            runtime=runtime or Runtime(),
        )
        return Order(
            start=start,
            environment=os.environ,
            directory=tmp_path,
            search_path=tuple(sys.path),
            shows_output=False,
            interval_seconds=0.1,
            timeout_seconds=timeout_seconds,
            file="test_a.py",
            frameworks=frozenset(),
        )

    return make


def outcomes(started, order):
    """What comes of the order's test in the process that was started for it."""
    started.channel.send(order.start)
    reported = []
    while (message := started.channel.receive()) != wire.Done():
        if isinstance(message, wire.PhaseOver):
            started.channel.send(wire.Judged(""))
        if isinstance(message, wire.Reported):
            reported.append(message.report["outcome"])
    return reported


def imports(order):
    """How often the order's file has been imported."""
    path = order.directory / "imports"
    return len(path.read_text().split()) if path.exists() else 0


@pytest.mark.parametrize(
    ("method", "used"),
    [
        ("spawn", "spawn"),
        pytest.param("auto", "forkserver", marks=can_fork),
        pytest.param("forkserver", "forkserver", marks=can_fork),
    ],
)
def test_a_test_that_can_be_forked_is_started_as_the_method_says(starter, order, method, used):
    wanted = order(FIT)
    started = starter(method).start(wanted)
    assert (started.method, started.why_spawned) == (used, "")
    assert outcomes(started, wanted) == ["passed"] * 3


@can_fork
def test_a_file_is_imported_once_for_tests_that_are_forked(starter, order):
    wanted, auto = order(FIT), starter("auto")
    for _ in range(2):
        assert outcomes(auto.start(wanted), wanted) == ["passed"] * 3
    assert imports(wanted) == 1


@can_fork
def test_under_auto_a_test_that_is_not_fit_is_spawned_and_it_is_said_why(starter, order):
    wanted = order(UNFIT)
    started = starter("auto").start(wanted)
    assert (started.method, started.why_spawned) == ("spawn", WHY_UNFIT)
    assert outcomes(started, wanted) == ["passed"] * 3


@can_fork
def test_a_file_that_starts_a_process_when_it_is_imported_is_spawned(starter, order):
    # The tests of one module server would have had one process between them, and the first would have ended it.
    wanted = order(
        "import subprocess\ncat = subprocess.Popen(['/bin/cat'], stdin=subprocess.PIPE)\n"
        "def test_it():\n    cat.stdin.close()\n    assert cat.wait() == 0\n"
    )
    started = starter("auto").start(wanted)
    assert started.why_spawned == "test_a.py started processes when imported: 1 running, cat"
    assert outcomes(started, wanted) == ["passed"] * 3


@can_fork
def test_why_a_file_is_unfit_is_remembered(starter, order):
    wanted, auto = order(UNFIT), starter("auto")
    for _ in range(2):
        assert auto.start(wanted).why_spawned == WHY_UNFIT
        auto.close_file(wanted.start.path)
    assert imports(wanted) == 1


@can_fork
def test_nothing_is_made_ready_for_a_file_that_is_known_to_be_unfit(starter, order):
    wanted, auto = order(UNFIT), starter("auto")
    auto.open_file(wanted)
    assert [module.path for module in auto._servers._modules] == [wanted.start.path]
    auto.start(wanted)
    auto.close_file(wanted.start.path)
    auto.open_file(wanted)
    auto.expect(wanted)
    assert auto._servers._modules == []


@can_fork
def test_what_is_known_of_one_runtime_says_nothing_of_another(starter, order):
    auto = starter("auto")
    auto.start(order(UNFIT))
    assert auto.start(order(FIT, runtime=Runtime(intra_op_threads=1))).method == "forkserver"
    assert auto.start(order(FIT)).method == "spawn"


@can_fork
def test_under_forkserver_a_test_that_is_not_fit_is_an_error_each_time(starter, order):
    forkserver = starter("forkserver")
    for _ in range(2):
        with pytest.raises(TfmemError) as refused:
            forkserver.start(order(UNFIT))
        assert str(refused.value).splitlines()[0] == (
            f"--tfmem-start-method=forkserver is not possible for this test: {WHY_UNFIT}"
            "; with auto, such tests are spawned"
        )


@can_fork
def test_under_auto_a_file_that_cannot_be_collected_is_spawned_and_fails_there(starter, order):
    wanted = order(BROKEN)
    started = starter("auto").start(wanted)
    assert (started.method, started.why_spawned) == (
        "spawn",
        "test_a.py could not be collected for forking: its file could not be collected again in a fresh process",
    )
    assert outcomes(started, wanted) == []


@can_fork
def test_under_forkserver_a_file_that_cannot_be_collected_fails_with_what_pytest_says(starter, order):
    with pytest.raises(TfmemError) as failed:
        starter("forkserver").start(order(BROKEN))
    first, *rest = str(failed.value).splitlines()
    assert first == "its file could not be collected again in a fresh process"
    assert "E   ValueError: broken when imported" in rest


@can_fork
@pytest.mark.parametrize("method", ["auto", "forkserver"])
def test_a_file_that_takes_too_long_to_import_fails_in_time(starter, order, method):
    wanted = order("import signal; signal.pause()", timeout_seconds=2.5)
    with pytest.raises(TfmemError) as failed:
        starter(method).start(wanted, time.monotonic())
    assert str(failed.value) == "timeout: the test was still before setup after 2.5 s, and was ended"


@pytest.mark.parametrize("method", ["auto", "forkserver"])
def test_a_system_without_forkserver_is_told_with_its_reason(starter, order, monkeypatch, method):
    monkeypatch.setattr(starting, "why_no_forkserver", lambda: "this system is too old")
    wanted, made = order(FIT), starter(method)
    made.warm_up(wanted)
    made.open_file(wanted)
    made.expect(wanted)
    made.close_file(wanted.start.path)
    if method == "forkserver":
        with pytest.raises(TfmemError, match="is not possible for this test: this system is too old"):
            made.start(wanted)
    else:
        started = made.start(wanted)
        assert (started.method, started.why_spawned) == ("spawn", "this system is too old")


@can_fork
@pytest.mark.parametrize(
    ("method", "preload", "guesses"),
    [("auto", None, True), ("forkserver", None, True), ("auto", ["json"], False), ("auto", [], False)],
)
def test_frameworks_have_to_be_guessed_where_nobody_has_said_what_to_preload(starter, method, preload, guesses):
    assert starter(method, preload).guesses_frameworks is guesses


def test_they_have_not_where_every_test_is_spawned(starter):
    assert starter("spawn", None).guesses_frameworks is False


@can_fork
def test_a_module_that_cannot_be_preloaded_is_the_reason(starter, order):
    assert starter("auto", ["nowhere_at_all"]).start(order(FIT)).why_spawned == (
        "nowhere_at_all could not be imported ahead (ModuleNotFoundError: No module named 'nowhere_at_all')"
    )


@can_fork
def test_a_spare_process_is_there_before_its_test_and_is_taken_for_it(starter, order):
    wanted, auto = order(FIT), starter("auto")
    auto.start(wanted)
    auto.expect(wanted)
    (module,) = auto._servers._modules
    spare = module._spare
    assert spare is not None
    assert auto.start(wanted) is spare
    assert outcomes(spare, wanted) == ["passed"] * 3


@can_fork
def test_to_close_is_to_end_all_that_was_started_for_tests_to_come(starter, order):
    wanted, auto = order(FIT), starter("auto")
    auto.start(wanted)
    auto.expect(wanted)
    (server,) = auto._servers._servers
    auto.close()
    assert has_ended(server.process.pid)
    assert auto._servers._modules == []
    auto.close()
