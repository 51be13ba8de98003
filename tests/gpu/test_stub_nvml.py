"""The stand-in NVML, by NVIDIA's own bindings: the cards, whose memory is whose, and a driver that fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.gpu_stub.machine import GIB, MIB, Foreign, StubCard, StubMig
from tests.isolate.fresh import told

pytestmark = pytest.mark.stub

HELD = 300 * MIB + 10 * MIB
PRELUDE = """
import ctypes, os
import pynvml as nvml
from tests.gpu_stub.machine import Foreign, StubMachine
machine = StubMachine.opened(os.environ["TFMEM_STUB_MACHINE"])

def hold(size=10 << 20):
    cuda, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p()
    assert cuda.cuInit(0) == cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
    assert cuda.cuCtxSetCurrent(context) == cuda.cuMemAlloc_v2(ctypes.byref(context), ctypes.c_size_t(size)) == 0

def error_of(function, *arguments):
    try:
        function(*arguments)
    except nvml.NVMLError as error:
        return type(error).__name__

def card(index=0):
    return nvml.nvmlDeviceGetHandleByIndex(index)

def listed(handle=None, function=nvml.nvmlDeviceGetComputeRunningProcesses):
    return [["own" if it.pid == os.getpid() else it.pid, it.usedGpuMemory] for it in function(handle or card())]

"""


def on(machine, code, *, initialised=True, **environment):
    first = "nvml.nvmlInit()\n" if initialised else ""
    return told(PRELUDE + first + code, environment={**machine.environment(), **environment})


def test_the_driver_says_what_the_machine_has_it_say(new_stub):
    machine = new_stub(driver_version="537.13", cuda_driver_version=12020)
    code = "tell([nvml.nvmlSystemGetDriverVersion(), nvml.nvmlSystemGetCudaDriverVersion_v2()])"
    assert on(machine, code) == ["537.13", 12020]


def test_cards_are_found_by_place_bus_id_and_uuid(new_stub):
    machine = new_stub(cards=[StubCard(), StubCard(name="the other", pci_bus_id="0000:8a:00.0", uuid="GPU-12ab")])
    code = """
handles = [card(1), nvml.nvmlDeviceGetHandleByUUID("GPU-12ab"), nvml.nvmlDeviceGetHandleByPciBusId("0000:8a:00.0"),
           nvml.nvmlDeviceGetHandleByPciBusId("00000000:8A:00.0")]
pci = nvml.nvmlDeviceGetPciInfo(card(1))
tell([nvml.nvmlDeviceGetCount(), [nvml.nvmlDeviceGetName(handle) for handle in handles]])
tell([nvml.nvmlDeviceGetIndex(card(1)), nvml.nvmlDeviceGetUUID(card(1)), pci.busId, pci.busIdLegacy, pci.bus])
tell([error_of(card, 2), error_of(nvml.nvmlDeviceGetHandleByUUID, "GPU-no"),
      error_of(nvml.nvmlDeviceGetHandleByPciBusId, "0000:77:00.0")])
"""
    found, said, errors = on(machine, code)
    assert found == [2, ["the other"] * 4]
    assert said == [1, "GPU-12ab", "00000000:8A:00.0", "0000:8A:00.0", 0x8A]
    assert errors == ["NVMLError_InvalidArgument", "NVMLError_NotFound", "NVMLError_NotFound"]


def test_memory_counts_what_processes_hold_and_the_first_version_what_is_reserved_too(new_stub):
    machine = new_stub(cards=[StubCard(reserved_bytes=400 * MIB, foreign=[Foreign(pid=4_000_000, bytes=GIB)])])
    code = """
hold()
for it in nvml.nvmlDeviceGetMemoryInfo(card()), nvml.nvmlDeviceGetMemoryInfo(card(), version=nvml.nvmlMemory_v2):
    tell([it.total, it.used, it.free, getattr(it, "reserved", None)])
