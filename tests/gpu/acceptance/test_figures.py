"""What a test under a device limit reads, with the real TensorFlow on a GPU."""

from __future__ import annotations

import os

import pytest

# Imported by the tests alone, and ahead of them where several are forked: pytest's own process needs no TensorFlow to
# find them, and the import is most of what such a session takes.
TENSORS = """
    def on_gpu(mib):
        import tensorflow as tf
        with tf.device("GPU:0"):
            return tf.zeros((mib, 1 << 18))
"""


AHEAD = "-otfmem_preload=tensorflow"


def figures_of(measured, figure):
    (reading,) = measured["readings"][figure]
    return reading


def runs(promised, few):
    """How often a test repeats what may never vary: all that is promised only under TFMEM_TEST_RUNS=all."""
    return promised if os.environ.get("TFMEM_TEST_RUNS") == "all" else few


@pytest.mark.of_any_start_method  # tests/gpu/test_allocators.py has them in a new interpreter
def test_each_allocator_says_what_it_charged_and_the_tensors_are_the_same_under_all(gpu_project):
    gpu_project.write(
        "test_a.py",
        TENSORS
        + """
    @budget(gpu="1 GiB", gpu_tensors=True)
    @pytest.mark.tf_runtime(allocator=["cuda_malloc_async", "growth", "bfc", "cuda_malloc"])
    def test_a():
        kept = on_gpu(10)
        other = on_gpu(3)
        del kept
    """,
    )
    ran = gpu_project.run(AHEAD)
    assert ran.outcomes == dict.fromkeys(
        ["test_a[cuda_malloc_async]", "test_a[growth]", "test_a[bfc]", "test_a[cuda_malloc]"], "passed"
    )
    measured = {name.partition("[")[2][:-1]: of for name, of in ran.measured.items()}
    assert {name: of["allocator"] for name, of in measured.items()} == {name: name for name in measured}
    exact = figures_of(measured["cuda_malloc_async"], "gpu")
    # Beside the tensors, what TensorFlow keeps for itself from the first operation on: the shape and the value.
    assert 13 << 20 <= exact["bytes"] <= (13 << 20) + 4096
    assert exact["exactness"] == "exact"
    for name in ("growth", "bfc"):
        charged = figures_of(measured[name], "gpu")
        assert charged["exactness"] == "upper-bound"
        assert charged["bytes"] >= exact["bytes"]
        assert figures_of(measured[name], "gpu_tensors")["bytes"] == exact["bytes"]
    assert figures_of(measured["cuda_malloc_async"], "gpu_tensors") == exact
    assert figures_of(measured["cuda_malloc"], "gpu")["not_measured"] == "cuda_malloc keeps no statistics"
    assert measured["cuda_malloc"]["verdict"] == "not-measured"


@pytest.mark.of_any_start_method
def test_the_phases_and_the_pool_and_the_driver_are_read_too(gpu_project):
    gpu_project.write(
        "test_a.py",
        TENSORS
        + """
    @pytest.fixture
    def kept():
        yield on_gpu(6)
        on_gpu(8)

    @budget
    def test_a(kept):
        on_gpu(1)
    """,
    )
    (measured,) = gpu_project.run().measured.values()
    assert 14 << 20 <= figures_of(measured, "gpu")["bytes"] < 15 << 20
    reserved, footprint = (figures_of(measured, figure) for figure in ("gpu_reserved", "gpu_footprint"))
    assert reserved["exactness"] == "exact"
    assert 14 << 20 <= reserved["bytes"] < footprint["bytes"]  # the context is not of the pool
    assert reserved["device"].partition(" ")[0] == footprint["device"]
    (timeline,) = measured["timeline"]["gpus"]
    assert max(size for size in timeline["bytes"] if size) <= footprint["bytes"]
    assert [one["name"] for one in measured["timeline"]["checkpoints"]] == ["setup", "call", "teardown", "end"]


