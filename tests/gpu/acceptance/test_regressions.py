"""A test whose exact device figures have grown, under --tfmem-fail-on=regression: on a stand-in card."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import pytest

MIB = 1 << 20
# What of PyTorch is read, by the names that PyTorch has for it: the real one takes seconds to import.
TORCH = """
    class cuda:
        held = peak = 0
        is_up = False

        @classmethod
        def hold(cls, size):
            cls.is_up = True
            cls.held += size
            cls.peak = max(cls.peak, cls.held)

        @classmethod
        def is_initialized(cls):
            return cls.is_up

        @classmethod
        def device_count(cls):
            return 1

        @classmethod
        def reset_peak_memory_stats(cls, index):
            cls.peak = cls.held

        @classmethod
        def memory_stats(cls, index):
            names = ("allocated_bytes.all", "reserved_bytes.all", "requested_bytes.all")
            return {f"{name}.peak": cls.peak for name in names} | {"allocated_bytes.all.current": cls.held}

        @classmethod
        def get_device_properties(cls, index):
            return None
    """
_TESTS = """
    import torch

    @budget
    def test_a(tmp_path):
        note(f"ran {{len(list(tmp_path.iterdir()))}}")
        (tmp_path / "file").touch()
        torch.cuda.hold({size})

    @budget
    def test_b():
        torch.cuda.hold(5 << 20)
    """
_FAILS = "--tfmem-fail-on=regression"
_GREW = "memory regression: gpu 10.0 MiB -> 12.0 MiB (+20.0 %)"
pytestmark = pytest.mark.stub


@pytest.fixture(scope="module")
def recorded_before():
    """By start method, the files of the history that the first test had made."""
    return {}


@pytest.fixture
def recorded(gpu_project, recorded_before):
    """A project on a machine with a card, with six runs of two tests that asked for 10 and 5 MiB of it."""
    gpu_project.write("torch.py", TORCH)
    gpu_project.write("test_it.py", _TESTS.format(size=10 * MIB))
    history = gpu_project.path / ".tfmem" / "runs"
    if gpu_project.start_method not in recorded_before:
        _record(gpu_project)
        recorded_before[gpu_project.start_method] = {file.name: file.read_bytes() for file in history.iterdir()}
    history.mkdir(parents=True, exist_ok=True)
    for name, content in recorded_before[gpu_project.start_method].items():
        (history / name).write_bytes(content)
    return gpu_project


def _record(gpu_project):
    ran = gpu_project.run()
    assert ran.outcomes == {"test_a": "passed", "test_b": "passed"}
    (reading,) = ran.measured["test_a"]["readings"]["gpu"]
    assert (reading["bytes"], reading["exactness"]) == (10 * MIB, "exact")
    repeat_runs(gpu_project)


def repeat_runs(project):
    """Five more runs like the one that is recorded: its readings are exact, and pytest takes its time."""
    (file,) = (project.path / ".tfmem" / "runs").glob("*.jsonl")
    header, *rest = file.read_text(encoding="utf-8").splitlines()
    for number in range(5):
        again = json.loads(header)
        again["run"] |= {"id": f"{number:032}", "started_at": f"2026-03-0{number + 1}T12:00:00Z"}
        file.with_name(f"again{number}.jsonl").write_text("\n".join([json.dumps(again), *rest, ""]), encoding="utf-8")


def test_what_has_grown_fails_in_its_call_once_a_second_run_has_confirmed_it(recorded):
    recorded.write("test_it.py", _TESTS.format(size=12 * MIB))
    ran = recorded.run(_FAILS, "--junitxml=junit.xml")
    assert ran.outcomes == {"test_a": "failed", "test_b": "passed"}
    assert ran.returncode == 1
    assert len(ran.pids("ran 0")) == 2, "the second run has a folder of its own"
    assert f"MemoryRegression: {_GREW}" in ran.text
    assert "gpu: 10.0 MiB in 6 runs since 2026-03-01; 12.0 MiB now, and 12.0 MiB in a second run" in " ".join(
        ran.text.split()
    )
    assert re.search(r"^regressed +test_it.py::test_a +gpu +10.0 MiB +12.0 MiB +\+20.0 % ", ran.text, re.MULTILINE)
    assert [(one["figure"], one["again_bytes"]) for one in ran.measured["test_a"]["regressions"]] == [("gpu", 12 * MIB)]
    (suite,) = ET.parse(recorded.path / "junit.xml").getroot()
    assert (suite.get("failures"), suite.get("errors")) == ("1", "0")


@pytest.mark.of_any_start_method
def test_without_the_option_it_is_suspect(recorded):
    recorded.write("test_it.py", _TESTS.format(size=12 * MIB))
    ran = recorded.run()
    assert ran.returncode == 0
    assert re.search(r"^suspect +test_it.py::test_a +gpu ", ran.text, re.MULTILINE)
    assert len(ran.pids("ran 0")) == 1


@pytest.mark.of_any_start_method
def test_what_has_not_grown_is_run_once(recorded):
    ran = recorded.run(_FAILS)
    assert ran.returncode == 0
    assert len(ran.pids("ran 0")) == 1
    assert "regress" not in ran.text.replace("test_regressions", "").replace(_FAILS, "")


@pytest.mark.of_any_start_method
def test_growth_that_does_not_come_again_is_suspect(recorded):
    size = f"(10 << 20) if os.path.exists({str(recorded.path / 'seen')!r}) else (12 << 20)"
    mark = f"\n        open({str(recorded.path / 'seen')!r}, 'w').close()"
    recorded.write(
        "test_it.py",
        _TESTS.format(size=size).replace("\n\n    @budget\n    def test_b", f"{mark}\n\n    @budget\n    def test_b"),
    )
    ran = recorded.run(_FAILS)
    assert ran.outcomes == {"test_a": "passed", "test_b": "passed"}
    assert len(ran.pids("ran 0")) == 2
    assert re.search(r"^suspect +test_it.py::test_a +gpu ", ran.text, re.MULTILINE)


@pytest.mark.of_any_start_method
def test_a_second_run_that_fails_confirms_nothing(recorded):
    seen = str(recorded.path / "seen")
    recorded.write(
        "test_it.py",
        f"""
        import torch

        @budget
        def test_a():
            torch.cuda.hold(12 << 20)
            assert not os.path.exists({seen!r})
            open({seen!r}, "w").close()
        """,
    )
    ran = recorded.run(_FAILS)
    assert ran.outcomes == {"test_a": "passed"}
    assert (
        "test_it.py::test_a has grown in gpu, which is not confirmed: a second run of the test did not pass" in ran.text
    )
    assert re.search(r"^suspect +test_it.py::test_a +gpu ", ran.text, re.MULTILINE)


@pytest.mark.of_any_start_method
def test_it_may_be_expected(recorded):
    expecting = (
        "import pytest_tfmem\n\n    @pytest.mark.xfail(raises=pytest_tfmem.MemoryRegression, strict=True)\n    @budget"
    )
    recorded.write("test_it.py", _TESTS.format(size=12 * MIB).replace("@budget", expecting, 1))
    assert recorded.run(_FAILS).outcomes == {"test_a": "xfailed", "test_b": "passed"}


@pytest.mark.of_any_start_method
def test_a_limit_that_is_passed_is_told_first_and_takes_no_second_run(recorded):
    recorded.write("test_it.py", _TESTS.format(size=12 * MIB).replace("@budget", '@budget(gpu="11 MiB")', 1))
    ran = recorded.run(_FAILS)
    assert "MemoryBudgetExceeded: memory budget exceeded: gpu 12.0 MiB > 11.0 MiB" in ran.text
    assert len(ran.pids("ran 0")) == 1
    assert re.search(r"^suspect +test_it.py::test_a +gpu ", ran.text, re.MULTILINE)


def test_in_a_worker_of_xdist_it_fails_too(recorded):
    recorded.write("test_it.py", _TESTS.format(size=12 * MIB))
    ran = recorded.run(_FAILS, "-n1")
    assert ran.outcomes == {"test_a": "failed", "test_b": "passed"}
    assert f"MemoryRegression: {_GREW}" in ran.text
    assert ran.text.count("1 regressed") == 1


@pytest.mark.of_any_start_method
def test_each_rerun_is_judged_by_itself(recorded):
    recorded.write("test_it.py", _TESTS.format(size=12 * MIB))
    ran = recorded.run(_FAILS, "--reruns=1")
    assert ran.outcomes["test_a"] == "rerun failed"
    assert len(ran.pids("ran 0")) == 4
    assert len(re.findall(r"^regressed +test_it.py::test_a +gpu ", ran.text, re.MULTILINE)) == 1


@pytest.mark.parametrize("timeout", ["--tfmem-timeout=2", "--timeout=2"])
def test_the_second_run_takes_none_of_the_tests_time(recorded, timeout):
    slow = _TESTS.format(size=12 * MIB).replace('note(f"ran', 'import time; time.sleep(1.2); note(f"ran')
    recorded.write("test_it.py", slow)
    ran = recorded.run(_FAILS, timeout)
    assert ran.outcomes == {"test_a": "failed", "test_b": "passed"}
    assert f"MemoryRegression: {_GREW}" in ran.text


@pytest.mark.of_any_start_method
def test_what_tensorflow_asks_of_its_allocator_is_judged_to_the_byte(gpu_project):
    text = """
        @budget(gpu="1 GiB")
        @pytest.mark.tf_runtime(allocator="cuda_malloc_async")
        def test_a():
            import tensorflow as tf
            with tf.device("GPU:0"):
                tf.zeros((160, {kib}, 256))
        """
    gpu_project.write("test_it.py", text.format(kib=64))
    assert gpu_project.run().outcomes == {"test_a": "passed"}
    repeat_runs(gpu_project)
    assert gpu_project.run(_FAILS).outcomes == {"test_a": "passed"}
    gpu_project.write("test_it.py", text.format(kib=65))
    ran = gpu_project.run(_FAILS)
    assert ran.outcomes == {"test_a": "failed"}
    assert "memory regression: gpu 10.0 MiB -> 10.2 MiB (+1.6 %)" in ran.text
    (grown,) = ran.measured["test_a"]["regressions"]
    assert grown["now_bytes"] == grown["again_bytes"] == grown["before_bytes"] + 160 * 256 * 4
