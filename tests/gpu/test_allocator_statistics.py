"""What a process's allocators say of a script of tensors, to the byte, and which allocator is found in force."""

from __future__ import annotations

import pytest

from tests.gpu_stub.machine import GIB, StubCard

MIB = 1 << 20
# Tensors by conversion, which runs no operation; a GPU's first tensor has TensorFlow allocate for the device, too.
SCRIPT = """
import msgspec, numpy as np
from pytest_tfmem.measure.allocator import DeviceReader

reader = DeviceReader(sys.argv[1] if len(sys.argv) > 1 else "")

def on(device, size):
    with tf.device(device):
        return tf.constant(np.zeros(size, np.uint8))

def read():
    told = msgspec.to_builtins(reader.read())
    told["by_device"] = {mark["device"]: mark for mark in told["allocators"]}
    return told
"""
PHASES = """
told = []
kept = on("GPU:0", 1000)
reader.reset()
told.append(read())                                     # 1,000 bytes, and what the device has for itself
a, b = on("GPU:0", 3 << 20), on("GPU:0", 300)
del a
told.append(read())
reader.reset()
told.append(read())
c = on("GPU:0", 5000)
told.append(read())
tell(told)
"""


def peaks(told, device="GPU:0"):
    return [(phase["by_device"][device]["in_use"], phase["by_device"][device]["peak"]) for phase in told]


@pytest.fixture
def run_script(run_tensorflow):
    """Runs code after SCRIPT, with these variables; `asked` is the allocator that the reader is told of."""

    def run(code, environment, *, asked=None, **variables):
        named = f"sys.argv[1:] = [{asked!r}]\n" if asked else ""
        return run_tensorflow(named + SCRIPT + code, env={**environment, **variables})

    return run


def test_cuda_malloc_async_is_counted_in_bytes_requested(run_script, gpu_environment):
    told = run_script(PHASES, gpu_environment, TF_GPU_ALLOCATOR="cuda_malloc_async")
    (base, _), *_ = read = peaks(told)
    held = base + 300
    assert read == [(base, base), (held, base + (3 << 20) + 300), (held, held), (held + 5000, held + 5000)]
    assert {phase["by_device"]["GPU:0"]["allocator"] for phase in told} == {"cuda_malloc_async"}
    assert told[1]["by_device"]["GPU:0"]["requested_peak"] == told[1]["by_device"]["GPU:0"]["peak"]


@pytest.mark.parametrize("growth", ["true", "false"])
def test_bfc_is_counted_in_chunks_of_256_bytes(run_script, gpu_environment, growth):
    limit = "tf.config.set_logical_device_configuration(tf.config.list_physical_devices('GPU')[0],"
    limit += " [tf.config.LogicalDeviceConfiguration(memory_limit=64)])\n"
    told = run_script(limit + PHASES, gpu_environment, TF_FORCE_GPU_ALLOW_GROWTH=growth)
    (base, _), *_ = read = peaks(told)
    held = base + 512
    # A region that grows is as large as the 3 MiB need, and what is left of it is not worth splitting off.
    large = 4 * MIB if growth == "true" else 3 * MIB
    assert read == [(base, base), (held, base + large + 512), (held, held), (held + 5120, held + 5120)]
    mark = told[3]["by_device"]["GPU:0"]
    assert (mark["allocator"], mark["limit"]) == ("growth" if growth == "true" else "bfc", 64 * MIB)
    assert mark["requested_peak"] is None


def test_cuda_malloc_has_no_statistics_and_says_so(run_script, gpu_environment):
    told = run_script(PHASES, gpu_environment, TF_GPU_ALLOCATOR="cuda_malloc")
    marks = [phase["by_device"]["GPU:0"] for phase in told]
    assert {(mark["allocator"], mark["why_not"]) for mark in marks} == {
        ("cuda_malloc", "cuda_malloc keeps no statistics")
    }


