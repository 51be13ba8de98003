"""What makes a process unfit to be forked, and a system unable."""

from __future__ import annotations

import os
import sys

import pytest

from pytest_tfmem.isolate import fitness
from pytest_tfmem.isolate.fitness import why_no_forkserver
from tests.isolate.fresh import told

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
can_fork = pytest.mark.skipif(why_no_forkserver() != "", reason=why_no_forkserver() or "it can")

TOOLS = """
import ctypes, threading
from pytest_tfmem.isolate.fitness import why_not_to_fork

def start_thread(name=None):
    '''A thread that runs on, by this name where the system lists it.'''
    def run():
        if name is not None:
            ctypes.CDLL(None).prctl(15, name, 0, 0, 0)  # PR_SET_NAME
        begun.set()
        threading.Event().wait()
    begun = threading.Event()
    threading.Thread(target=run, daemon=True).start()
    begun.wait()
"""


def why_not(code, *arguments, **keywords):
    return told(f"{TOOLS}\n{code}\ntell(why_not_to_fork())", *arguments, **keywords)


@linux
def test_a_process_of_one_thread_may_be_forked():
    assert why_not("") == ["", ""]


@linux
def test_a_thread_that_has_ended_is_none():
    assert why_not("thread = threading.Thread(target=int); thread.start(); thread.join()") == ["", ""]


@linux
@pytest.mark.parametrize("flags", [(), ("-W", "error")], ids=["usual warnings", "warnings are errors"])
def test_a_process_of_several_threads_may_not_be_forked(flags):
    assert why_not("start_thread(b'mine')", flags=flags) == ["started threads", "2 threads, among them mine"]


@linux
def test_threads_that_have_no_name_of_their_own_are_counted():
    code = "name = open('/proc/self/comm', 'rb').read().strip(); start_thread(name); start_thread(name)"
    assert why_not(code) == ["started threads", "3 threads"]


@linux
def test_of_many_names_three_are_told_and_each_once():
    code = "for name in (b'd', b'b', b'a', b'c', b'a'): start_thread(name)"
    assert why_not(code) == ["started threads", "6 threads, among them a, b, c, ..."]


@linux
def test_a_threads_name_is_told_as_text_that_does_nothing_to_a_terminal():
    assert why_not(r"start_thread(b'\x1b[31m\xff')") == ["started threads", r"2 threads, among them \x1b[31m\\xff"]


@linux
def test_tensorflows_threads_are_told_by_what_started_them():
    assert why_not("start_thread(b'mine'); start_thread(b'tf_Compute')") == ["made tensors", "3 threads"]


@linux
def test_cudas_driver_is_told_before_the_threads_that_it_starts(tmp_path):
    library = tmp_path / "libcuda.so.1"
    library.write_bytes(bytes(4096))
    code = """
import mmap
with open(sys.argv[1], "rb") as file:
    held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
start_thread(b"tf_Compute")
"""
    assert why_not(code, library) == ["listed GPUs", "CUDA's driver is loaded"]
    library.rename(tmp_path / "libcudart.so.12")
    assert why_not(code, tmp_path / "libcudart.so.12") == ["made tensors", "2 threads"]


@linux
def test_a_process_that_has_started_others_may_not_be_forked():
    code = """
import subprocess
held = [subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) for _ in range(2)]
"""
    assert why_not(code) == ["started processes", "2 running, cat"]


@linux
def test_nor_may_one_that_has_adopted_what_it_started():
    code = """
from pytest_tfmem.isolate import afresh
afresh.adopt_orphans()
reading, writing = os.pipe()
for_ever, kept = os.pipe()  # until this process ends
child = os.fork()
if child == 0:
    if os.fork() == 0:
        afresh.call_itself("daemon")
        os.write(writing, b"!")
        os.close(kept)
        os.closerange(1, 3)
        os.read(for_ever, 1)
    os._exit(0)
os.waitpid(child, 0)
os.read(reading, 1)
"""
    assert why_not(code) == ["started processes", "1 running, daemon"]


@linux
def test_one_that_has_ended_is_no_hindrance_though_nobody_asked_what_became_of_it():
    code = "child = os.posix_spawn('/bin/true', ['true'], {}); os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)"
    assert why_not(code) == ["", ""]


@linux
def test_the_threads_of_numpys_library_are_no_hindrance():
    pytest.importorskip("numpy")
    threads, why = told(
        f"{TOOLS}\nimport numpy; tell(len(os.listdir('/proc/self/task'))); tell(why_not_to_fork())",
        environment={"OPENBLAS_NUM_THREADS": "2"},
    )
    if threads == 1:
        pytest.skip("this numpy's library starts no threads")
    assert why == ["", ""]


@linux
def test_to_ask_leaves_no_process_behind():
    code = f"{TOOLS}\nwhy_not_to_fork()\ntell(open(f'/proc/self/task/{{os.getpid()}}/children').read())"
    assert told(code) == ""


@can_fork
def test_a_linux_of_today_has_the_start_method():
    assert why_no_forkserver() == ""


def test_a_system_that_cannot_populate_forks_has_no_such_start_method(monkeypatch):
    monkeypatch.setattr(fitness, "why_not_populated", lambda: "Linux 5.13 is old")
    assert why_no_forkserver() == "Linux 5.13 is old"


@can_fork
def test_a_linux_that_does_not_list_children_has_none(monkeypatch):
    monkeypatch.setattr(fitness, "lists_children", lambda: False)
    assert why_no_forkserver() == "this Linux does not list a process's children (CONFIG_PROC_CHILDREN)"


@can_fork
def test_a_python_that_cannot_open_processes_has_none(monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    assert why_no_forkserver() == "this Python has no os.pidfd_open"


@can_fork
def test_a_system_that_cannot_open_processes_has_none(monkeypatch):
    def refused(pid):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refused)
    assert why_no_forkserver() == "this system has no pidfd_open (Function not implemented)"


@can_fork
def test_to_ask_for_it_leaves_nothing_open():
    before = os.listdir("/proc/self/fd")
    why_no_forkserver()
    assert os.listdir("/proc/self/fd") == before
