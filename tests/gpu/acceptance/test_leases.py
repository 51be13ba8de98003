"""Cards are shared by nobody: not by tests of one session, of its workers, or of another session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.beside import WITHOUT
from tests.gpu.acceptance.test_figures import runs
from tests.gpu_stub.machine import MIB, Foreign, StubCard

pytestmark = pytest.mark.stub
HERE = Path(__file__).parent
LONGEST_SECONDS = 60.0


@pytest.fixture
def cards(on, new_stub, monkeypatch):
    """A project on a machine with so many cards, whose tests may use cuda_by_hand: `cards(2)`."""

    def put(count):
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (HERE, HERE.parents[2]))), prepend=os.pathsep)
        machine = new_stub(cards=[StubCard(context_bytes=2 * MIB) for _ in range(count)])
        return machine, on(machine.environment())

    return put


@pytest.fixture
def places(tmp_path, monkeypatch):
    folder = tmp_path / "places"
    folder.mkdir()
    monkeypatch.setenv("PLACES", str(folder))
    return folder


@pytest.fixture
def session(tmp_path):
    """Starts pytest in a project beside this test, and ends it after: its process, and the file with its output."""
    started = []

    def start(project, *arguments):
        command = [sys.executable, "-m", "pytest", *WITHOUT]
        output = tmp_path / f"output{len(started)}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*command, f"--tfmem-start-method={project.start_method}", *arguments],
                cwd=project.path,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        return process, output

    yield start
    for process in started:
        process.kill()
        process.wait()


def waits(output):
    """The line in which a session says that a test waits, once it has."""
    until(lambda: "waits for 1 GPU" in output.read_text())
    return next(line for line in output.read_text().splitlines() if "waits for 1 GPU" in line)


def until(condition):
    ends = time.monotonic() + LONGEST_SECONDS
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


@pytest.mark.parametrize("workers", [4])
def test_no_card_is_ever_shared_by_the_tests_of_four_workers(cards, workers):
    _, project = cards(2)
    one, both = (runs(180, 60), runs(20, 12)) if project.start_method == "forkserver" else (runs(20, 12), runs(20, 6))
    project.write(
        "test_a.py",
        f"""
        from cuda_by_hand import company, take

        @budget(gpu_footprint="1 GiB")
        @pytest.mark.parametrize("number", range({one}))
        def test_one(number):
            take(1 << 20)
            assert company() == []
            assert "," not in os.environ["CUDA_VISIBLE_DEVICES"]

        @pytest.mark.tf_runtime(gpus=2)
        @pytest.mark.parametrize("number", range({both}))
        def test_both(number):
            take(1 << 20, 0)
            take(1 << 20, 1)
            assert company() == []
        """,
    )
    ran = project.run("-n", str(workers), "-q")
    assert ran.outcomes == dict.fromkeys(
        [*(f"test_one[{number}]" for number in range(one)), *(f"test_both[{number}]" for number in range(both))],
        "passed",
    )
    read = {measured["readings"]["gpu_footprint"][0]["device"] for measured in ran.measured.values()}
    assert len(read) == 2  # both were in use, so that two tests could run at once


def test_a_session_that_is_killed_frees_its_card_within_a_second(cards, places, session):
    _, project = cards(1)
    project.write(
        "test_held.py",
        """
        import time
        from cuda_by_hand import reached, take

        @budget(gpu_footprint="1 GiB")
        def test_held():
            take(1 << 20)
            reached("held")
            time.sleep(600)
        """,
    )
    project.write(
        "test_next.py",
        """
        from cuda_by_hand import company, reached, take

        @budget(gpu_footprint="1 GiB")
        def test_next():
            take(1 << 20)
            assert company() == []
            reached("next")
        """,
    )
    holder, _ = session(project, "test_held.py")
    until((places / "held").exists)
    waiting, output = session(project, "test_next.py")
    said = waits(output)
    assert "test_next.py::test_next waits for 1 GPU: " in said
    assert f"is held by test_held.py::test_held (pytest, process {holder.pid})" in said
    assert not (places / "next").exists()
    killed_at = time.time()
    os.kill(holder.pid, signal.SIGKILL)
    until((places / "next").exists)
    # Within it also: a process was forked or started, and has made a context.
    allowed = 1.0 if project.start_method == "forkserver" else 3.0
    assert (places / "next").stat().st_mtime - killed_at < allowed
    assert waiting.wait(LONGEST_SECONDS) == 0


@pytest.mark.of_any_start_method
def test_a_worker_of_xdist_says_that_it_waits_too(cards, places, session):
    _, project = cards(1)
    project.write(
        "test_a.py",
        """
        import time
        from pathlib import Path
        from cuda_by_hand import reached

        @budget(gpu_footprint="1 GiB")
        @pytest.mark.parametrize("number", range(4))  # two for each worker, which takes no fewer
        def test_a(number):
            reached(f"test{number}")
            while not Path(os.environ["PLACES"], "go").exists():
                time.sleep(0.01)
        """,
    )
    running, output = session(project, "-n", "2", "-v")
    assert "test_a.py::test_a[" in waits(output)
    (places / "go").touch()
    assert running.wait(LONGEST_SECONDS) == 0
    assert " in all for GPUs that other tests held" in output.read_text()


@pytest.mark.of_any_start_method
def test_more_cards_than_there_are_is_an_error_at_once_and_the_others_run(cards):
    machine, project = cards(2)
    project.write(
        "test_a.py",
        """
        @pytest.mark.tf_runtime(gpus=3)
        def test_three():
            pass

        @pytest.mark.tf_runtime(gpus=2)
        def test_two():
            pass
        """,
    )
    ran = project.run()
    assert ran.outcomes == {"test_three": "error", "test_two": "passed"}
    uuids = ", ".join(card.uuid for card in machine.cards)
    assert f"tf_runtime(gpus=3) needs 3 GPUs, and 2 are visible here ({uuids})" in ran.text


@pytest.mark.of_any_start_method
def test_a_test_without_a_device_limit_holds_no_card(cards):
    _, project = cards(1)
    project.write(
        "test_a.py", "@budget(rss='1 GiB')\ndef test_a():\n    assert 'CUDA_VISIBLE_DEVICES' not in os.environ\n"
    )
    assert project.run().outcomes == {"test_a": "passed"}


def test_a_session_within_a_test_that_holds_a_card_uses_that_card(cards):
    _, project = cards(2)
    project.write(
        "inner/test_inner.py",
        """
        @budget(gpu="1 GiB")
        def test_inner():
            assert os.environ["CUDA_VISIBLE_DEVICES"] == os.environ["OUTER"]
        """,
    )
    project.write(
        "test_a.py",
        """
        import subprocess, sys

        @budget(gpu="1 GiB")
        def test_outer():
            env = os.environ | {"OUTER": os.environ["CUDA_VISIBLE_DEVICES"]}
            command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "inner/test_inner.py"]
            ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
            assert ended.returncode == 0, ended.stdout
        """,
    )
    assert project.run("test_a.py").outcomes == {"test_outer": "passed"}


@pytest.mark.of_any_start_method
def test_others_on_the_card_are_named(cards):
    machine, project = cards(1)
    machine.cards[0].foreign = [Foreign(os.getpid(), 500 * MIB, "their_training")]
    project.write(
        "test_a.py",
        """
        from cuda_by_hand import take

        @budget(gpu_footprint="1 GiB")
        def test_a():
            take(1 << 20)
        """,
    )
    (measured,) = project.run().measured.values()
    assert any("500.0 MiB" in note and f"(pid {os.getpid()})" in note for note in measured["notes"])
