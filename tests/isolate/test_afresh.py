"""A fork keeps nothing of what its parent would do at its end, and does what it has to do at its own."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from tests.isolate.fresh import told

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")

TOOLS = """
import atexit, io, signal, tempfile, threading, weakref
from pathlib import Path
from pytest_tfmem.isolate import afresh

def note(word):
    with open(sys.argv[1], "a") as file:
        file.write(word + "\\n")

class Thing:
    pass

def fork_and_end(function=lambda: None, *, inherited=()):
    '''A fork that calls the function and ends itself; its wait status.'''
    pid = os.fork()
    if pid == 0:
        try:
            afresh.forget_inherited_ends()
            function()
            afresh.end(inherited=inherited)
        finally:
            os._exit(99)
    return os.waitpid(pid, 0)[1]
"""


@pytest.fixture
def noted(tmp_path):
    """What code notes in a new interpreter and its forks, in order; `sys.argv[2]` is a file that is not there yet."""

    def run(code):
        told(TOOLS + dedent(code), tmp_path / "notes", tmp_path / "file")
        notes = tmp_path / "notes"
        return notes.read_text().splitlines() if notes.exists() else []

    return run


def told_by(code, *arguments):
    return told(TOOLS + dedent(code), *arguments, environment={"PYTHONUNBUFFERED": None})


def test_what_was_to_be_done_at_the_parents_end_is_done_at_the_parents_alone(noted):
    assert noted("""
        atexit.register(note, "atexit of the parent")
        thing = Thing()
        finalizer = weakref.finalize(thing, note, "finalizer of the parent")
        fork_and_end(lambda: note("fork"))
        note("parent")
    """) == ["fork", "parent", "finalizer of the parent", "atexit of the parent"]


def test_what_a_fork_registers_is_done_at_its_own_end(noted):
    assert noted("""
        thing = Thing()
        weakref.finalize(thing, note, "of the parent")

        def register():
            global mine
            mine = Thing()
            weakref.finalize(mine, note, "finalizer of the fork")
            atexit.register(note, "atexit of the fork")

        fork_and_end(register)
    """) == ["atexit of the fork", "finalizer of the fork", "of the parent"]


def test_a_finalizer_of_the_parent_is_called_in_a_fork_when_its_object_goes(noted):
    assert noted("""
        thing = Thing()
        weakref.finalize(thing, note, "gone")

        def drop():
            global thing
            del thing
            note("dropped")

        fork_and_end(drop)
        del thing
    """) == ["gone", "dropped", "gone"]


def test_log_handlers_are_flushed_at_a_forks_end(noted):
    assert noted("""
        import logging, logging.handlers

        class Noting(logging.Handler):
            def emit(self, record):
                note(record.getMessage())

        handler = logging.handlers.MemoryHandler(10, target=Noting())
        fork_and_end(lambda: logging.getLogger().addHandler(handler) or logging.warning("of the fork"))
        note("parent")
    """) == ["of the fork", "parent"]


def test_a_fork_ends_well_though_a_handler_fails():
    assert told_by("tell(fork_and_end(lambda: (atexit.register(int, 'x'), atexit.register(print, end=''))))") == 0


def test_a_fork_waits_for_its_threads_and_then_does_what_is_to_be_done_at_its_end(noted):
    # The thread outlasts the main one, however long it takes.
    assert noted("""
        def start():
            threading.Thread(target=lambda: (threading.main_thread().join(), note("thread"))).start()
            atexit.register(note, "atexit")

        fork_and_end(start)
    """) == ["thread", "atexit"]


def test_a_fork_does_not_wait_for_a_daemon(noted):
    assert (
        noted("fork_and_end(lambda: threading.Thread(target=threading.Event().wait, daemon=True).start())\nnote('end')")
    ) == ["end"]


@pytest.mark.parametrize(
    "opened",
    [
        "open(sys.argv[2], 'w')",
        "open(sys.argv[2], 'w+')",
        "io.TextIOWrapper(open(sys.argv[2], 'wb'))",
        "io.TextIOWrapper(open(sys.argv[2], 'wb+'))",
    ],
)
def test_what_a_file_holds_back_that_nobody_closed_is_written(noted, tmp_path, opened):
    noted(f"""
        def write():
            global file
            file = {opened}
            file.write("held back")

        fork_and_end(write)
    """)
    assert (tmp_path / "file").read_text() == "held back"


@pytest.mark.parametrize("mode", ["wb", "wb+"])
def test_so_is_what_a_binary_file_holds_back(noted, tmp_path, mode):
    noted(f"""
        def write():
            global file
            file = open(sys.argv[2], "{mode}")
            file.write(b"held back")

        fork_and_end(write)
    """)
    assert (tmp_path / "file").read_text() == "held back"


def test_so_is_what_a_file_of_the_parents_holds_back(noted, tmp_path):
    noted("""
        import gc
        file = open(sys.argv[2], "w")
        writers = afresh.writers()
        gc.freeze()
        fork_and_end(lambda: file.write("held back"), inherited=writers)
    """)
    assert (tmp_path / "file").read_text() == "held back"


def test_a_file_that_cannot_be_written_keeps_no_other_from_being(noted, tmp_path):
    noted("""
        def write():
            global full, file
            full = open("/dev/full", "w")
            full.write("nowhere to go")
            file = open(sys.argv[2], "w")
            file.write("held back")

        fork_and_end(write)
    """)
    assert (tmp_path / "file").read_text() == "held back"


def test_what_is_held_back_is_written_though_garbage_was_collected_since(noted, tmp_path):
    noted("""
        import gc

        def write():
            global file
            file = open(sys.argv[2], "w")
            file.write("held back")
            gc.collect()

        fork_and_end(write)
    """)
    assert (tmp_path / "file").read_text() == "held back"


def test_what_claims_to_be_a_file_is_not_asked(noted):
    assert noted("""
        class Liar:
            @property
            def __class__(self):
                note("asked")
                return io.TextIOWrapper

        liar = Liar()
        note(str(any(type(one) is Liar for one in afresh.writers())))
    """) == ["False"]


def test_what_a_fork_prints_is_written():
    printed, status = told_by("""
        def say():
            sys.stdout.write('"printed"\\n')
            assert not sys.stdout.line_buffering
        tell(fork_and_end(say))
    """)
    assert (printed, status) == ("printed", 0)


def test_files_of_a_process_are_known_from_its_streams_and_pipes(tmp_path):
    assert told_by(
        """
        os.dup2(os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT), 2)
        known = afresh.own_files()
        file = open(sys.argv[1], "w")
        os.pipe(), os.dup(2), open("/dev/null"), os.open(sys.argv[2], os.O_RDONLY)
        now = afresh.own_files()
        tell([known, now == [file.fileno()]])
        """,
        tmp_path / "file",
        tmp_path / "errors",
    ) == [[], True]


OPENED = {
    "a file": "file = open(sys.argv[1], 'w+b', buffering=0)",
    "a file that is deleted": "file = open(sys.argv[1], 'w+b', buffering=0); os.unlink(sys.argv[1])",
    "a temporary file": "file = tempfile.TemporaryFile(buffering=0, dir=os.path.dirname(sys.argv[1]))",
    "a named temporary file": "file = tempfile.NamedTemporaryFile(buffering=0, dir=os.path.dirname(sys.argv[1]))",
}


@pytest.mark.parametrize("opened", OPENED.values(), ids=OPENED)
def test_a_file_that_is_opened_anew_has_a_position_of_its_own(tmp_path, opened):
    read_in_fork, position, content = told_by(
        f"""
        {opened}
        file.write(b"0123456789")
        file.seek(4)
        files = afresh.own_files()

        def read_on():
            afresh.reopen(files)
            return file.read(3).decode()

        read = [in_fork(read_on), in_fork(read_on)]
        position = file.tell()
        file.seek(0)
        tell([read, position, file.read().decode()])
        """,
        tmp_path / "file",
    )
    assert (read_in_fork, position, content) == (["456", "456"], 4, "0123456789")


def test_a_file_is_opened_anew_as_it_was(tmp_path):
    before, after, content = told_by(
        """
        import fcntl
        descriptor = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        os.write(descriptor, b"kept ")
        os.set_inheritable(other := os.open(sys.argv[1], os.O_RDONLY), True)

        def how():
            return [(fcntl.fcntl(one, fcntl.F_GETFL), os.get_inheritable(one)) for one in (descriptor, other)]

        def write_more():
            afresh.reopen(afresh.own_files())
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, b"and added")
            return how()

        tell([how(), in_fork(write_more), Path(sys.argv[1]).read_text()])
        """,
        tmp_path / "file",
    )
    assert after == before
    assert content == "kept and added"


def test_what_cannot_be_opened_anew_is_left_as_it_is():
    assert (
        told_by("""
        reading, writing = os.pipe()
        closed = os.dup(writing)
        os.close(closed)
        afresh.reopen([reading, writing, closed])
        os.write(writing, b"through")
        tell(os.read(reading, 7).decode())
    """)
        == "through"
    )


def test_a_process_can_call_itself_otherwise_and_knows_what_it_was_called():
    code = """
        comm = lambda: Path("/proc/self/comm").read_text().strip()
        first = comm()
        tell([first == afresh.call_itself("tfmem-file"), comm(), afresh.call_itself(first), comm() == first])
    """
    assert told_by(code) == [True, "tfmem-file", "tfmem-file", True]


def test_what_a_process_leaves_behind_becomes_the_adopters_child():
    # The orphan is asked for its parent when the one that started it has been reaped.
    is_adopted = told_by("""
        afresh.adopt_orphans()
        ask, answer = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                os.read(ask[0], 1)
                os.write(answer[1], str(os.getppid()).encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.write(ask[1], b"?")
        tell(int(os.read(answer[0], 20)) == os.getpid())
    """)
    assert is_adopted is True


def test_a_leader_has_a_session_and_a_group_of_its_own_and_writes_elsewhere(tmp_path):
    is_leader, buffered = told_by(
        """
        def lead():
            afresh.lead_a_session(
                os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
            )
            os.write(1, b"as a process")
            sys.stdout.write(" and by Python")
            sys.stdout.flush()
            os.write(2, b"an error")
            own = os.getpid()
            return [(os.getsid(0), os.getpgrp()) == (own, own), [sys.stdout.line_buffering, sys.stderr.line_buffering]]

        sys.stdout.reconfigure(line_buffering=True)
        tell(in_fork(lead))
        """,
        tmp_path / "output",
        tmp_path / "errors",
    )
    assert (is_leader, buffered) == (True, [False, True])
    assert (tmp_path / "output").read_text() == "as a process and by Python"
    assert (tmp_path / "errors").read_text() == "an error"


def test_coverage_measures_a_fork_apart_from_its_parent(tmp_path):
    coverage = pytest.importorskip("coverage")
    measured = tmp_path / "measured.py"
    measured.write_text("def before():\n    return 1\n\ndef inside():\n    return 2\n\ndef after():\n    return 3\n")
    settings = tmp_path / "coveragerc"
    settings.write_text(f"[run]\ndata_file = {tmp_path / 'data'}\nparallel = true\nsource = {tmp_path}\n")
    told(
        "import sys, coverage\ncoverage.process_startup()\n"
        f"{TOOLS}\nsys.path.insert(0, sys.argv[1])\nimport measured\n"
        "measured.before()\nfork_and_end(measured.inside)\nmeasured.after()\n",
        tmp_path,
        environment={"COVERAGE_PROCESS_START": str(settings), "COVERAGE_PROCESS_CONFIG": None},
    )
    lines = []
    for path in tmp_path.glob("data.*"):
        data = coverage.CoverageData(str(path))
        data.read()
        lines.append(sorted(data.lines(str(measured)) or ()))
    assert sorted(lines) == [[1, 2, 4, 7, 8], [5]]
