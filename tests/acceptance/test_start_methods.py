"""Which tests are forked: all that safely can be, file by file; the summary says of the others why not."""

from __future__ import annotations

import importlib.util
import re
import sys

import pytest

pytestmark = [
    pytest.mark.of_any_start_method,
    pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere"),
]

FORCED = "--tfmem-start-method=forkserver"
PLAIN = """
    @budget()
    @pytest.mark.parametrize("number", [1, 2])
    def test_plain(number): pass
"""
STARTS_A_THREAD = """
    import ctypes, threading

    def rest():
        ctypes.CDLL(None).prctl(15, b"loader", 0, 0, 0)  # its name, which Python sets only since 3.14
        named.set()
        threading.Event().wait()

    named = threading.Event()
    threading.Thread(target=rest, daemon=True).start()
    named.wait()

    @budget()
    def test_beside_a_thread(): assert threading.active_count() == 2

    @budget()
    def test_beside_it_too(): pass
"""
LISTS_GPUS = """
    import mmap
    from pathlib import Path

    library = Path(__file__).with_name("libcuda.so.1")
    library.write_bytes(bytes(4096))
    with library.open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    @budget()
    def test_with_cuda(): assert b"libcuda" in Path("/proc/self/maps").read_bytes()
"""
OLD_LINUX = """
    import platform
    platform.release = lambda: "5.10.0-28-amd64"
"""
THREAD = "test_a_thread.py started threads when imported: 2 threads, among them loader"
CUDA = "test_b_cuda.py listed GPUs when imported: CUDA's driver is loaded"
TOO_OLD = "Linux 5.10 cannot bring resident pages into a fork (MADV_POPULATE_READ, since 5.14)"


def test_auto_forks_every_file_that_can_be_forked_and_spawns_the_others(project):
    project.write("test_a_thread.py", STARTS_A_THREAD)
    project.write("test_b_cuda.py", LISTS_GPUS)
    project.write("test_c_plain.py", PLAIN)
    ran = project.run()
    assert set(ran.outcomes.values()) == {"passed"}
    assert _start_methods(ran) == {
        "test_beside_a_thread": "spawn",
        "test_beside_it_too": "spawn",
        "test_with_cuda": "spawn",
        "test_plain[1]": "forkserver",
        "test_plain[2]": "forkserver",
    }
    assert _said_of_spawning(ran) == [
        f"spawned, not forked: {THREAD} (2 tests)",
        f"spawned, not forked: {CUDA} (1 test)",
    ]


def test_forced_an_unfit_file_is_an_error_of_its_tests_alone(project):
    project.write("test_a_thread.py", STARTS_A_THREAD)
    project.write("test_b_cuda.py", LISTS_GPUS)
    project.write("test_c_plain.py", PLAIN)
    ran = project.run(FORCED)
    assert ran.outcomes == {
        "test_beside_a_thread": "error",
        "test_beside_it_too": "error",
        "test_with_cuda": "error",
        "test_plain[1]": "passed",
        "test_plain[2]": "passed",
    }
    assert ran.returncode == 1
    assert len(ran.children) == 2
    sentence = "*--tfmem-start-method=forkserver is not possible for this test: {}*"
    ran.stdout.fnmatch_lines([sentence.format(THREAD), sentence.format(CUDA)])
    assert "Traceback" not in ran.text


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_a_file_that_makes_tensors_when_imported_is_spawned_and_one_that_does_not_is_forked(project):
    project.write(
        "test_a_tensors.py",
        """
        import tensorflow as tf
        made = tf.linalg.matmul(tf.ones((600, 600)), tf.ones((600, 600)))

        @budget()
        def test_of_tensors(): assert made[0, 0] == 600
        """,
    )
    project.write(
        "test_b_tensorflow.py",
        """
        import tensorflow as tf

        @budget()
        def test_of_tensorflow(): assert tf.reduce_sum(tf.ones((60, 60))) == 3600
        """,
    )
    ran = project.run()
    assert set(ran.outcomes.values()) == {"passed"}
    assert _start_methods(ran) == {"test_of_tensors": "spawn", "test_of_tensorflow": "forkserver"}
    (said,) = _said_of_spawning(ran)
    assert re.fullmatch(
        r"spawned, not forked: test_a_tensors\.py made tensors when imported: \d+ threads \(1 test\)", said
    )


def test_where_the_system_cannot_auto_spawns_and_says_so_once(project):
    project.write("conftest.py", OLD_LINUX)
    project.write("test_one.py", PLAIN)
    project.write("test_two.py", PLAIN.replace("test_plain", "test_other"))
    ran = project.run()
    assert set(ran.outcomes.values()) == {"passed"}
    assert set(_start_methods(ran).values()) == {"spawn"}
    assert _said_of_spawning(ran) == [f"spawned, not forked: {TOO_OLD} (4 tests)"]


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_where_the_system_cannot_forcing_it_is_a_wrong_setting(project, workers):
    project.write("conftest.py", OLD_LINUX)
    project.write("test_one.py", PLAIN)
    ran = project.run(FORCED, *workers)
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    said = f"ERROR: --tfmem-start-method: forkserver is not possible here: {TOO_OLD}; use auto or spawn"
    assert ran.errors.strip() == said


def test_a_session_that_spawns_by_choice_gives_no_reasons_and_starts_no_server(project):
    project.write("test_one.py", PLAIN)
    ran = project.run("--tfmem-start-method=spawn")
    assert set(_start_methods(ran).values()) == {"spawn"}
    assert _said_of_spawning(ran) == []
    assert ran.servers == set()


def _start_methods(ran):
    return {name: measured["start_method"] for name, measured in ran.measured.items()}


def _said_of_spawning(ran):
    return [line for line in ran.text.splitlines() if line.startswith("spawned, not forked")]


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_what_tensorflow_refuses_once_a_test_is_forked_fails_the_test_with_its_words(project):
    project.write(
        "test_it.py",
        """
        import tensorflow as tf

        def refuse(*_): raise ValueError("not this time")

        tf.config.set_logical_device_configuration = refuse

        @pytest.mark.tf_runtime(logical_devices={"CPU": 2})
        def test_it(): note("never")
        """,
    )
    ran = project.run(FORCED)
    assert ran.outcomes == {"test_it": "error"}
    assert "tf_runtime: TensorFlow refused (not this time)" in ran.text
    assert ran.notes == []
