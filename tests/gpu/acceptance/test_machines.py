"""What a session does on machines whose GPUs, drivers and runtimes are not as one would wish."""

from __future__ import annotations

import pytest

from tests.gpu.acceptance.test_figures import AHEAD, TENSORS, figures_of
from tests.gpu_stub.machine import StubCard

# Of one session, most of which is the import of TensorFlow; tests below say what each file is to show.
FILES = {
    "test_changing.py": """
    @budget(gpu="1 GiB")
    def test_changed():
        os.environ.pop("TF_GPU_ALLOCATOR")
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        on_gpu(1)

    @pytest.fixture
    def changed():
        os.environ.pop("TF_GPU_ALLOCATOR")
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        on_gpu(1)

    @budget(gpu="1 GiB")
    def test_changed_in_setup(changed):
        pass

    @budget(gpu="1 GiB")
    def test_unchanged():
        on_gpu(1)
    """,
    "test_warming_up.py": """
    first = []

    def body():
        if not first:
            on_gpu(32)
            first.append(True)
        on_gpu(2)

    @budget(gpu="1 GiB")
    def test_cold():
        body()

    @budget(gpu="1 GiB", warmup=2)
    def test_warm():
        body()
        note("called")
    """,
    "test_limit.py": """
    @pytest.mark.tf_runtime(allocator="cuda_malloc_async", memory_limit="8 MiB")
    def test_over():
        on_gpu(9)
    """,
    "test_cpu.py": """
    @budget(cpu_tensors="20 MiB")
    @pytest.mark.tf_runtime(cpu_allocator="bfc")
    def test_counted():
        import tensorflow as tf
        with tf.device("CPU:0"):
            tf.zeros((4, 1 << 18))

    @budget(cpu_tensors="20 MiB")
    def test_not_counted():
        import tensorflow as tf
        with tf.device("CPU:0"):
            tf.zeros((4, 1 << 18))
    """,
}


@pytest.fixture(scope="module")
def ended():
    """The session of FILES, once the first test that needs it has run it."""
    return []


@pytest.fixture
def on_one_card(gpu_project, ended):
    if not ended:
        for path, text in FILES.items():
            gpu_project.write(path, TENSORS + text)
        ended.append(gpu_project.run(AHEAD))
    return ended[0]


def outcomes(ran, *names):
    return {name: ran.outcomes[name] for name in names}


@pytest.mark.stub
@pytest.mark.of_any_start_method
@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_the_default_falls_back_where_tensorflow_would_abort_and_says_so_once(on, new_stub, workers):
    project = on(new_stub(cards=[StubCard(has_pools=False)]).environment())
    project.write(
        "test_a.py",
        TENSORS
        + """
    @budget(gpu="1 GiB")
    @pytest.mark.parametrize("number", range(4))
    def test_a(number):
        on_gpu(1)
    """,
    )
    ran = project.run(AHEAD, *workers)
    assert set(ran.outcomes.values()) == {"passed"}
    assert {measured["allocator"] for measured in ran.measured.values()} == {"growth"}
    said = "cuda_malloc_async is not possible here (NVIDIA Stand-in has no memory pools): growth is used"
    assert ran.text.count(said) == 1


@pytest.mark.of_any_start_method
def test_another_allocator_than_was_asked_for_is_an_error_of_that_test(on_one_card):
    ran = on_one_card
    expected = {"test_changed": "failed", "test_changed_in_setup": "error", "test_unchanged": "passed"}
    assert outcomes(ran, *expected) == expected
    assert "cuda_malloc_async was asked for, but TensorFlow's BFC allocator" in ran.text
    assert ran.measured["test_changed"]["allocator"] == "growth"


@pytest.mark.of_any_start_method
def test_a_warm_up_call_keeps_what_only_a_first_call_takes_out_of_the_peak(on_one_card):
    ran = on_one_card
    cold, warm = (figures_of(ran.measured[name], "gpu") for name in ("test_cold", "test_warm"))
    assert 32 << 20 <= cold["bytes"] < 33 << 20
    assert 2 << 20 <= warm["bytes"] < 3 << 20
    assert cold["source"] == "cuda_malloc_async (tensorflow)"
    assert warm["source"] == "cuda_malloc_async (tensorflow), after 2 warm-up calls"
    assert ran.notes == ["called"] * 3


@pytest.mark.of_any_start_method
def test_a_limit_that_async_does_not_enforce_is_judged(on_one_card):
    ran = on_one_card
    assert outcomes(ran, "test_over") == {"test_over": "failed"}
    assert "memory budget exceeded: gpu 9.0 MiB > 8.0 MiB" in ran.text
    assert "cuda_malloc_async does not enforce memory_limit: it is judged as a limit on gpu" in ran.text