def test_pools_have_high_water_marks_that_a_phase_resets(run_script, gpu_environment):
    told = run_script(PHASES, gpu_environment, TF_GPU_ALLOCATOR="cuda_malloc_async")
    pools = [phase["pools"][0] for phase in told]
    in_use = [phase["by_device"]["GPU:0"]["in_use"] for phase in told]
    assert pools[1]["used_peak"] >= 3 * MIB > pools[2]["used_peak"] >= in_use[2]
    assert all(pool["reserved_peak"] >= pool["used_peak"] for pool in pools)
    assert {pool["card"] for pool in pools} == {told[0]["cards"][0]["uuid"]}


@pytest.mark.stub
def test_each_gpu_is_read_apart_and_on_its_card(run_script, new_stub):
    machine = new_stub(cards=[StubCard(), StubCard(total_bytes=4 * GIB)])
    code = """
first, second = tf.config.list_physical_devices("GPU")
tf.config.set_logical_device_configuration(
    second, [tf.config.LogicalDeviceConfiguration(memory_limit=limit) for limit in (100, 50.5)]
)
held = [on("GPU:1", 1000), on("GPU:2", 3 << 20)]
tell(read())
"""
    told = run_script(code, machine.environment())
    one, other = (card.uuid for card in machine.cards)
    shown = [(mark["device"], mark["card"], mark["limit"]) for mark in told["allocators"][:3]]
    assert shown == [("GPU:0", one, None), ("GPU:1", other, 100 * MIB), ("GPU:2", other, int(50.5 * MIB))]
    unused, used, larger = told["allocators"][:3]
    assert (unused["peak"], unused["unverified"]) == (0, "GPU:0 has not been used")
    assert 1024 <= used["peak"] < 4096
    assert larger["in_use"] - used["in_use"] == 3 * MIB - 1024


@pytest.mark.stub
def test_a_card_that_tensorflow_hides_leaves_the_others_their_own(run_script, new_stub):
    machine = new_stub(cards=[StubCard(), StubCard(), StubCard()])
    code = """
gpus = tf.config.list_physical_devices("GPU")
tf.config.set_visible_devices([gpus[2], gpus[1]], "GPU")
held = on("GPU:0", 1000)
tell(read())
"""
    told = run_script(code, machine.environment())
    cards = [mark["card"] for mark in told["allocators"] if mark["device"] != "CPU:0"]
    assert cards == [machine.cards[2].uuid, machine.cards[1].uuid]


@pytest.mark.stub
def test_a_card_that_tensorflow_leaves_out_makes_all_of_them_unknown_rather_than_guessed(run_script, new_stub):
    machine = new_stub(cards=[StubCard(compute_capability=(3, 0)), StubCard()])
    told = run_script("held = on('GPU:0', 1000)\ntell(read())", machine.environment())
    assert [mark["card"] for mark in told["allocators"] if mark["device"] != "CPU:0"] == [""]


@pytest.mark.stub
def test_asking_starts_nothing(run_script, stub):
    code = """
def state():
    threads = [open(f"/proc/self/task/{thread}/comm").read() for thread in os.listdir("/proc/self/task")]
    return [sorted(threads), "libcuda.so" in open("/proc/self/maps").read()]

def asked():
    before = state()
    reader.reset()
    told = reader.read()
    return [before == state(), len(told.allocators), len(told.cards), told.unread]

told = [asked()]
tf.config.list_physical_devices("GPU")
told += [asked()]
tell(told)
"""
    assert run_script(code, stub.environment()) == [[True, 0, 0, ""], [True, 0, 0, ""]]
    assert stub.calls("cuDevicePrimaryCtxRetain") == 0


