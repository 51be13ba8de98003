"""gpu_footprint, watched on stand-in cards: every rung of its ladder, with the sentence that users see."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.gpu_stub.machine import GIB, MIB, Foreign, StubCard, StubMig

pytestmark = pytest.mark.stub

CONTEXT = 300 * MIB
CARD = "GPU-00000001-0000-4000-8000-000000000001"
PART = "MIG-00000000-0000-4000-8000-00000000000a"
LIST = "the driver's process list"
NAMESPACE = {"own_pids": True, "wsl": False}
WSL = {"own_pids": False, "wsl": True}

# Does what it is told on its standard input, a line of Python at a time, and answers with the value as JSON.
_PRELUDE = """
import ctypes, json, os, sys, time
def answer(value):
    print(json.dumps(value), flush=True)
"""
_LOOP = """
answer("ready")
for line in sys.stdin:
    answer(eval(line))
"""
# The test's process: CUDA by ctypes, as a framework would use it.
_WORKER = """
import msgspec
from pytest_tfmem.measure.cuda import cards_here
held = []
class Card:
    def __init__(self, ordinal):
        self.ordinal = ordinal
    def check(self, function, *arguments):
        assert (error := getattr(self.cuda, function)(*arguments)) == 0, (function, error)
    def use(self):
        self.cuda = ctypes.CDLL("libcuda.so.1")
        self.check("cuInit", 0)
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.check("cuDeviceGet", ctypes.byref(device), self.ordinal)
        self.check("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.check("cuCtxSetCurrent", context)
    def allocate(self, size):
        pointer = ctypes.c_void_p()
        self.check("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(size))
        held.append(pointer)
    def free(self):
        self.check("cuMemFree_v2", held.pop())
card = Card(0)
def cards():
    return msgspec.to_builtins(cards_here().used)
"""
# pytest's own process: as Controller drives it.
_CONTROLLER = """
import msgspec
from pytest_tfmem.measure.devices import Card
from pytest_tfmem.measure.footprint import Footprint
from pytest_tfmem.measure.joining import Surroundings
from pytest_tfmem.measure.nvml import Driver
driver = Driver()
def begin(pid, exclusive, around):
    global footprint
    around = Surroundings(**around) if around else None
    footprint = Footprint(driver, pid, exclusive=exclusive, interval_seconds=0.1, around=around)
def sample():
    time.sleep(footprint.wait_seconds())
    footprint.sample_if_due()
def drive(seconds):
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        footprint.sample_if_due()
    return time.monotonic() - began
def call(name, cards, *arguments):
    return msgspec.to_builtins(getattr(footprint, name)(msgspec.convert(cards, list[Card]), *arguments))
def points():
    return [point.bytes for point in footprint.points]
"""


class Process:
    """A process that does as it is told."""

    def __init__(self, code, environment):
        command = [sys.executable, "-c", _PRELUDE + code + _LOOP]
        self.popen = subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._answer() == "ready"

    @property
    def pid(self):
        return self.popen.pid

    def do(self, line):
        print(line, file=self.popen.stdin, flush=True)
        return self._answer()

    def kill(self):
        self.popen.kill()
        self.popen.wait()
        self.popen.stdin.close()
        self.popen.stdout.close()

    def _answer(self):
        line = self.popen.stdout.readline()
        assert line, f"ended with {self.popen.wait()}"
        return json.loads(line)


class Watched:
    """A test's process on a machine, and the process that watches it."""

    def __init__(self, machine, *, exclusive=(), around=None, nvml=True, code=_WORKER):
        self.machine = machine
        self.controller = Process(_CONTROLLER, machine.environment(nvml=nvml))
        self.worker = Process(code, machine.environment())
        self.cards = []
        self.controller.do(f"begin({self.worker.pid}, {list(exclusive)!r}, {around!r})")

    def holds(self, *sizes):
        """The process makes its context, and allocates."""
        self.worker.do("card.use()")
        for size in sizes:
            self.worker.do(f"card.allocate({size})")
        return self

    def sample(self):
        self.controller.do("sample()")
        return self

    def ask(self, name, *arguments):
        return self.controller.do(f"call({name!r}, {self.cards!r}, *{arguments!r})")

    def end_call(self):
        self.cards = self.worker.do("cards()")
        self.ask("call_ended")
        return self

    def reading(self, allocator="growth"):
        told = self.ask("reading", allocator)
        [reading] = told if isinstance(told, list) else [told]
        return reading

    def notes(self):
        return self.controller.do("footprint.notes()")

    def close(self):
        self.controller.kill()
        self.worker.kill()


@pytest.fixture
def watch(new_stub):
    """Watches a new process on a new machine, or on the one given."""
    started = []

    def start(machine=None, *, exclusive=(), around=None, nvml=True, **described):
        machine = machine or new_stub(**described)
        started.append(Watched(machine, exclusive=exclusive, around=around, nvml=nvml))
        return started[-1]

    yield start
    for watched in started:
        watched.close()


# The rungs


def test_accounting_is_exact_even_for_what_was_given_back(watch):
    watched = watch(accounting=1).holds(50 * MIB)
    watched.worker.do("card.free()")
    assert watched.end_call().reading() == {
        "bytes": CONTEXT + 50 * MIB,
        "exactness": "exact",
        "source": "the driver's accounting, since the process began",
        "device": CARD,
    }


@pytest.mark.parametrize("allocator", ["growth", "cuda_malloc_async"])
def test_the_list_at_the_calls_end_is_near_exact_where_nothing_is_given_back(watch, allocator):
    assert watch().holds(50 * MIB).end_call().reading(allocator) == {
        "bytes": CONTEXT + 50 * MIB,
        "exactness": "lower-bound",
        "source": f"{LIST} at the call's end, near-exact under {allocator}",
        "device": CARD,
    }


def test_bfc_is_said_to_take_all_at_once(watch):
    source = watch().holds(50 * MIB).end_call().reading("bfc")["source"]
    assert source.endswith("; it takes the whole card, or its limit, at once")


@pytest.mark.parametrize("allocator", ["cuda_malloc", ""])
def test_what_may_have_been_given_back_is_sampled(watch, allocator):
    watched = watch().holds(50 * MIB).sample()
    watched.worker.do("card.free()")
    reading = watched.end_call().reading(allocator)
    assert (reading["bytes"], reading["exactness"]) == (CONTEXT + 50 * MIB, "sampled")
    assert reading["source"] == f"{LIST}, read every 100 ms at best, and at the ends of call and teardown"


def test_what_was_given_back_though_the_allocator_never_does_is_sampled(watch):
    watched = watch().holds(50 * MIB).sample()
    watched.worker.do("card.free()")
    reading = watched.end_call().reading("growth")
    assert (reading["bytes"], reading["exactness"]) == (CONTEXT + 50 * MIB, "sampled")


def test_teardown_counts_too(watch):
    watched = watch().holds(10 * MIB).end_call()
    watched.worker.do(f"card.allocate({20 * MIB})")
    watched.ask("ended")
    assert watched.reading()["bytes"] == CONTEXT + 30 * MIB


def test_a_process_that_is_killed_leaves_its_last_sample(watch):
    watched = watch().holds(50 * MIB).sample()
    watched.worker.kill()
    assert watched.reading() == {
        "bytes": CONTEXT + 50 * MIB,
        "exactness": "sampled",
        "source": f"{LIST}, read every 100 ms at best, incomplete: the process ended before its end could be read",
        "device": CARD,
    }


def test_a_process_that_is_killed_on_a_card_that_is_held_leaves_the_difference(watch):
    watched = watch(process_list="unavailable", exclusive=[CARD], around=WSL).holds(50 * MIB).sample()
    watched.worker.kill()
    reading = watched.reading()
    assert (reading["bytes"], reading["exactness"]) == (CONTEXT + 50 * MIB, "sampled")


@pytest.mark.parametrize("process_list", ["unavailable", "no permission"])
def test_a_process_that_is_killed_and_was_not_told_of_has_the_reason(watch, process_list):
    watched = watch(process_list=process_list, around=WSL).holds(50 * MIB).sample()
    watched.worker.kill()
    assert watched.reading()["not_measured"].startswith(("under WSL2 the driver", "the driver gives this user no"))


def test_accounting_remembers_a_process_that_was_killed(watch):
    watched = watch(accounting=1).holds(50 * MIB).sample()
    watched.worker.kill()
    assert (watched.reading()["bytes"], watched.reading()["exactness"]) == (CONTEXT + 50 * MIB, "exact")


def test_an_exclusive_card_gives_its_difference_where_the_list_does_not_tell(watch):
    cards = [StubCard(reserved_bytes=400 * MIB)]
    watched = watch(cards=cards, process_list="unavailable", exclusive=[CARD], around=WSL)
    assert watched.holds(50 * MIB).end_call().reading() == {
        "bytes": CONTEXT + 50 * MIB,
        "exactness": "sampled",
        "source": "the device's difference, an estimate, for under WSL2 the driver does not say what a process holds",
        "device": CARD,
    }


def test_a_difference_is_not_the_tests_where_others_are_on_the_card(watch):
    cards = [StubCard(foreign=[Foreign(pid=3_999_999, bytes=GIB, name="/usr/bin/blender")])]
    watched = watch(cards=cards, process_list="unavailable", exclusive=[CARD], around=WSL)
    assert watched.holds(50 * MIB).end_call().reading() == {
        "not_measured": "under WSL2 the driver does not say what a process holds, and the card was not the test's"
        " alone: blender (pid 3999999)",
        "device": CARD,
    }


def test_a_test_that_uses_no_gpu_costs_no_call_and_is_not_measured(watch):
    watched = watch()
    watched.sample().ask("call_ended")
    assert watched.reading() == {"not_measured": "the test used no GPU"}
    assert watched.machine.all_calls() == {}


# Driver by driver

DRIVERS = {
    "before 535.113 in a container": (
        {"driver_version": "525.60.13", "process_list": "host"},
        NAMESPACE,
        "driver 525.60.13 lists processes by the host's ids, which are not those of this container",
    ),
    "535.113 to 560 in a container": (
        {"driver_version": "550.54.14", "process_list": "zero"},
        NAMESPACE,
        "driver 550.54.14 says 0 bytes of every process in a container",
    ),
    "a sandbox that shows the host's ids": (
        {"driver_version": "580.65.06", "process_list": "host"},
        NAMESPACE,
        "driver 580.65.06 does not list the process, whose id is a container's own",
    ),
    "WSL2": (
        {"driver_version": "581.29", "process_list": "unavailable"},
        WSL,
        "under WSL2 the driver does not say what a process holds",
    ),
    "no permission": (
        {"process_list": "no permission"},
        None,
        "the driver gives this user no permission to ask (Insufficient Permissions)",
    ),
}


@pytest.mark.parametrize(("described", "around", "reason"), DRIVERS.values(), ids=DRIVERS)
def test_what_the_driver_does_not_tell_is_not_measured_with_its_reason(watch, described, around, reason):
    watched = watch(around=around, **described).holds(50 * MIB).sample().end_call()
    assert watched.reading() == {"not_measured": reason, "device": CARD}


@pytest.mark.parametrize("version", ["525.60.13", "550.54.14", "565.57.01", "580.65.06"])
def test_outside_containers_every_driver_tells(watch, version):
    around = {"own_pids": False, "wsl": False}
    assert watch(driver_version=version, around=around).holds().end_call().reading()["bytes"] == CONTEXT


def test_since_565_a_container_is_told(watch):
    watched = watch(driver_version="565.57.01", around=NAMESPACE, accounting=1, accounting_is_blind=1)
    reading = watched.holds(50 * MIB).end_call().reading()
    assert (reading["bytes"], reading["exactness"]) == (CONTEXT + 50 * MIB, "lower-bound")


def test_an_id_that_is_the_same_by_chance_is_not_taken_for_the_tests(watch):
    watched = watch(driver_version="525.60.13", process_list="host", host_pid_offset=0, around=NAMESPACE, accounting=1)
    watched.holds(50 * MIB).sample()
    assert "the host's ids" in watched.end_call().reading()["not_measured"]


def test_scrambled_lists_are_a_reason_and_no_numbers(watch):
    watched = watch(driver_version="535.54.03", process_list="scrambled")
    reason = watched.holds(50 * MIB).sample().end_call().reading()["not_measured"]
    assert reason.startswith("the driver's list of processes cannot be right (process ")
    assert reason.endswith("as with the first drivers of the 535 series; a newer driver mends it")


def test_without_the_drivers_library_the_way_to_it_is_said(watch):
    watched = watch(nvml=False).holds(50 * MIB).sample().end_call()
    assert watched.reading() == {
        "not_measured": "the library by which NVIDIA's driver is asked (libnvidia-ml.so.1) is not installed;"
        " a container has it if NVIDIA_DRIVER_CAPABILITIES names utility",
        "device": CARD,
    }


def test_a_driver_that_dies_in_the_middle_leaves_what_was_seen(watch):
    watched = watch().holds(50 * MIB).sample()
    watched.machine.nvml_lost = 1
    assert watched.end_call().reading() == {
        "bytes": CONTEXT + 50 * MIB,
        "exactness": "sampled",
        "source": f"{LIST}, read every 100 ms at best, incomplete: the driver has lost the GPU (GPU is lost)",
        "device": CARD,
    }


def test_a_driver_that_dies_before_anything_was_seen_is_not_measured(watch):
    watched = watch().holds(50 * MIB)
    watched.machine.nvml_lost = 1
    watched.sample().end_call()
    assert watched.reading() == {"not_measured": "the driver has lost the GPU (GPU is lost)", "device": CARD}


@pytest.mark.parametrize("calls", range(0, 40, 3))
def test_a_driver_may_die_at_any_call(watch, calls):
    watched = watch(exclusive=[CARD], nvml_calls_left=calls)
    watched.holds(50 * MIB).sample().end_call().ask("ended")
    reading = watched.reading()
    assert reading.get("bytes", CONTEXT + 50 * MIB) == CONTEXT + 50 * MIB
    assert reading.get("not_measured", "").startswith("the driver has lost the GPU" if "bytes" not in reading else "")


# Cards


@pytest.mark.parametrize("name", ["NVIDIA Stand-in MIG 1g.1gb", "by which CUDA does not tell a part from a card"])
def test_a_part_of_a_card_is_asked_for_itself(watch, name):
    part = StubMig(total_bytes=GIB, uuid=PART)
    cards = [StubCard(name=name, mig=[part])]
    watched = watch(cards=cards, exclusive=[PART]).holds(50 * MIB).sample()
    reading = watched.end_call().reading()
    assert (reading["bytes"], reading["device"]) == (CONTEXT + 50 * MIB, PART)


def test_cards_are_told_apart_by_uuid_and_not_by_index(watch):
    watched = watch(cards=[StubCard(), StubCard()])
    watched.worker.do("setattr(card, 'ordinal', 1)")
    reading = watched.holds(50 * MIB).sample().end_call().reading()
    assert reading["device"] == "GPU-00000002-0000-4000-8000-000000000002"
    assert reading["bytes"] == CONTEXT + 50 * MIB


def test_once_it_is_known_which_cards_are_used_no_others_are_read(watch):
    watched = watch(cards=[StubCard(), StubCard()])
    watched.worker.do("card.use()")
    watched.sample()
    watched.cards = watched.worker.do("cards()")
    watched.ask("uses")
    before = watched.controller.do("driver.list_calls")
    watched.sample()
    assert watched.controller.do("driver.list_calls") == before + 1


def test_a_card_without_a_uuid_is_found_by_its_pci_bus_id(watch):
    watched = watch(cards=[StubCard(), StubCard()]).holds(50 * MIB)
    watched.cards = [{**watched.worker.do("cards()")[0], "uuid": ""}]
    watched.ask("call_ended")
    assert watched.reading()["device"] == CARD


def test_every_card_has_its_reading_in_their_order(watch):
    watched = watch(cards=[StubCard(), StubCard()]).holds(50 * MIB)
    watched.worker.do("setattr(card, 'ordinal', 1)")
    watched.holds(80 * MIB).end_call()
    sizes = [reading["bytes"] for reading in watched.ask("reading", "growth")]
    assert sizes == [CONTEXT + 50 * MIB, CONTEXT + 80 * MIB]


# Who else is there


def test_others_on_the_card_are_named(watch):
    hostile = "\x1b[2Jpython\n" + "x" * 40
    watched = watch(cards=[StubCard(foreign=[Foreign(pid=3_999_999, bytes=GIB, name=hostile)])]).holds().end_call()
    shown = r"\x1b[2Jpython\n" + "x" * 40
    assert watched.notes() == [f"on {CARD} beside the test: {shown} (pid 3999999): 1.00 GiB"]
    assert watched.reading()["bytes"] == CONTEXT


def test_what_the_test_started_is_named_and_not_added(watch):
    watched = watch(exclusive=[CARD]).holds(50 * MIB)
    watched.worker.do(
        "globals().update(started=__import__('subprocess').Popen([sys.executable, '-c', "
        + repr(_PRELUDE + _WORKER + "card.use(); print('up', flush=True); sys.stdin.read()")
        + "], stdin=-1, stdout=-1, text=True))"
    )
    pid = watched.worker.do("started.stdout.readline() and started.pid")
    watched.end_call()
    assert watched.reading()["bytes"] == CONTEXT + 50 * MIB
    [note] = watched.notes()
    assert note.startswith(f"on {CARD}, started by the test and not counted in gpu_footprint: ")
    assert note.endswith(f"(pid {pid}): 300.0 MiB")


# Cost


def test_lists_are_read_at_most_ten_times_a_second(watch):
    watched = watch(cards=[StubCard()] * 4)
    for ordinal in range(4):
        watched.worker.do(f"setattr(card, 'ordinal', {ordinal})")
        watched.worker.do("card.use()")
    watched.cards = watched.worker.do("cards()")
    watched.ask("uses")
    seconds = watched.controller.do("drive(1.0)")
    calls = watched.controller.do("driver.list_calls")
    assert 4 <= calls <= 4 + 10 * seconds


# Over time


def test_the_timeline_has_the_most_of_each_stretch(watch):
    watched = watch(exclusive=[CARD]).holds(50 * MIB).sample()
    watched.worker.do("card.free()")
    watched.end_call()
    assert watched.controller.do("points()") == [CONTEXT + 50 * MIB, CONTEXT]
    [told] = watched.controller.do("msgspec.to_builtins(footprint.timeline([0.0, 3600.0]))")
    assert (told["device"], told["bytes"]) == (CARD, [CONTEXT + 50 * MIB, None])
    assert told["source"] == "in use on the card, beyond what was before the test"