"""
    first, second = on(machine, code)
    free = 8 * GIB - 400 * MIB - GIB - HELD
    assert first == [8 * GIB, 400 * MIB + GIB + HELD, free, None]
    assert second == [8 * GIB, GIB + HELD, free, 400 * MIB]


def test_a_card_without_memory_of_its_own_cannot_tell(new_stub):
    machine = new_stub(cards=[StubCard(has_memory_info=False)])
    assert on(machine, "tell(error_of(nvml.nvmlDeviceGetMemoryInfo, card()))") == "NVMLError_NotSupported"


@pytest.mark.parametrize(
    ("process_list", "expected"),
    [
        ("namespace", [["own", HELD], [4_000_000, MIB]]),
        ("zero", [["own", 0], [4_000_000, 0]]),
        ("unavailable", [["own", None], [4_000_000, None]]),
        ("no permission", "NVMLError_NoPermission"),
    ],
)
def test_the_process_list_is_told_as_drivers_tell_it(new_stub, process_list, expected):
    machine = new_stub(cards=[StubCard(foreign=[Foreign(pid=4_000_000, bytes=MIB)])], process_list=process_list)
    assert on(machine, "hold(); tell(error_of(listed) or listed())") == expected


def test_numbers_of_the_host_are_not_those_that_processes_know(new_stub):
    machine = new_stub(process_list="host", host_pid_offset=5)
    assert on(machine, "hold(); tell(listed()[0][0] - os.getpid())") == 5


def test_a_scrambled_list_has_neither_true_numbers_nor_sizes(new_stub):
    [[pid, used]] = on(new_stub(process_list="scrambled"), "hold(); tell(listed())")
    assert pid != "own"
    assert used > 8 * GIB


def test_what_a_process_does_on_the_screen_is_in_the_other_list(new_stub):
    machine = new_stub(cards=[StubCard(foreign=[Foreign(pid=4_000_000, bytes=MIB, name="Xorg", is_graphics=True)])])
    code = """
tell([listed(), listed(function=nvml.nvmlDeviceGetGraphicsRunningProcesses),
      listed(function=nvml.nvmlDeviceGetMPSComputeRunningProcesses), nvml.nvmlSystemGetProcessName(4_000_000)])
"""
    assert on(machine, code) == [[], [[4_000_000, MIB]], [], "Xorg"]


def test_a_machine_changes_while_a_process_runs(stub):
    code = """
hold(); tell(listed())
machine.process_list = "zero"; tell(listed())
machine.process_list = "namespace"; machine.cards[0].foreign = [Foreign(7, 9)]; tell(listed())
"""
    assert on(stub, code) == [[["own", HELD]], [["own", 0]], [["own", HELD], [7, 9]]]


def die_holding(machine):
    """The id of a process that has held memory of the machine's and was killed."""
    code = PRELUDE + "hold(); os.kill(os.getpid(), 9)"
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **machine.environment()})
    assert process.wait() == -signal.SIGKILL
    return process.pid


def test_a_killed_process_is_in_no_list_and_in_the_accounts_of_the_ended(new_stub):
    machine = new_stub(accounting=True)
    killed = die_holding(machine)
    code = f"""
stats = nvml.nvmlDeviceGetAccountingStats(card(), {killed})
tell([listed(), nvml.nvmlDeviceGetMemoryInfo(card()).used, stats.maxMemoryUsage, stats.isRunning,
      nvml.nvmlDeviceGetAccountingPids(card())])
"""
    assert on(machine, code) == [[], 0, HELD, 0, [killed]]


def test_accounting_keeps_the_most_that_a_process_held(new_stub):
    code = """
hold(); stats = nvml.nvmlDeviceGetAccountingStats(card(), os.getpid())
tell([nvml.nvmlDeviceGetAccountingMode(card()), stats.maxMemoryUsage, stats.isRunning,
      nvml.nvmlDeviceGetAccountingPids(card()) == [os.getpid()],
      error_of(nvml.nvmlDeviceGetAccountingStats, card(), 4_000_000)])
"""
    assert on(new_stub(accounting=True), code) == [1, HELD, 1, True, "NVMLError_NotFound"]