def test_finding_out_what_is_in_force_leaves_the_figures_as_they_were(run_script, gpu_environment):
    code = """
held = on("GPU:0", 1000)
info = tf.config.experimental.get_memory_info
before = info("GPU:0")
first = read()
after = info("GPU:0")
tell([before, first["by_device"]["GPU:0"], after])
"""
    for allocator, most in (("cuda_malloc_async", 250), (None, 256)):
        variables = {"TF_GPU_ALLOCATOR": allocator} if allocator else {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        before, read, after = run_script(code, gpu_environment, **variables)
        assert (read["in_use"], read["peak"]) == (before["current"], before["peak"])
        assert after["current"] == before["current"]
        assert 0 <= after["peak"] - before["peak"] <= most


@pytest.mark.parametrize(
    ("asked", "code", "found"),
    [
        ("cuda_malloc_async", "os.environ.pop('TF_GPU_ALLOCATOR')", "that grows is in force on GPU:0"),
        ("cuda_malloc", "os.environ['TF_GPU_ALLOCATOR'] = 'cuda_malloc_async'", "but cuda_malloc_async is in force"),
        ("growth", "os.environ['TF_GPU_ALLOCATOR'] = 'cuda_malloc'", "but cuda_malloc is in force on GPU:0."),
        ("growth", "os.environ['TF_FORCE_GPU_ALLOW_GROWTH'] = 'false'", "which takes all that it may at once,"),
    ],
    ids=["not-async", "not-cuda_malloc", "not-bfc", "not-growth"],
)
def test_a_test_that_changes_what_it_runs_on_is_told(run_script, gpu_environment, asked, code, found):
    # What the variables say when it is read back is again what was asked for: only the tensor's cost can tell.
    script = f"""
asked = dict(os.environ)
{code}
held = on("GPU:0", 1000)
os.environ.update(asked)
if "TF_GPU_ALLOCATOR" not in asked:
    os.environ.pop("TF_GPU_ALLOCATOR", None)
tell([read()["problem"], read()["problem"]])
"""
    variables = {"TF_GPU_ALLOCATOR": asked} if asked != "growth" else {}
    told, again = run_script(script, gpu_environment, asked=asked, TF_FORCE_GPU_ALLOW_GROWTH="true", **variables)
    assert told.startswith(f"{asked} was asked for, but ")
    assert found in told
    assert told.endswith(
        "TensorFlow's variables said something else when it made its devices;"
        " look for os.environ in the test's file, its conftest.py and its fixtures"
    )
    assert again == ""


def test_what_is_in_force_is_found_under_mixed_precision_and_as_soon_as_eager_execution_is_back(
    run_script, gpu_environment
):
    code = """
tf.keras.mixed_precision.set_global_policy("mixed_float16")
held = on("GPU:0", 1000)
graph = tf.Graph()
with graph.as_default():
    inside = read()["by_device"]["GPU:0"]["unverified"]
tell([inside, len(graph.get_operations()), read()["by_device"]["GPU:0"]["unverified"]])
"""
    told = run_script(code, gpu_environment, TF_GPU_ALLOCATOR="cuda_malloc_async")
    assert told == ["a tensor could not be made on GPU:0 (eager execution is disabled)", 0, ""]


def test_without_eager_execution_it_says_that_it_could_not_be_found(run_script, gpu_environment):
    code = """
held = on("GPU:0", 1000)
tf.compat.v1.disable_eager_execution()
told = read()
mark = told["by_device"]["GPU:0"]
tell([mark["allocator"], mark["unverified"], told["problem"], told["unread"]])
"""
    told = run_script(code, gpu_environment, asked="growth", TF_GPU_ALLOCATOR="cuda_malloc_async")
    assert told == ["cuda_malloc_async", "a tensor could not be made on GPU:0 (eager execution is disabled)", "", ""]


@pytest.mark.stub
def test_a_probe_sees_what_a_process_with_its_variables_would(new_stub):
    from pytest_tfmem.measure.cuda import probe_cards

    machine = new_stub(cards=[StubCard(), StubCard(total_bytes=4 * GIB, has_pools=False)], cuda_driver_version=12040)
    environment = machine.environment()
    both = probe_cards(environment)
    assert ([card.uuid for card in both.cards], both.cuda_version) == ([card.uuid for card in machine.cards], 12040)
    turned = probe_cards({**environment, "CUDA_VISIBLE_DEVICES": "1,0"})
    assert [card.total_bytes for card in turned.cards] == [4 * GIB, 8 * GIB]
    assert turned.why_no_async() == "NVIDIA Stand-in has no memory pools"
    assert probe_cards({**environment, "CUDA_VISIBLE_DEVICES": both.cards[0].uuid}).why_no_async() == ""
    assert probe_cards({**environment, "CUDA_VISIBLE_DEVICES": "-1"}).problem.startswith(
        "cuInit failed with CUDA_ERROR"
    )
