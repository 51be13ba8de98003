"""Each way to end has a sentence."""

from __future__ import annotations

import signal
import sys

import pytest

from pytest_tfmem.isolate.death import describe, describe_late

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has not these signals")


@posix
@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("SIGSEGV", ": a segmentation fault in native code"),
        ("SIGABRT", ": native code called abort(), as TensorFlow does when a check fails"),
        ("SIGBUS", ": a bus error: often a memory-mapped file that shrank, or a full /dev/shm"),
        ("SIGFPE", ": an arithmetic error in native code"),
        ("SIGILL", ": an instruction that this processor does not have"),
        ("SIGKILL", ": someone killed it; the kernel's count of out-of-memory kills did not change"),
        ("SIGTERM", ": someone asked it to end"),
        ("SIGHUP", ""),
    ],
)
def test_a_signal_is_named_and_explained(name, meaning):
    sentence = f"the test's process died of {name} in call{meaning}"
    assert describe(-signal.Signals[name], "in call", oom=False) == sentence


@posix
def test_a_kill_while_the_kernel_killed_for_want_of_memory_is_the_kernels():
    sentence = "the kernel's out-of-memory killer ended the test's process in setup"
    assert describe(-signal.SIGKILL, "in setup", oom=True) == sentence


@posix
def test_another_signal_is_not_the_kernels_doing_though_it_killed_someone():
    assert describe(-signal.SIGTERM, "in call", oom=True) == describe(-signal.SIGTERM, "in call", oom=False)


@pytest.mark.parametrize("status", [0, 1, 5, 255])
def test_an_exit_of_its_own_tells_the_status(status):
    assert describe(status, "before setup", oom=False) == (
        f"the test's process ended by itself before setup, with exit status {status}, before the test was over;"
        " something in it called os._exit() or ended the process from native code"
    )


def test_a_signal_that_has_no_name_is_told_by_its_number():
    assert describe(-250, "in call", oom=False) == "the test's process died of signal 250 in call"


@posix
def test_an_end_after_the_test_was_over_is_told_as_such():
    sentence = "the test was over, but its process then died of SIGSEGV while it shut down"
    assert describe_late(-signal.SIGSEGV) == sentence


def test_a_bad_status_after_the_test_was_over_is_told_as_such():
    sentence = "the test was over, but its process then ended with exit status 3 while it shut down"
    assert describe_late(3) == sentence
