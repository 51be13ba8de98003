"""The ways in which a test's process can go wrong, one row each, with the sentence that the user sees."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

import pytest
from filelock import FileLock

from pytest_tfmem.measure.oom import oom_kills
from tests.faults.conftest import Ended, Project

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="it looks for what is left by way of /proc"),
    pytest.mark.long,  # the first that has the table, which is made once
]

MIB = 1 << 20
EVERYWHERE = ("setup", "call", "teardown")
KILLED = (
    "Failed: the test's process died of SIGKILL in {phase}: someone killed it; the kernel's count of out-of-memory"
    " kills did not change"
)
EXITED = (
    "Failed: the test's process ended by itself in {{phase}}, with exit status {status}, before the test was over;"
    " something in it called os._exit() or ended the process from native code"
)
TIMEOUT = "Failed: timeout: the test was still in {phase} after 1 s, and was ended"


class Row(NamedTuple):
    """A function of faults.py, called in each of `phases` of a test of its own.

    `sentence` is what the user sees of the phase that fails; empty if none does. `fails` is that phase where it is
    not the one of the fault; `fails_too` is another that fails.
    """

    fault: str
    sentence: str
    phases: tuple[str, ...] = EVERYWHERE
    fails: str = ""
    fails_too: str = ""
    timeout_seconds: int = 60

    def outcomes(self, phase: str) -> dict[str, str]:
        outcomes = {"setup": "passed", "call": "passed", "teardown": "passed"}
        if self.sentence:
            outcomes[self.fails or phase] = "failed"
            outcomes |= {self.fails_too: "failed"} if self.fails_too else {}
        if outcomes["setup"] == "failed":
            del outcomes["call"]
        return outcomes


ENDING = [
    Row("segfault", "Failed: the test's process died of SIGSEGV in {phase}: a segmentation fault in native code"),
    Row("kill_itself", KILLED),
    Row(
        "terminate_itself", "Failed: the test's process died of SIGTERM in {phase}: someone asked it to end", ("call",)
    ),
    Row("out_of_memory", "Failed: the kernel's out-of-memory killer ended the test's process in {phase}"),
    Row(
        "abort",
        "Failed: the test's process died of SIGABRT in {phase}: native code called abort(), as TensorFlow does when a"
        " check fails",
    ),
    Row("exit_at_once", EXITED.format(status=0)),
    Row("sys_exit", "SystemExit: 0"),
    Row(
        "crash_at_exit",
        "Failed: the test was over, but its process then died of SIGSEGV while it shut down",
        ("call",),
        fails="teardown",
    ),
    Row("bare_child_of_one_that_dies", KILLED, ("call",)),
    Row("half_a_message_then_death", KILLED, ("call", "teardown")),
    # It ends as a test may, but has things to report that cannot be sent as they are.
    Row("unserialisable_properties", "", ("setup", "call")),
    Row("hostile_exception", "faults.HostileError: <exception str() failed>", ("setup", "call")),
    Row("hostile_assertion", "AssertionError", ("call",)),
    Row("long_assertion", "AssertionError: " + "x" * 10 * MIB, ("call",)),
]

LASTING = [
    Row(
        "thread_without_end",
        "Failed: the test was over, but its process did not end within 1 s",
        ("call",),
        fails="teardown",
    ),
    Row("hang", TIMEOUT, timeout_seconds=1),
    Row("bare_children_of_one_that_hangs", TIMEOUT, ("call",), timeout_seconds=1),
    Row("hang_deaf", TIMEOUT, ("call",), timeout_seconds=1),
    Row("half_a_message_then_hang", TIMEOUT, ("call",), timeout_seconds=1),
    Row("flood", TIMEOUT, ("call",), timeout_seconds=1),
    # What it leaves behind is no fault, but is ended.
    Row("daemon_by_fork", ""),
    Row("daemon_by_exec", ""),
    Row("fork_that_runs_on", ""),
    Row("fork_that_raises", ""),
    # Output and descriptors.
    Row("gibibyte_of_output", "", ("call",)),
    Row("close_standard_streams", "", ("call",)),
    Row("close_stdout_object", "ValueError: I/O operation on closed file", ("call",), fails_too="teardown"),
    Row("close_all_descriptors", EXITED.format(status=1)),
    # The channel.
    Row("half_a_message_then_exit_of_a_forker", EXITED.format(status=3), ("call",)),
    Row("close_the_channel", EXITED.format(status=1), ("call",)),
    Row(
        "close_the_channel_and_hang",
        "Failed: the test's process closed its connection to pytest in {phase}, and was ended",
        ("call",),
    ),
    Row(
        "other_schema",
        "Failed: the test's process speaks version 99 of pytest-tfmem's messages and pytest version 3: two versions of"
        " pytest-tfmem are installed where tests look for it",
        ("call",),
    ),
    Row(
        "garbage",
        "Failed: the test's process sent something that is not a message of pytest-tfmem (MessagePack data is"
        " malformed: invalid opcode '\\xc1' (byte 0))",
        ("call",),
    ),
    Row(
        "text_of_another",
        "Failed: the test's process sent a message of 7522537965569712244 bytes, more than one may have",
        ("call",),
    ),
    Row("message_out_of_turn", "Failed: the test's process sent a message that is not its to send", ("call",)),
    Row(
        "report_that_is_none",
        "Failed: the test's process sent a report that pytest cannot read (KeyError: 'location')",
        ("call",),
    ),
]

# Two sessions, side by side.
CASES = [[(row, phase) for row in rows for phase in row.phases] for rows in (ENDING, LASTING)]

CONFTEST = """
import os, resource
from pathlib import Path
from pytest_tfmem.isolate import controller

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
controller.EXIT_SECONDS = 1.0  # for the rows that wait for it in vain
# Not the machine's count: other sessions of these tests, side by side, would change that.
controller.oom_kills = lambda: int(Path(os.environ["TFMEM_FAULTS_OOM"]).read_text().split("oom_kill ")[1].split()[0])
"""

TESTS = """
import faults
import pytest