def test_accounting_may_be_off_or_blind(new_stub):
    machine = new_stub()
    code = """
hold()
tell([nvml.nvmlDeviceGetAccountingMode(card()), error_of(nvml.nvmlDeviceGetAccountingStats, card(), os.getpid())])
machine.accounting = machine.accounting_is_blind = True
tell(nvml.nvmlDeviceGetAccountingStats(card(), os.getpid()).maxMemoryUsage)
"""
    assert on(machine, code) == [[0, "NVMLError_NotSupported"], 0]


def test_a_card_in_mig_mode_tells_nothing_and_its_devices_do(new_stub):
    uuid = "MIG-0000000a-0000-4000-8000-000000000000"
    machine = new_stub(cards=[StubCard(mig=[StubMig(total_bytes=GIB, uuid=uuid, instance=3)]), StubCard()])
    code = f"""
hold()
part = nvml.nvmlDeviceGetHandleByUUID("{uuid}")
tell([nvml.nvmlDeviceGetCount(), nvml.nvmlDeviceGetMigMode(card()), nvml.nvmlDeviceGetMigMode(card(1)),
      nvml.nvmlDeviceGetMaxMigDeviceCount(card())])
tell([error_of(nvml.nvmlDeviceGetMemoryInfo, card()), error_of(listed),
      error_of(nvml.nvmlDeviceGetAccountingStats, card(), 1)])
tell([listed(part), nvml.nvmlDeviceGetMemoryInfo(part).total, nvml.nvmlDeviceGetGpuInstanceId(part),
      nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetMigDeviceHandleByIndex(card(), 0)),
      nvml.nvmlDeviceIsMigDeviceHandle(part).value])
"""
    modes, refused, part = on(machine, code, CUDA_VISIBLE_DEVICES=uuid)
    assert modes == [2, [1, 1], [0, 0], 7]
    assert refused == ["NVMLError_NotSupported", "NVMLError_NoPermission", "NVMLError_NotSupported"]
    assert part == [[["own", HELD]], GIB, 3, uuid, 1]


def test_initialisation_fails_with_what_the_machine_says(new_stub):
    machine = new_stub(nvml_init_error=9)
    assert on(machine, "tell(error_of(nvml.nvmlInit))", initialised=False) == "NVMLError_DriverNotLoaded"


def test_nothing_is_answered_before_initialisation(stub):
    assert on(stub, "nvml._LoadNvmlLibrary(); tell(error_of(card))", initialised=False) == "NVMLError_Uninitialized"


def test_without_the_library_there_is_none(stub):
    code = PRELUDE + "tell(error_of(nvml.nvmlInit))"
    assert told(code, environment=stub.environment(nvml=False)) == "NVMLError_LibraryNotFound"


def test_a_driver_dies_after_so_many_calls(stub):
    code = """
machine.nvml_calls_left = 2
tell([error_of(nvml.nvmlDeviceGetCount) for _ in range(4)])
machine.nvml_calls_left = 2**64 - 1; tell(error_of(nvml.nvmlDeviceGetCount))
machine.nvml_lost = True; tell(error_of(nvml.nvmlDeviceGetCount))
"""
    assert on(stub, code) == [[None, None, *["NVMLError_GpuIsLost"] * 2], None, "NVMLError_GpuIsLost"]


def test_one_card_can_be_lost(new_stub):
    code = """
handle = card()
machine.cards[0].lost = True
tell([error_of(nvml.nvmlDeviceGetUUID, handle), error_of(card, 1)])
"""
    assert on(new_stub(cards=[StubCard(), StubCard()]), code) == ["NVMLError_GpuIsLost", None]


def test_calls_are_counted(stub):
    on(stub, "hold(); listed(); listed()")
    assert stub.calls("nvmlDeviceGetComputeRunningProcesses_v3") == 4  # the bindings ask for the number first
