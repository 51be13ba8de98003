"""The stand-in CUDA, as a process calls it: devices, contexts, memory and pools, and what is in the account of them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.gpu_stub.by_hand import Running, on
from tests.gpu_stub.machine import GIB, MIB, Foreign, StubCard, StubMig
from tests.isolate.fresh import told

pytestmark = pytest.mark.stub

CONTEXT = 300 * MIB


def test_nothing_is_answered_before_initialisation(stub):
    assert on(stub, "tell([number(cuda.cuDeviceGetCount), cuda.cuMemFree_v2(None)])") == [3, 3]


def test_a_fork_of_an_initialised_process_is_refused(stub):
    code = "use(); tell(in_fork(lambda: [number(cuda.cuDeviceGetCount), cuda.cuInit(0)]))"
    assert on(stub, code) == [3, 3]


def test_a_fork_of_a_process_that_has_not_initialised_has_a_context_of_its_own(stub):
    code = "tell(in_fork(lambda: [use(), usage()['context_bytes']])); tell(machine.used_bytes())"
    assert on(stub, code) == [[0, CONTEXT], 0]


def test_initialisation_fails_with_what_the_machine_says(new_stub):
    assert on(new_stub(cuda_init_error=804), "tell(cuda.cuInit(0))") == 804


SEVEN, NINE = "GPU-aaaaaaaa-0000-4000-8000-000000000007", "GPU-aaaabbbb-0000-4000-8000-000000000009"


@pytest.mark.parametrize(
    ("visible", "order", "expected"),
    [
        (None, None, ["faster", "slower"]),
        (None, "PCI_BUS_ID", ["slower", "faster"]),
        ("1", None, ["slower"]),
        ("1,0", None, ["slower", "faster"]),
        ("1", "PCI_BUS_ID", ["faster"]),
        (NINE, None, ["faster"]),
        ("GPU-aaaab", None, ["faster"]),
        ("GPU-aaaa", None, []),  # both begin so
        (f"{SEVEN},{NINE}", None, ["slower", "faster"]),
        ("0,7,1", None, ["faster"]),
        ("0,0", None, ["faster"]),
        ("", None, []),
        ("-1", None, []),
        ("NoDevFiles", None, []),
    ],
)
def test_the_devices_are_those_that_the_environment_names(new_stub, visible, order, expected):
    slower = StubCard(name="slower", uuid=SEVEN, compute_capability=(7, 5))
    machine = new_stub(cards=[slower, StubCard(name="faster", uuid=NINE, compute_capability=(9, 0))])
    code = """
def name(ordinal):
    text = ctypes.create_string_buffer(64)
    cuda.cuDeviceGetName(text, 64, ordinal)
    return text.value.decode()
error = cuda.cuInit(0)
tell([name(ordinal) for ordinal in range(number(cuda.cuDeviceGetCount))] if error == 0 else [])
"""
    assert on(machine, code, CUDA_VISIBLE_DEVICES=visible, CUDA_DEVICE_ORDER=order) == expected


def test_a_mig_device_is_one_of_its_own_and_its_card_is_none(new_stub):
    parts = [StubMig(total_bytes=GIB, uuid=f"MIG-0000000{n}-0000-4000-8000-000000000000", instance=n) for n in (1, 2)]
    machine = new_stub(cards=[StubCard(mig=parts)])
    code = """
use()
uuid = ctypes.create_string_buffer(16)
cuda.cuDeviceGetUuid_v2(uuid, 0)
allocate(1)
tell([number(cuda.cuDeviceGetCount), uuid.raw.hex()[:8], machine.used_bytes(0), usage(2)["requested_bytes"]])
"""
    assert on(machine, code, CUDA_VISIBLE_DEVICES=parts[1].uuid) == [1, "00000002", 0, 1]
    assert on(machine, "cuda.cuInit(0); tell(number(cuda.cuDeviceGetCount))", CUDA_VISIBLE_DEVICES=None) == 1


def test_a_device_says_what_the_machine_has_it_say(new_stub):
    machine = new_stub(cards=[StubCard(pci_bus_id="0000:8a:00.0", has_pools=False, compute_capability=(9, 0))])
    code = """
cuda.cuInit(0)
bus_id, uuid = ctypes.create_string_buffer(32), ctypes.create_string_buffer(16)
cuda.cuDeviceGetPCIBusId(bus_id, 32, 0)
cuda.cuDeviceGetUuid_v2(uuid, 0)
attributes = [number(cuda.cuDeviceGetAttribute, attribute, 0) for attribute in (115, 75, 33)]
pool_error = cuda.cuDeviceGetDefaultMemPool(ctypes.byref(ctypes.c_void_p()), 0)
tell([bus_id.value.decode(), uuid.raw.hex(), attributes, pool_error])
"""
    assert on(machine, code) == ["0000:8a:00.0", "00000001000040008000000000000001", [0, 9, 0x8A], 801]


def test_a_context_is_there_from_retaining_it_to_releasing_it(stub):
    code = """
def state():
    flags, active = ctypes.c_uint(), ctypes.c_int()
    cuda.cuDevicePrimaryCtxGetState(0, ctypes.byref(flags), ctypes.byref(active))
    return [active.value, machine.used_bytes()]
cuda.cuInit(0); tell(state())
use(); tell(state())
allocate(1); use(); cuda.cuDevicePrimaryCtxRelease_v2(0); tell(state())
cuda.cuDevicePrimaryCtxRelease_v2(0); tell(state())
"""
    assert on(stub, code) == [[0, 0], [1, CONTEXT], [1, CONTEXT + 2 * MIB], [0, 0]]


def test_allocations_are_in_the_account_to_the_byte_until_they_are_freed(stub):
    code = """
