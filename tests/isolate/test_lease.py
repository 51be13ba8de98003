"""Cards that a test has to itself, seen from many processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.figures import FIGURES, GPU_FIGURES
from pytest_tfmem.isolate import lease as leasing
from pytest_tfmem.isolate.hostlocks import HostLocks
from pytest_tfmem.isolate.lease import Leases, cards_needed, nested_environment, visible_devices

posix = pytest.mark.skipif(sys.platform == "win32", reason="forks and signals")

HELPER = Path(__file__).with_name("leaseholder.py")
CARDS = ["GPU-aaa", "GPU-bbb", "GPU-ccc"]
MINE = "tests/test_a.py::test_mine"
THEIRS = "tests/test_b.py::test_theirs"


class Helper:
    """Another process that leases cards, in the folder of the test."""

    def __init__(self, way, **wanted):
        self.popen = subprocess.Popen(
            [sys.executable, str(HELPER), way, json.dumps(wanted)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self):
        return self.popen.stdout.readline().rstrip("\n")

    def lines_until(self, beginning):
        lines = [self.line()]
        while not lines[-1].startswith(beginning):
            assert lines[-1], "it has ended"
            lines.append(self.line())
        return lines

    def finish(self):
        self.popen.stdin.close()
        assert self.popen.wait(60) == 0

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def close(self):
        self.kill()
        self.popen.stdin.close()
        self.popen.stdout.close()


@pytest.fixture
def helper(tmp_path):
    """Starts another process; all end with the test."""
    started = []

    def start(way, **wanted):
        usual = {"cards": CARDS, "directory": str(tmp_path), "count": 1, "nodeid": THEIRS}
        started.append(Helper(way, **{**usual, **wanted}))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def impatient(monkeypatch):
    """Who waits is told about at once, and soon again."""
    monkeypatch.setattr(leasing, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(leasing, "_REMINDER_SECONDS", 0.05)


class EnoughError(Exception):
    """Raised where a test has waited long enough to see what it came for."""


def not_waited(text):
    raise EnoughError(text)


def acquire(leases, count=1, *, nodeid=MINE, on_wait=not_waited):
    return leases.acquire(count, nodeid=nodeid, on_wait=on_wait)


def told(leases, count=1, *, times=1, nodeid=MINE):
    """What a test that cannot have its cards says, so many times, before it gives up."""
    texts = []

    def note(text):
        texts.append(text)
        if len(texts) == times:
            raise EnoughError

    with pytest.raises(EnoughError):
        leases.acquire(count, nodeid=nodeid, on_wait=note)
    return texts


def await_tickets(directory, count):
    """Until so many tests wait in the queue."""
    deadline = time.monotonic() + 30
    while len([*directory.glob("ticket-*.lock")]) != count:
        assert time.monotonic() < deadline, "nobody came to wait"
        time.sleep(0.005)


def await_text(path, text):
    deadline = time.monotonic() + 30
    while text not in path.read_text():
        assert time.monotonic() < deadline, "it was not written"
        time.sleep(0.005)


def overlaps(log):
    """Cards that were given to a process while another held them, and how often any was given at all."""
    held: dict[str, str] = {}
    wrong, given = [], 0
    for line in log.read_text().splitlines():
        sign, pid, cards = line.split(" ")
        for card in cards.split(","):
            if sign == "+":
                given += 1
                wrong += [(card, pid, held[card])] if card in held else []
                held[card] = pid
            else:
                held.pop(card, None)
    return wrong, given


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    path.touch()
    return path


def test_no_card_is_ever_held_by_two_processes(helper, log):
    counts = [1, 2, 1, 1, 2, 1] * 6
    helpers = [helper("stream", counts=counts, log=str(log)) for _ in range(6)]
    for one in helpers:
        one.finish()
    assert overlaps(log) == ([], 6 * sum(counts))


def test_all_that_want_most_of_the_cards_get_them_in_the_end(helper, log):
    helpers = [helper("stream", counts=[2] * 25, log=str(log)) for _ in range(5)]
    for one in helpers:
        one.finish()
    assert overlaps(log) == ([], 5 * 50)


def test_all_cards_are_used_at_a_time(helper, tmp_path):
    helpers = [helper("hold") for _ in CARDS]
    assert sorted(one.line() for one in helpers) == [f"holds {card}" for card in CARDS]


def test_tests_are_served_in_the_order_in_which_they_came_however_many_cards_they_need(helper, tmp_path):
    everything = acquire(Leases(CARDS, tmp_path), 3)
    waiting = []
    for number, count in enumerate([1, 2, 1, 1], start=1):
        waiting.append(helper("hold", count=count))
        await_tickets(tmp_path, number)
    everything.release()
    first, second, third, fourth = waiting
    assert first.lines_until("holds")
    assert second.lines_until("holds")
    await_tickets(tmp_path, 2)  # all cards are held
    first.finish()
    assert third.lines_until("holds")
    await_tickets(tmp_path, 1)
    second.finish()
    assert fourth.lines_until("holds")


def test_a_stream_of_others_does_not_overtake_a_test_that_needs_more_cards(helper, tmp_path, log, monkeypatch):
    monkeypatch.setattr(leasing, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(leasing, "_REMINDER_SECONDS", 0.0)
    streams = [helper("stream", counts=[1] * 20_000, log=str(log)) for _ in range(3)]
    leases, locks = Leases(CARDS, tmp_path), HostLocks(tmp_path)
    for stream in streams:
        await_text(log, f"+ {stream.popen.pid} ")
    overtaken = []
    while len(overtaken) < 10:
        assert [one.popen.poll() for one in streams] == [None] * 3, "the stream was over too soon"
        counts = []

        def count(text, counts=counts):
            notes = [locks.note(name) for name in locks.names() if name.startswith("ticket-")]
            if any(note and note.nodeid == MINE for note in notes):
                counts.append(log.read_text().count("+"))

        with acquire(leases, 3, on_wait=count):
            overtaken += [log.read_text().count("+") - counts[0]] if counts else []
    # Each of the others may have been in the queue before it, or served and about to write it down.
    assert max(overtaken) <= len(streams)


@posix
def test_a_killed_holder_frees_its_card_within_a_second(helper, tmp_path):
    holder = helper("hold", cards=["GPU-aaa"])
    assert holder.line() == "holds GPU-aaa"
    waiter = helper("hold", cards=["GPU-aaa"])
    await_tickets(tmp_path, 1)
    began = time.monotonic()
    holder.popen.kill()
    assert waiter.lines_until("holds")[-1] == "holds GPU-aaa"
    assert time.monotonic() - began < 1


@posix
@pytest.mark.parametrize("way", ["program", "fork"])
def test_what_a_holder_leaves_behind_does_not_keep_its_card(helper, tmp_path, way):
    holder = helper("hold", cards=["GPU-aaa"], leaves=[way])
    left, held = holder.lines_until("holds")
    assert held == "holds GPU-aaa"
    try:
        holder.kill()
        assert acquire(Leases(["GPU-aaa"], tmp_path)).cards == ("GPU-aaa",)
        os.kill(int(left), 0)
    finally:
        os.kill(int(left), signal.SIGKILL)


@posix
def test_killed_waiters_hold_nobody_up(helper, tmp_path):
    with acquire(Leases(["GPU-aaa"], tmp_path)):
        waiters = [helper("hold", cards=["GPU-aaa"]) for _ in range(2)]
        await_tickets(tmp_path, 2)
        for waiter in waiters:
            waiter.kill()
    assert acquire(Leases(["GPU-aaa"], tmp_path)).cards == ("GPU-aaa",)
    await_tickets(tmp_path, 0)


@posix
def test_a_process_that_is_forked_off_cannot_release_what_it_does_not_hold(tmp_path):
    code = """
