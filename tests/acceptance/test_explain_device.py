"""`--tfmem-explain` on a device's figure: the tensors at its peak, by operation, shape and line, on real TensorFlow.

On the CPU, whose BFC is the one that GPUs have; on a stand-in card in tests/gpu/acceptance/test_explain_device.py.
"""

from __future__ import annotations

import importlib.util

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="Keras is not installed")

MODEL = """
    import keras, tensorflow as tf

    def scaled(values):
        return tf.matmul(values, values) * 3  # scaled

    def compiled():
        model = keras.Sequential([keras.layers.Dense(512, name="wide"), keras.layers.Dense(8, name="narrow")])
        model.compile(keras.optimizers.Adam(), "mse", jit_compile=False)
        model.build((None, 300))  # kernels
        return model
"""
TESTS = """
    import numpy as np, tensorflow as tf
    from model import compiled, scaled

    bfc = pytest.mark.tf_runtime(cpu_allocator="bfc")

    @bfc
    @budget(cpu_tensors="1 MiB")
    def test_copies():
        large = tf.ones((1000, 1000))
        copies = [large + place for place in range(3)]  # copies
        scaled(large)

    @bfc
    @budget(cpu_tensors="1 MiB")
    def test_slots():
        model = compiled()
        model.optimizer.build(model.trainable_variables)  # slots
        model.fit(np.zeros((64, 300), "float32"), np.zeros((64, 8), "float32"), verbose=0)

    @bfc
    @budget(cpu_tensors="1 MiB")
    def test_profiles_itself(tmp_path):
        tf.profiler.experimental.start(str(tmp_path))
        tf.ones((1000, 1000))
        tf.profiler.experimental.stop()

    @bfc
    @budget(cpu_tensors="1 MiB")
    def test_is_killed_again():
        tf.ones((1000, 1000))
        if os.path.exists("once"):
            os.kill(os.getpid(), 9)
        open("once", "w").close()

    @bfc
    @budget(cpu_tensors="100 MiB")
    def test_within():
        tf.ones((1000, 1000))
"""


@pytest.fixture
def explained(project, monkeypatch):
    """Runs some of the tests, under --tfmem-explain=breach; the second value finds a line by its comment."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    files = {path: project.write(path, text) for path, text in (("model.py", MODEL), ("test_a.py", TESTS))}

    def line(path, comment):
        text = files[path].read_text(encoding="utf-8").splitlines()
        return f"{path}:{next(number for number, one in enumerate(text, 1) if one.endswith(f'# {comment}'))}"

    def run(*tests, options=()):
        return project.run("--tfmem-explain=breach", *options, *(f"test_a.py::{test}" for test in tests))

    return run, line


def _of(ran, test):
    return ran.measured[test].get("explanations", [])


@pytest.mark.of_any_start_method
def test_the_tensors_at_the_peak_are_told_by_operation_shape_and_line(explained):
    run, line = explained
    ran = run("test_copies", options=["--tfmem-start-method=spawn"])  # those of the other test are forked
    assert ran.outcomes == {"test_copies": "failed"}
    (copies,) = _of(ran, "test_copies")
    assert (copies["figure"], copies["source"]) == ("cpu_tensors", "TensorFlow's profiler")
    # The same program in a fresh process, under the same allocator: the very peak that was measured.
    assert copies["peak_bytes"] == ran.measured["test_copies"]["readings"]["cpu_tensors"]["bytes"]
    first = copies["holders"][0]
    assert (first["what"], first["count"], first["detail"]) == ("AddV2", 3, "float32[1000,1000]")
    assert first["where"] == line("test_a.py", "copies")
    scaled = [one["detail"] for one in copies["holders"] if one["where"] == line("model.py", "scaled")]
    assert scaled == ["float32[1000,1000]"] * 2
    assert f"{first['where']} AddV2" in ran.text


@pytest.mark.of_any_start_method
def test_an_optimizers_slots_stand_where_it_is_built_and_of_what_cannot_be_explained_it_is_told_why(explained, project):
    run, line = explained
    tests = {"test_slots": "failed", "test_profiles_itself": "failed", "test_is_killed_again": "failed"}
    ran = run(*tests, "test_within")
    assert ran.outcomes == {**tests, "test_within": "passed"}
    assert _of(ran, "test_within") == []
    (slots,) = _of(ran, "test_slots")
    known = {(one["where"], one.get("detail")): one.get("count", 1) for one in slots["holders"]}
    # Adam's two slots of the wide kernel, and the kernel itself.
    assert known[line("test_a.py", "slots"), "float32[300,512]"] == 2
    assert known[line("model.py", "kernels"), "float32[300,512]"] == 1
    assert any(one["what"].startswith(("adam/", "gradient_tape/")) for one in slots["holders"])
    (refused,) = _of(ran, "test_profiles_itself")
    assert "a process has one profiler" in refused["failed"]
    (killed,) = _of(ran, "test_is_killed_again")
    assert "SIGKILL" in killed["failed"]
    assert not [*project.path.rglob("*-profile*")]