@pytest.fixture
def around(request, fault, phase):
    if phase == "setup":
        getattr(faults, fault)(request)
    yield
    if phase == "teardown":
        getattr(faults, fault)(request)

@pytest.mark.parametrize("fault, phase", [
    {cases}
])
def test(request, around, fault, phase):
    if phase == "call":
        getattr(faults, fault)(request)
"""


def _case(row: Row, phase: str) -> str:
    marks = f"pytest.mark.memory_budget(timeout={row.timeout_seconds})"
    return f"pytest.param({row.fault!r}, {phase!r}, marks={marks}, id='{row.fault}-{phase}'),"


class Memory(NamedTuple):
    """Where there is little memory: a cgroup of 64 MiB, or none where there can be none, and its count of kills."""

    cgroup: str
    counter: Path


@contextlib.contextmanager
def _little_memory(folder: Path) -> Iterator[Memory]:
    for top, limit, counter in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.oom_control"),
        (Path("/sys/fs/cgroup"), "memory.max", "memory.events"),
    ):
        group = top / f"tfmem-faults-{secrets.token_hex(4)}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(64 * MIB))
        except OSError:
            group.rmdir()
            continue
        yield Memory(str(group), group / counter)
        group.rmdir()
        return
    simulated = folder / "counter"
    simulated.write_text("oom_kill 0\n")
    yield Memory("", simulated)


OTHERS = """
import ctypes, os, pytest

@pytest.mark.memory_budget
@pytest.mark.xfail(reason="known")
def test_crash_that_was_expected():
    ctypes.string_at(0)

@pytest.mark.memory_budget
@pytest.mark.xfail(raises=ValueError)
def test_crash_in_place_of_the_expected_error():
    ctypes.string_at(0)