use()
sizes = [1, 511, 512, 513, 70_000, 3_000_000]
addresses = [allocate(size) for size in sizes]
tell(usage())
for address in addresses:
    assert cuda.cuMemFree_v2(address) == 0
assert cuda.cuMemFree_v2(addresses[0]) != 0
tell(usage())
"""
    held, freed = on(stub, code)
    allocated = 512 + 512 + 512 + 1024 + 70_144 + 3_000_320
    assert (held["requested_bytes"], held["allocated_bytes"]) == (3_071_537, allocated)
    assert (freed["requested_bytes"], freed["allocated_bytes"], freed["allocations"]) == (0, 0, 6)
    assert freed["peak_bytes"] == CONTEXT + 4 * MIB


def test_many_allocations_in_any_order_leave_nothing(stub):
    code = """
import random
use()
held = []
for _ in range(20_000):
    if held and random.random() < 0.5:
        assert cuda.cuMemFree_v2(held.pop(random.randrange(len(held)))) == 0
    else:
        held.append(allocate(random.randrange(1, 5000)))
for address in held:
    assert cuda.cuMemFree_v2(address) == 0
tell(usage()["allocated_bytes"])
"""
    assert on(stub, code) == 0


def test_each_card_has_its_own_allocations(new_stub):
    machine = new_stub(cards=[StubCard(), StubCard(total_bytes=GIB, context_bytes=MIB)])
    code = "use(0); use(1); allocate(5); use(0); allocate(7); tell([usage(0), usage(1), free_bytes()])"
    first, second, free = on(machine, code)
    assert (first["requested_bytes"], second["requested_bytes"]) == (7, 5)
    assert (first["context_bytes"], second["context_bytes"]) == (CONTEXT, MIB)
    assert free == 8 * GIB - CONTEXT - 2 * MIB


def test_what_others_hold_is_not_free_until_they_die(new_stub):
    foreign = Foreign(pid=4_000_000, bytes=GIB)
    machine = new_stub(cards=[StubCard(foreign=[foreign], reserved_bytes=400 * MIB)])
    alone = 8 * GIB - GIB - 400 * MIB - CONTEXT
    with Running(machine, "use(); allocate(100 * MIB)") as other:
        assert machine.processes()[other.pid].held_bytes == CONTEXT + 100 * MIB
        assert on(machine, "use(); tell(free_bytes())") == alone - CONTEXT - 100 * MIB
        other.kill()
        assert machine.processes() == {}
        assert on(machine, "use(); tell(free_bytes())") == alone


def test_a_full_card_refuses(new_stub):
    machine = new_stub(cards=[StubCard(total_bytes=GIB)])
    code = "use(); tell([allocate(724 * MIB).value > 0, allocate(1), machine.used_bytes()])"
    assert on(machine, code) == [True, 2, GIB]
    with Running(machine, "use(); allocate(700 * MIB)"):
        assert on(machine, "tell(use())") == 2  # no room for another context


def test_the_allocation_that_shall_fail_fails_and_no_other(new_stub):
    code = "use(); tell([allocate(8) == 2 for _ in range(4)])"
    assert on(new_stub(failing_allocation=3), code) == [False, False, True, False]


def test_a_card_that_is_lost_answers_nothing(stub):
    code = "use(); allocate(8); machine.cards[0].lost = True; tell([allocate(8), cuda.cuCtxSynchronize(), use()])"
    assert on(stub, code) == [999, 999, 999]


def test_processes_at_once_are_added_up_right(new_stub):
    machine = new_stub(cards=[StubCard(context_bytes=MIB)])
    churn = "use()\nfor _ in range(3000): cuda.cuMemFree_v2(allocate(5000))\nallocate(2 * MIB)"
    first, second, third = (Running(machine, churn) for _ in range(3))
    with first, second, third:
        assert machine.used_bytes() == 3 * 3 * MIB
        assert {usage.allocations for usage in machine.processes().values()} == {3001}


def test_who_dies_with_the_account_locked_locks_out_nobody(stub):
    code = """
import ctypes, os, signal
from tests.gpu_stub import layout
from tests.gpu_stub.by_hand import Running, on
from tests.gpu_stub.machine import StubMachine
machine = StubMachine.opened(os.environ["TFMEM_STUB_MACHINE"])
lock = ctypes.byref(machine._record, layout.Machine.lock.offset)
assert ctypes.CDLL(None).pthread_mutex_lock(lock) == 0
os.kill(os.getpid(), signal.SIGKILL)
"""
    ran = subprocess.run([sys.executable, "-c", code], env={**os.environ, **stub.environment()}, check=False)
    assert ran.returncode == -9
    assert on(stub, "tell(use())") == 0
    lock_again = code.partition("os.kill")[0] + "tell(machine.calls('cuInit'))"
    assert told(lock_again, environment=stub.environment()) == 1  # it is a lock still


def test_calls_are_counted_over_all_processes(stub):
    for _ in range(2):
        on(stub, "tell(use())")
    assert (stub.calls("cuInit"), stub.calls("cuMemAlloc_v2")) == (2, 0)


def test_a_process_without_a_machine_has_no_device(stub):
    assert on(stub, "os.environ.pop('TFMEM_STUB_MACHINE')\ntell(cuda.cuInit(0))") == 100
