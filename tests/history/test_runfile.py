"""Run files, written as tests end and read as far as they go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.figures import Timeline
from pytest_tfmem.history.recorded import Footer, Header, RecordedRun
from pytest_tfmem.history.rundocument import RunDocument, write_run_document
from pytest_tfmem.history.runfile import RunFileWriter, is_being_written, read_runs, run_lines
from pytest_tfmem.history.runlines import runs_of
from pytest_tfmem.history.series import history_of
from pytest_tfmem.history.slim import slim
from tests.history.stored import measured, of_gpus, recorded
from tests.history.test_rundocument import environments, measurements, runs

FIRST, SECOND = measured("test_a.py::test_first"), measured("test_a.py::test_é[1]")
NEWER, OLDER = "was written by a newer pytest-tfmem", "was written by a pytest-tfmem that is too old"
OTHER = "was written by another version of pytest-tfmem"
UPGRADE, READS = "upgrade pytest-tfmem to read it", "this one reads 'tfmem.run/1'"
DEEP = "maximum recursion depth exceeded while deserializing an object"
END = Footer(duration_seconds=2.5, exit_status=1, tests=2, ended=3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.jsonl"


def header_of(run):
    return Header(run=run.run, environment=run.environment)


def written(path, *tests, footer=END):
    """A file as a session writes it, and the run that stands in it."""
    run = recorded(1)
    with RunFileWriter(path, header_of(run)) as writer:
        for test in tests:
            writer.add(test)
        if footer:
            writer.finish(footer)
    return msgspec.structs.replace(run, tests=list(tests), footer=footer)


def refusal(path):
    with pytest.raises(TfmemError) as refused:
        read_runs(path)
    return str(refused.value).removeprefix(str(path))


def test_what_was_written_is_read(path):
    run = written(path, FIRST, SECOND)
    assert read_runs(path) == [run]
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [next(iter(line.items())) for line in lines] == [
        ("schema", "tfmem.run/1"),
        ("nodeid", FIRST.nodeid),
        ("nodeid", SECOND.nodeid),
        ("footer", "tfmem.end/1"),
    ]


def test_of_a_test_that_was_run_again_the_last_attempt_is_read_where_it_ended(path):
    again = measured(FIRST.nodeid, notes=["again"])
    run = written(path, FIRST, SECOND, again)
    assert read_runs(path) == [msgspec.structs.replace(run, tests=[SECOND, again])]


def test_a_file_that_is_there_is_never_written_over(path):
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        written(path, FIRST)
    assert path.read_text() == "mine"


def test_each_line_is_there_as_soon_as_it_is_written(path):
    run = recorded(1)
    with RunFileWriter(path, header_of(run)) as writer:
        for tests in ([], [FIRST], [FIRST, SECOND]):
            for test in tests[-1:]:
                writer.add(test)
            assert read_runs(path) == [msgspec.structs.replace(run, tests=tests, footer=None)]


def test_a_file_that_is_cut_off_anywhere_is_read_as_far_as_it_goes(path):
    run = written(path, FIRST, SECOND)
    content = path.read_bytes()
    ends = [place for place, byte in enumerate(content) if byte == ord("\n")]
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        whole = sum(end <= length for end in ends)  # a line without its end of line is whole, too
        expected = [
            msgspec.structs.replace(run, tests=run.tests[: max(whole - 1, 0)], footer=END if whole == 4 else None)
        ]
        assert read_runs(path) == (expected if whole else []), f"cut after {length} bytes"


def test_several_runs_may_stand_in_one_file(path):
    several = [recorded(1), recorded(2, complete=False), recorded(3)]
    path.write_bytes(b"".join(map(run_lines, several)))
    assert read_runs(path) == several


def test_run_documents_are_read_too_and_came_to_their_end(path):
    run = recorded(1, FIRST, SECOND).run
    run = msgspec.structs.replace(run, duration_seconds=7.5)
    document = RunDocument(run=run, environment=recorded(1).environment, tests=[FIRST, SECOND])
    write_run_document(path, document)
    expected = RecordedRun(
        run=run, environment=document.environment, tests=[FIRST, SECOND], footer=Footer(duration_seconds=7.5, tests=2)
    )
    assert read_runs(path) == [expected]
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=2))
    assert read_runs(path) == [expected]
    path.write_bytes(run_lines(recorded(2)) + msgspec.json.encode(document) + b"\n" + run_lines(recorded(3)))
    assert read_runs(path) == [recorded(2), expected, recorded(3)]


@given(
    run=st.builds(
        RecordedRun,
        run=runs,
        environment=environments,
        tests=st.lists(measurements, max_size=3, unique_by=lambda test: test.nodeid),
        footer=st.none() | st.builds(Footer, duration_seconds=st.floats(0, 9), tests=st.integers(0, 9)),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_any_run_is_read_as_it_was_written(tmp_path, run):
    path = tmp_path / "any.jsonl"
    path.write_bytes(run_lines(run))
    assert read_runs(path) == [run]
    assert history_of(runs_of(path, slim())) == history_of([run])


def test_what_no_json_can_hold_is_written_as_the_run_document_has_it(path):
    odd = measured(
        "test_a.py::test[\udc80\n]",
        phases={"call": {"seconds": float("nan"), "rss_bytes": 7}},
        timeline=Timeline(seconds=[0.0, float("inf")], rss_tree_bytes=[1, 2]),
    )
    written(path, odd)
    (test,) = read_runs(path)[0].tests
    assert test.nodeid == "test_a.py::test[\\udc80\n]"
    assert test.phases == {"call": {"rss_bytes": 7}}
    assert test.timeline == Timeline(seconds=[0.0], rss_tree_bytes=[1])


def test_a_series_needs_no_more_than_it_reads(path):
    tests = [measured(readings={"gpu": of_gpus(5, None, 7)}, allocator="bfc", runtime={"jit": "True"}), SECOND]
    run = written(path, *tests)
    assert history_of(runs_of(path, slim())) == history_of([run])
    assert history_of(runs_of(path, slim([SECOND.nodeid]))) == history_of(
        [msgspec.structs.replace(run, tests=[SECOND])]
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"schema":"tfmem.run/2","run":7}', f"{NEWER} (its schema is 'tfmem.run/2'); {UPGRADE}"),
        (b'{"schema":"tfmem.run/0"}', f"{OLDER} (its schema is 'tfmem.run/0'); {READS}"),
        (b'{"schema":"x\\u001b"}', "is not a run file: its schema is 'x\\x1b', not 'tfmem.run/1'"),
        (b'{"schema":["tfmem.run/1"]}', "is not a run file: its schema is ['tfmem.run/1'], not 'tfmem.run/1'"),
        (b'{"schema":"tfmem.run/1"}', "is not a run file: Object missing required field `run`"),
        (b'{"nodeid":"a"}', "is not a run file: no line '{\"schema\": \"tfmem.run/1\", ...' stands above"),
        (b'{"footer":"tfmem.end/1"}', "is not a run file: no line '{\"schema\": \"tfmem.run/1\", ...' stands above"),
        (b"{}", "is not a run file: no line '{\"schema\": \"tfmem.run/1\", ...' stands above"),
        (b"[]", "is not a run file: Expected `object`, got `array`"),
        (b"7", "is not a run file: Expected `object`, got `int`"),
        (b"hello", "is not valid JSON: JSON is malformed: invalid character (byte 0)"),
        (b"\x1f\x8b\x08\x00", "is not valid JSON: JSON is malformed: invalid character (byte 0)"),
        (b'{"schema":' + b"[" * 100_000, f"is not valid JSON: {DEEP}"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", [b"\n", b""])
def test_what_is_no_run_file_is_refused_in_one_line(path, line, said, end):
    path.write_bytes(line + end)
    if line == b'{"schema":"tfmem.run/1"}' or end:
        assert refusal(path) == f":1: {said}"
    else:
        assert refusal(path).startswith(":1: ")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"nodeid":7}', "is not a run file: Expected `str`, got `int` - at `$.nodeid`"),
        (b'{"nodeid":"half of', "is not valid JSON: JSON is malformed: invalid character (byte 18)"),
        (b'{"footer":"tfmem.end/2"}', f"{OTHER} (it ends in a 'tfmem.end/2'); {UPGRADE}"),
        (b'{"footer":7}', "is not a run file: Expected `str` - at `$.footer`"),
        (b'{"nodeid":"\xff"}',
         "is not valid JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ],
)  # fmt: skip
def test_a_line_in_the_middle_that_is_broken_is_told_with_its_place(path, line, said):
    run = recorded(1, FIRST, SECOND)
    lines = run_lines(run).splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1] + line + b"\n" + lines[2] + lines[3])
    assert refusal(path) == f":3: {said}"


def test_a_reading_that_is_wrong_is_told_with_its_path(path):
    run = recorded(1, FIRST)
    path.write_bytes(run_lines(run).replace(b'"bytes":1048576', b'"bytes":"much"'))
    assert refusal(path) == ":2: is not a run file: Expected `int`, got `str` - at `$.bytes` - at `$.readings[...]`"
    with pytest.raises(TfmemError, match=r":2: is not a run file: Expected `int . null`, got `str`"):
        list(runs_of(path, slim()))
    path.write_bytes(run_lines(run).replace(b'"bytes":1048576,', b""))
    with pytest.raises(TfmemError, match=r":2: is not a run file: Object missing required field"):
        list(runs_of(path, slim()))


def test_a_file_that_is_not_there_is_refused(path):
    assert refusal(path) == ": No such file or directory"
    path.mkdir()
    assert refusal(path) == ": Is a directory"


@given(content=st.binary(max_size=200), at=st.integers(0, 3000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_stands_in_a_file_it_is_read_or_refused(tmp_path, content, at):
    path = tmp_path / "any.jsonl"
    whole = run_lines(recorded(1, FIRST, SECOND))
    for anything in (content, whole[:at] + content + whole[at:], whole[:at] + content):
        path.write_bytes(anything)
        with suppress(TfmemError):
            read_runs(path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock")
def test_a_file_is_held_for_as_long_as_it_is_written(path):
    writer = RunFileWriter(path, header_of(recorded(1)))
    assert is_being_written(path)
    writer.close()
    assert not is_being_written(path)
    assert not is_being_written(path.with_name("nonesuch"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on a file's size")
def test_a_line_that_does_not_fit_leaves_nothing_of_itself(path):
    code = f"""
import resource, signal
from pathlib import Path
from tests.history.test_runfile import FIRST, header_of, recorded, RunFileWriter
writer = RunFileWriter(Path({str(path)!r}), header_of(recorded(1)))
writer.add(FIRST)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = Path({str(path)!r}).stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, size + 100))
try:
    writer.add(FIRST)
except OSError as fault:
    print(fault.strerror, writer.tests, Path({str(path)!r}).stat().st_size == size)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "File too large 1 True\n"
    assert read_runs(path) == [msgspec.structs.replace(recorded(1), tests=[FIRST], footer=None)]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_file_that_cannot_be_begun_is_not_left_there(path, monkeypatch):
    real = os.open
    made = []

    def full(name, flags, mode=0o777):
        made.append(real(name, flags, mode))  # the file is made, and then the disk is full
        return real("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="No space left on device"):
        RunFileWriter(path, header_of(recorded(1)))
    os.close(*made)
    assert not path.exists()