import os, pathlib, sys
from pytest_tfmem.isolate.lease import Leases
leases = Leases(["GPU-aaa"], pathlib.Path(sys.argv[1]))
lease = leases.acquire(1, nodeid="test", on_wait=print)
pid = os.fork()
if pid == 0:
    lease.release()
    os._exit(0)
os.waitpid(pid, 0)
print(leases._locks.note("card-0-GPU-aaa").nodeid)
leases.acquire(1, nodeid="other", on_wait=lambda text: sys.exit("it waits"))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "test\n", "it waits\n")


def test_a_released_card_is_free_and_may_be_released_again(tmp_path, impatient):
    leases = Leases(["GPU-aaa"], tmp_path)
    first = acquire(leases)
    first.release()
    second = acquire(leases)
    first.release()
    with pytest.raises(EnoughError):
        acquire(leases)
    second.release()
    assert acquire(leases).cards == ("GPU-aaa",)


def test_one_session_does_not_hold_a_card_twice_either(tmp_path, impatient):
    leases = Leases(["GPU-aaa"], tmp_path)
    with acquire(leases):
        assert told(leases)
    assert acquire(leases).waited_seconds < 30


def test_cards_come_in_the_order_in_which_they_are_visible(tmp_path):
    # As many as make this process begin with none of the first two: so it comes round to them.
    number = next(number for number in range(3, 100) if os.getpid() % number >= 2)
    cards = [f"GPU-{letter}" for letter in range(number, 0, -1)]
    with acquire(Leases(cards, tmp_path), number - 1) as lease:
        assert list(lease.cards) == [card for card in cards if card in lease.cards]