@pytest.mark.memory_budget
@pytest.mark.parametrize("x", [1], ids=["a\\nb::c'\\"d\\N{PARTY POPPER}\\x1b[31m" + "x" * 4000])
def test_id(x, tmp_path):
    (tmp_path / "file").touch()

@pytest.mark.memory_budget(rss="1 MiB")
@pytest.mark.parametrize("x", [1], ids=["over\\n::\\x1b[31m"])
def test_id_over(x):
    pass

@pytest.mark.memory_budget
@pytest.mark.parametrize("x", [1, 2], ids=[f"of{os.getpid()}", "fixed"])
def test_id_that_differs(x):
    pass
"""

IMPORT_ERROR = """
import os, pytest

if "PYTEST_TFMEM_TOKEN" in os.environ:
    import no_such_module

@pytest.mark.memory_budget
def test_it():
    pass
"""

ATTRIBUTE = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if item.config.pluginmanager.hasplugin("tfmem-child"):
        report.foreign = object()
        report.number = 7
    return report
"""


class Table(NamedTuple):
    """Two projects and their sessions, each after its last test and still alive then.

    `kills`: the kernel's count of out-of-memory kills before and after, where they were not simulated.
    """

    projects: list[Project]
    ended: list[Ended]
    kills: list[int]

    def of(self, test: str) -> Any:
        """The session that had the test."""
        return next(ended for ended in self.ended if test in ended.reports)


@pytest.fixture(scope="module", params=["spawn", "forkserver"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Made once, whichever process is the first to need it: this file's tests may be spread over several."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    folder = shared / "faults" / request.param
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "made"
    with FileLock(folder / "lock"):
        projects = [Project(folder / name, request.param, mark=f"{folder}/{name}") for name in ("first", "second")]
        if not made.exists():
            with _little_memory(folder) as memory:
                made.write_text(json.dumps(_run(projects, memory)))
    known = json.loads(made.read_text())
    ended = [project.left(status) for project, status in zip(projects, known["statuses"], strict=True)]
    return Table(projects, ended, known["kills"])


def _run(projects: list[Project], memory: Memory) -> dict[str, list[int]]:
    for project, cases in zip(projects, CASES, strict=True):
        tests = TESTS.format(cases="\n    ".join(_case(row, phase) for row, phase in cases))
        project.write(conftest=CONFTEST, test_table=tests)
    unescaped = "disable_test_id_escaping_and_forfeit_all_rights_to_community_support"
    (projects[0].root / "pytest.ini").write_text(f"[pytest]\n{unescaped} = true\n")
    projects[0].write(
        test_others=OTHERS,
        test_import=IMPORT_ERROR,
        attribute__conftest=ATTRIBUTE,
        attribute__test_attribute="import pytest\n@pytest.mark.memory_budget\ndef test_it(): pass\n",
    )
    variables = {"TFMEM_FAULTS_CGROUP": memory.cgroup, "TFMEM_FAULTS_OOM": str(memory.counter)}
    options = ("-q", "-rA")
    kills = [oom_kills() or 0]
    started = [project.start(*options, f"--junitxml={project.seen / 'junit.xml'}", **variables) for project in projects]
    statuses = [project.ended(process).status for project, process in zip(projects, started, strict=True)]
    for pid in (pid for project in projects for pid in project.processes()):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return {"statuses": statuses, "kills": [*kills, oom_kills() or 0] if memory.cgroup else []}


@pytest.mark.parametrize(
    ("row", "phase"), [*CASES[0], *CASES[1]], ids=[f"{row.fault}-{phase}" for row, phase in [*CASES[0], *CASES[1]]]
)
def test_a_fault_has_its_sentence_and_leaves_nothing_behind(table: Table, row: Row, phase: str):
    test = _test(row.fault, phase)
    ended = table.of(test)
    assert ended.outcomes(test) == row.outcomes(phase)
    if row.sentence:
        sentence = row.sentence.format(phase=phase)
        # Where Python says it, one version ends it with a full stop.
        assert ended.text(test, row.fails or phase).removesuffix(".") == sentence
        assert sentence.removeprefix("Failed: ") in ended.output
    seen = ended.seen[test]
    assert seen.processes == []
    assert seen.descriptors_left == []


def test_no_fault_ends_the_session_or_leaves_a_file(table: Table):
    for ended in table.ended:
        assert ended.status == pytest.ExitCode.TESTS_FAILED
        assert "INTERNALERROR" not in ended.output
        assert [path for path in ended.temporary if "tfmem" in path] == []


@pytest.mark.parametrize("phase", EVERYWHERE)
def test_a_hanging_test_is_ended_with_all_it_started_within_a_second_of_its_timeout(table: Table, phase: str):
    test = _test("hang", phase)
    began = float(table.projects[1].noted(f"test[hang-{phase}]"))
    # Its timeout of 1 s counts from its setup, a little before it hangs.
    assert 0.5 < table.of(test).seen[test].ended_at - began < 2


@pytest.mark.parametrize("fault", ["bare_child_of_one_that_dies", "bare_children_of_one_that_hangs"])
def test_children_without_our_mark_are_ended_too(table: Table, fault: str):
    started = [pid for project in table.projects for pid in project.noted(f"test[{fault}-call]").split()]
    assert started
    alive = [pid for pid in started if "sleep" in _command(pid)]
    for pid in alive:
        os.kill(int(pid), signal.SIGKILL)
    assert alive == []


def test_a_hanging_test_shows_where_it_hung(table: Table):
    test = _test("hang", "call")
    sections = table.of(test).sections(test, "call")
    assert "in hang\n" in sections["Captured output of the test's process in call"]


def test_a_closed_stdout_that_stops_pytest_itself_is_shown_as_that(table: Table):
    test = _test("close_stdout_object", "call")
    ended = table.of(test)
    assert ended.text(test, "teardown").startswith(
        "Failed: pytest could not start, or not end, in the test's process\nTraceback (most recent call last):\n"
    )


def test_long_output_is_cut_and_says_so(table: Table):
    test = _test("gibibyte_of_output", "call")
    output = table.of(test).sections(test, "call")["Captured stdout call"]
    left_out = (1 << 30) - (4 << 20)
    assert output == "x" * (2 << 20) + f"\n[... {left_out} characters left out by pytest-tfmem ...]\n" + "x" * (2 << 20)


def test_the_controller_holds_little_of_long_output(table: Table):
    test = _test("gibibyte_of_output", "call")
    assert table.of(test).seen[test].peak_bytes < 128 * MIB


@pytest.mark.parametrize("phase", ["setup", "call"])
def test_what_cannot_be_sent_is_sent_as_a_text_of_it(table: Table, phase: str):
    test = _test("unserialisable_properties", phase)
    report = table.of(test).reports[test]["teardown"]
    found = {name: value for name, value in report["user_properties"] if not name.startswith("tfmem.")}
    assert found.pop("object").startswith("<object object at ")
    assert str(found.pop("nan")) == "nan"
    assert found == {
        "set": "{1}",
        "large": "1" + "0" * 40,
        "hostile": "<_Hostile whose text raises RuntimeError>",
        "surrogate": "a\\udc80b",
        "bytes": "b'\\xff'",
    }


def test_an_attribute_that_a_plugin_hangs_on_a_report_arrives_or_a_text_of_it_does(table: Table):
    report = table.ended[0].reports["attribute/test_attribute.py::test_it"]["call"]
    assert report["outcome"] == "passed"
    assert report["number"] == 7
    assert report["foreign"].startswith("<object object at ")


def test_the_machines_count_has_the_kills_of_a_cgroup(table: Table):
    if not table.kills:
        pytest.skip("no memory cgroup can be made here: those kills were simulated")
    before, after = table.kills
    assert after >= before + len(EVERYWHERE)


def test_junit_has_them_all(table: Table):
    for project, ended in zip(table.projects, table.ended, strict=True):
        suite = ET.parse(project.seen / "junit.xml").getroot()[0]
        assert int(suite.attrib["tests"]) >= len(ended.reports)


def test_a_crash_that_was_expected_is_an_xfail(table: Table):
    test = "test_others.py::test_crash_that_was_expected"
    assert table.ended[0].outcomes(test) == {"setup": "passed", "call": "skipped", "teardown": "passed"}
    assert table.ended[0].reports[test]["call"]["wasxfail"] == "known"


def test_a_crash_in_place_of_an_expected_error_is_a_failure(table: Table):
    test = "test_others.py::test_crash_in_place_of_the_expected_error"
    assert table.ended[0].text(test, "call") == ENDING[0].sentence.format(phase="call")


def test_a_test_may_have_any_id(table: Table):
    test = "test_others.py::test_id[a\nb::c'\"d\N{PARTY POPPER}\x1b[31m" + "x" * 4000 + "]"
    assert table.ended[0].outcomes(test) == {"setup": "passed", "call": "passed", "teardown": "passed"}


def test_an_id_is_shown_escaped(table: Table):
    output = table.ended[0].output
    summary = output[output.index("= memory budgets =") :]
    assert r"test_others.py::test_id_over[over\n::\x1b[31m]" in summary


def test_an_id_that_differs_between_collections_is_an_error_that_says_so(table: Table):
    ended = table.ended[0]
    test = next(test for test in ended.reports if "test_id_that_differs[of" in test)
    said, _, rest = ended.text(test, "setup").partition(" (the nearest found now is test_others.py::")
    assert said == f"Failed: {test} was not there when its file was collected again in a fresh process"
    assert rest.partition("); ")[2] == (
        "a test's id has to be the same at every collection: no random numbers, times, addresses or process ids in it"
    )
    assert ended.outcomes("test_others.py::test_id_that_differs[fixed]")["call"] == "passed"


def test_an_import_error_in_the_second_collection_is_shown(table: Table):
    text = table.ended[0].text("test_import.py::test_it", "setup")
    assert text.startswith("Failed: its file could not be collected again in a fresh process\nImportError while ")
    assert "E   ModuleNotFoundError: No module named 'no_such_module'" in text


def _command(pid: str) -> str:
    """Empty for one that has ended, or has only to be reaped."""
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_text() if path.exists() else ""


def _test(fault: str, phase: str) -> str:
    return f"test_table.py::test[{fault}-{phase}]"