@pytest.mark.of_any_start_method
def test_a_test_that_uses_no_gpu_has_no_device_readings_and_is_not_green_under_require(gpu_project):
    gpu_project.write("test_a.py", "@budget(gpu='1 GiB')\ndef test_a():\n    pass\n")
    ran = gpu_project.run()
    assert ran.outcomes == {"test_a": "passed"}
    assert ran.measured["test_a"]["verdict"] == "not-measured"
    ran = gpu_project.run("--tfmem-gpu=require")
    assert ran.outcomes == {"test_a": "failed"}
    assert "memory budget not judged: gpu not measured (the test imported no framework that uses a GPU)" in ran.text


@pytest.mark.of_any_start_method
def test_with_gpus_switched_off_nothing_is_asked_or_leased(gpu_project):
    gpu_project.write("test_a.py", "@budget(gpu='1 GiB')\ndef test_a():\n    assert 'TFMEM_LEASED' not in os.environ\n")
    ran = gpu_project.run("--tfmem-gpu=off")
    assert ran.outcomes == {"test_a": "passed"}
    assert ran.measured["test_a"]["readings"]["gpu"] == {"not_measured": "switched off by --tfmem-gpu=off"}


def test_a_planted_mebibyte_is_red_and_the_same_step_is_green_each_time(gpu_project, monkeypatch):
    gpu_project.write(
        "test_a.py",
        TENSORS
        + """
    def step(extra):
        import tensorflow as tf
        kept = on_gpu(extra) if extra else None
        weights = on_gpu(30)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = tf.reduce_sum(weights * weights)
        return tape.gradient(loss, weights), kept

    PEAK = os.environ.get("PEAK", "1 GiB")

    @budget(gpu=PEAK)
    @pytest.mark.parametrize("run", range(int(os.environ.get("RUNS", "1"))))
    def test_same(run):
        step(0)

    @budget(gpu=PEAK)
    def test_grown():
        step(1)
    """,
    )
    learnt = gpu_project.run("-k", "same").measured["test_same[0]"]
    peak = figures_of(learnt, "gpu")["bytes"]
    assert 120 << 20 <= peak <= 121 << 20
    monkeypatch.setenv("PEAK", str(peak))
    times = runs(50, 10) if gpu_project.start_method == "forkserver" else runs(4, 2)
    monkeypatch.setenv("RUNS", str(times))
    ran = gpu_project.run(AHEAD)
    outcomes = ran.outcomes
    assert outcomes.pop("test_grown") == "failed"
    assert list(outcomes.values()) == ["passed"] * times
    assert {figures_of(ran.measured[name], "gpu")["bytes"] for name in outcomes} == {peak}
    assert figures_of(ran.measured["test_grown"], "gpu")["bytes"] - peak == 1 << 20


@pytest.mark.long
@pytest.mark.of_any_start_method  # spawned, what repeats to the byte is a step: a fit takes many times as long
def test_a_keras_fit_has_the_same_peak_in_every_run(gpu_project):
    # Compiled by XLA, as Keras does on a GPU by itself. Without it the peak depends on which operations overlap.
    times = runs(20, 4)
    gpu_project.write(
        "test_a.py",
        f"""
    @budget(gpu="1 GiB")
    @pytest.mark.parametrize("run", range({times}))
    def test_fit(run):
        import tensorflow as tf
        tf.keras.utils.set_random_seed(1)
        layers = tf.keras.layers
        model = tf.keras.Sequential([layers.Input((256,)), layers.Dense(64)])
        model.compile("adam", "mse")
        model.fit(tf.zeros((512, 256)), tf.zeros((512, 64)), batch_size=128, epochs=2, verbose=0)
    """,
    )
    ran = gpu_project.run(AHEAD)
    assert list(ran.outcomes.values()) == ["passed"] * times
    assert len({figures_of(measured, "gpu")["bytes"] for measured in ran.measured.values()}) == 1