def test_a_card_that_is_named_twice_is_one(tmp_path):
    assert Leases(["GPU-aaa", "GPU-aaa"], tmp_path).cards == ("GPU-aaa",)


def test_a_part_of_a_card_has_a_lock_whatever_its_name(tmp_path):
    name = "MIG-GPU-5c89/../1/0"
    with acquire(Leases([name], tmp_path)) as lease:
        assert lease.cards == (name,)
    assert {path.parent for path in tmp_path.rglob("*")} == {tmp_path}


def test_no_cards_are_held_at_once_whoever_holds_them(tmp_path):
    with acquire(Leases(CARDS, tmp_path), 3), acquire(Leases(CARDS, tmp_path), 0) as lease:
        assert (lease.cards, visible_devices(lease)) == ((), "-1")


@pytest.mark.parametrize(
    ("cards", "count", "text"),
    [
        (CARDS[:2], 3, "tf_runtime(gpus=3) needs 3 GPUs, and 2 are visible here (GPU-aaa, GPU-bbb)"),
        (CARDS[:1], 2, "tf_runtime(gpus=2) needs 2 GPUs, and 1 is visible here (GPU-aaa)"),
        ([], 1, "tf_runtime(gpus=1) needs 1 GPU, and none is visible here"),
    ],
)
def test_more_cards_than_there_are_is_an_error_at_once(tmp_path, cards, count, text):
    with pytest.raises(TfmemError) as refused:
        acquire(Leases(cards, tmp_path), count)
    assert str(refused.value) == text


def test_waiting_is_told_with_the_holders_name(helper, tmp_path, impatient):
    holder = helper("hold", cards=["GPU-aaa"])
    assert holder.line() == "holds GPU-aaa"
    (text,) = told(Leases(["GPU-aaa"], tmp_path))
    assert re.sub(r"for \d+ s", "for 3 s", text) == (
        f"{MINE} waits for 1 GPU: GPU-aaa is held by {THEIRS} (pytest, process {holder.popen.pid}) for 3 s"
    )


def test_waiting_is_told_with_who_is_before_it_in_the_queue(helper, tmp_path, impatient):
    leases = Leases(["GPU-aaa"], tmp_path)
    with acquire(leases, nodeid="tests/test_c.py::test_holder"):
        queued = []
        for number in (1, 2, 3):
            queued.append(helper("hold", cards=["GPU-aaa"]))
            await_tickets(tmp_path, number)
        *_, text = told(leases, times=5)  # at first, the last one to come may not be out of the way yet
    _, _, reasons = re.sub(r"for \d+ s", "for 3 s", text).partition(" waits for 1 GPU: ")
    assert reasons == (
        f"GPU-aaa is held by tests/test_c.py::test_holder (pytest, process {os.getpid()}) for 3 s;"
        f" before it waits {THEIRS} (pytest, process {queued[0].popen.pid}) for 3 s; and 2 more"
    )


def test_of_many_holders_some_are_named(tmp_path, impatient):
    cards = [f"GPU-{number}" for number in range(6)]
    leases = Leases(cards, tmp_path)
    with acquire(leases, 6):
        (text,) = told(leases, 2)
    assert text.startswith(f"{MINE} waits for 2 GPUs: GPU-0 is held by ")
    assert [text.count("is held by"), text.endswith("; 2 more are held")] == [4, True]


def test_waiting_is_told_again(tmp_path, impatient):
    leases = Leases(["GPU-aaa"], tmp_path)
    with acquire(leases):
        assert len(told(leases, times=3)) == 3


def test_a_short_wait_is_not_told_and_is_counted(helper, tmp_path, monkeypatch):
    monkeypatch.setattr(leasing, "_PATIENCE_SECONDS", 1000.0)
    holder = helper("hold", cards=["GPU-aaa"])
    assert holder.line() == "holds GPU-aaa"
    began = time.monotonic()
    holder.popen.stdin.close()
    lease = acquire(Leases(["GPU-aaa"], tmp_path))
    assert 0 <= lease.waited_seconds <= time.monotonic() - began