@pytest.mark.of_any_start_method
def test_a_timeout_leaves_bfc_the_ten_seconds_in_which_it_tries_again(gpu_project):
    gpu_project.write(
        "test_a.py",
        TENSORS
        + """
    import time

    @budget(gpu="1 GiB", timeout=3)
    @pytest.mark.tf_runtime(memory_limit="8 MiB")
    def test_refused():
        on_gpu(9)

    @budget(gpu="1 GiB", timeout=3)
    @pytest.mark.tf_runtime(memory_limit="8 MiB")
    def test_slow():
        time.sleep(3.5)

    @budget(gpu="1 GiB", timeout=1)
    def test_under_async():
        time.sleep(60)
    """,
    )
    ran = gpu_project.run(AHEAD)
    assert ran.outcomes == {"test_refused": "failed", "test_slow": "failed", "test_under_async": "failed"}
    refused, slow, under_async = ran.measured.values()
    assert refused["out_of_memory"].startswith("out of memory on GPU:0: 9.0 MiB were asked for (float32 [9,262144])")
    assert refused["out_of_memory"].endswith("of the 8.0 MiB that tf_runtime(memory_limit=...) allows")
    assert refused["died"] == ""
    assert slow["died"] == "timeout: the test was still in call after 3 s, and was ended"
    assert under_async["died"] == "timeout: the test was still in call after 1 s, and was ended"


@pytest.mark.stub
@pytest.mark.of_any_start_method
def test_a_driver_that_is_lost_in_the_middle_costs_the_footprint_and_no_more(on, new_stub):
    machine = new_stub()
    project = on(machine.environment())
    project.write(
        "test_a.py",
        TENSORS
        + """
    import sys
    sys.path.insert(0, os.environ["ROOT"])
    from tests.gpu_stub.machine import StubMachine

    @budget(gpu="1 GiB")
    def test_before():
        on_gpu(1)

    @budget(gpu="1 GiB", gpu_footprint="1 GiB")
    def test_lost():
        on_gpu(1)
        StubMachine.opened(os.environ["TFMEM_STUB_MACHINE"]).nvml_lost = True

    @budget(rss="4 GiB")
    def test_after():
        pass
    """,
    )
    ran = project.run(AHEAD)
    assert ran.outcomes == {"test_before": "passed", "test_lost": "passed", "test_after": "passed"}
    assert figures_of(ran.measured["test_before"], "gpu_footprint")["exactness"] == "lower-bound"
    lost = ran.measured["test_lost"]
    assert figures_of(lost, "gpu")["exactness"] == "exact"  # the allocator's own count needs no NVML
    footprint = figures_of(lost, "gpu_footprint")
    assert footprint.get("exactness", "sampled") == "sampled"
    assert "GPU is lost" in footprint.get("not_measured", footprint.get("source"))


@pytest.mark.stub
@pytest.mark.of_any_start_method
def test_sizes_of_zero_in_a_container_are_not_believed(on, new_stub):
    machine = new_stub(driver_version="550.54.14", process_list="zero")
    project = on(machine.environment())
    project.write("test_a.py", TENSORS + "\n    @budget\n    def test_a():\n        on_gpu(1)\n")
    (measured,) = project.run().measured.values()
    footprint = figures_of(measured, "gpu_footprint")
    assert "bytes" not in footprint
    assert "550.54.14" in footprint["not_measured"]


@pytest.mark.stub
@pytest.mark.of_any_start_method
def test_why_tensorflow_ended_the_process_is_told(on, new_stub):
    project = on(new_stub(cards=[StubCard(has_pools=False)]).environment())
    project.write(
        "test_a.py",
        TENSORS
        + """
    @budget(rss="4 GiB")
    def test_a():
        os.environ["TF_GPU_ALLOCATOR"] = "cuda_malloc_async"
        on_gpu(1)
    """,
    )
    ran = project.run()
    assert ran.outcomes == {"test_a": "failed"}
    assert "died of SIGABRT in call" in ran.measured["test_a"]["died"]
    assert "cuda_malloc_async" in ran.measured["test_a"]["died"]


@pytest.mark.of_any_start_method
def test_tensors_of_the_cpu_are_counted_where_the_runtime_says_so(on_one_card):
    measured = on_one_card.measured
    assert 4 << 20 <= measured["test_counted"]["readings"]["cpu_tensors"]["bytes"] <= 16 << 20
    assert "cpu_allocator" in measured["test_not_counted"]["readings"]["cpu_tensors"]["not_measured"]