def test_a_holder_that_has_let_go_is_not_named(tmp_path, impatient):
    leases = Leases(CARDS[:2], tmp_path)
    acquire(leases, 2, nodeid="tests/test_c.py::test_earlier").release()
    first, second = acquire(leases, nodeid="tests/test_c.py::test_now"), acquire(leases, nodeid="test_now")
    first.release()
    (text,) = told(leases, 2)
    assert "test_earlier" not in text
    assert text.count("is held by") == 1
    second.release()


def test_who_breaks_off_while_he_waits_holds_nothing(tmp_path, impatient):
    leases = Leases(CARDS, tmp_path)

    def interrupt(text):
        raise KeyboardInterrupt

    with acquire(leases, 2):
        with pytest.raises(KeyboardInterrupt):
            leases.acquire(2, nodeid=MINE, on_wait=interrupt)  # it has one card, and waits for another
        acquire(leases).release()
    assert len(acquire(leases, 3).cards) == 3
    await_tickets(tmp_path, 0)


def test_who_can_do_with_other_cards_does_not_wait_behind_those_who_wait(helper, tmp_path):
    with acquire(Leases(CARDS[:2], tmp_path), 2):
        helper("hold", cards=CARDS[:2])
        await_tickets(tmp_path, 1)
        assert acquire(Leases(CARDS[2:], tmp_path)).cards == ("GPU-ccc",)


def test_a_session_within_a_test_has_the_cards_that_the_test_holds(tmp_path, impatient):
    with acquire(Leases(CARDS, tmp_path), 2) as outer:
        inner = Leases(outer.cards, tmp_path, environment=nested_environment(outer))
        with acquire(inner) as first, acquire(inner) as second:
            assert {*first.cards, *second.cards} == {*outer.cards}
            with pytest.raises(EnoughError):
                acquire(inner)
            deepest = Leases(first.cards, tmp_path, environment=nested_environment(first))
            assert acquire(deepest).cards == first.cards


def test_sessions_within_a_test_share_its_cards_as_others_do(tmp_path, impatient):
    with acquire(Leases(CARDS, tmp_path), 1) as outer:
        one, other = (Leases(outer.cards, tmp_path, environment=nested_environment(outer)) for _ in range(2))
        with acquire(one, nodeid="tests/test_c.py::test_inner"):
            assert "is held by tests/test_c.py::test_inner" in told(other)[0]


def test_a_session_within_a_test_never_waits_for_what_the_test_does_not_hold(tmp_path):
    with acquire(Leases(CARDS[:1], tmp_path)) as outer:
        inner = Leases(CARDS, tmp_path, environment=nested_environment(outer))
        assert inner.cards == ("GPU-aaa",)
        with pytest.raises(TfmemError) as refused:
            acquire(inner, 2)
    assert str(refused.value) == (
        "tf_runtime(gpus=2) needs 2 GPUs,"
        " and 1 is visible here and held by the test in which this session runs (GPU-aaa)"
    )


def test_a_session_within_a_test_is_told_so_by_its_environment(tmp_path, monkeypatch):
    with acquire(Leases(CARDS[:1], tmp_path)) as outer:
        assert nested_environment(outer) == {"TFMEM_LEASED": "1:GPU-aaa"}
        monkeypatch.setenv("TFMEM_LEASED", "1:GPU-aaa")
        assert acquire(Leases(CARDS, tmp_path)).level == 1


@pytest.mark.parametrize("text", ["x", "1", "1:", ":GPU-aaa", "-1:GPU-aaa", "1:GPU-aaa\n\x1b[31m" + "x" * 900])
def test_what_is_not_of_our_making_in_the_environment_is_an_error(tmp_path, text):
    with pytest.raises(TfmemError, match=r"^TFMEM_LEASED=.* is not what a test's process has; unset it") as refused:
        Leases(CARDS, tmp_path, environment={"TFMEM_LEASED": text})
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 250


def test_a_test_needs_a_card_for_a_limit_on_a_gpu_and_as_many_as_it_says():
    needed = {figure: cards_needed({figure}, None) for figure in FIGURES}
    assert needed == {figure: int(figure in GPU_FIGURES) for figure in FIGURES}
    assert (needed["gpu"], needed["cpu_tensors"], needed["rss"]) == (1, 0, 0)
    assert [cards_needed({"gpu"}, gpus) for gpus in (0, 1, 2)] == [0, 1, 2]
    assert [cards_needed(set(), gpus) for gpus in (None, 2)] == [0, 2]


def test_cards_are_made_visible_by_their_uuids(tmp_path):
    with acquire(Leases(CARDS, tmp_path), 3) as lease:
        assert visible_devices(lease) == visible_devices(CARDS) == "GPU-aaa,GPU-bbb,GPU-ccc"
