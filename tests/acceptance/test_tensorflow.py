"""`tf_runtime` and readings on the real TensorFlow, CPU build."""

from __future__ import annotations

import importlib.util
import re

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")

MIB = 1 << 20

RUNTIMES = """
    import os
    from collections import Counter
    from pathlib import Path

    def threads():
        import tensorflow as tf
        tf.linalg.matmul(tf.ones((600, 600)), tf.ones((600, 600)))
        return Counter(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm"))

    @pytest.mark.tf_runtime(inter_op_threads=1, intra_op_threads=1)
    def test_few_threads():
        note(f"few: {threads()['tf_Compute']} {sum(threads().values())}")

    @pytest.mark.tf_runtime(inter_op_threads=3, intra_op_threads=6)
    def test_many_threads():
        note(f"many: {threads()['tf_Compute']} {sum(threads().values())}")

    @pytest.mark.tf_runtime(jit=True, precision="mixed_float16", logical_devices={"CPU": 2}, cpu_allocator="bfc",
                            env={"MODEL_SIZE": "small"})
    def test_everything_else():
        import tensorflow as tf
        assert tf.config.optimizer.get_jit() == "autoclustering"
        assert tf.keras.layers.Dense(2).dtype_policy.name == "mixed_float16"
        assert [device.name for device in tf.config.list_logical_devices("CPU")] == ["/device:CPU:0", "/device:CPU:1"]
        assert os.environ["MODEL_SIZE"] == "small"
        kept = tf.ones(1024)  # the allocator for large tensors alone would not count it
        assert tf.config.experimental.get_memory_info("CPU:0")["current"] >= 4096

    @pytest.mark.memory_budget
    def test_next_to_them():
        import tensorflow as tf
        assert tf.config.optimizer.get_jit() == ""
        assert tf.keras.layers.Dense(2).dtype_policy.name == "float32"
        assert len(tf.config.list_logical_devices("CPU")) == 1
        assert "MODEL_SIZE" not in os.environ
"""

READINGS = """
    import tensorflow as tf

    @pytest.mark.memory_budget(rss_growth="300 MiB")
    def test_within():
        kept = tf.ones((50, 1 << 20))
        assert kept.shape == (50, 1 << 20)

    @pytest.mark.memory_budget(rss_growth="100 MiB")
    def test_over():
        kept = tf.ones((50, 1 << 20))
        assert kept.shape == (50, 1 << 20)
"""


def test_every_argument_of_tf_runtime_is_in_force_in_its_own_test_alone(project):
    project.write("test_runtime.py", RUNTIMES)
    # Ahead of tests that are forked, and in no process but theirs: an import is most of what such a session takes.
    ran = project.run("-otfmem_preload=tensorflow")
    assert ran.outcomes == dict.fromkeys(
        ("test_few_threads", "test_many_threads", "test_everything_else", "test_next_to_them"), "passed"
    )
    few, many = (_threads(ran.notes, name) for name in ("few", "many"))
    assert few == (1, few[1])
    assert many == (3, few[1] + 2 + 5)


def test_a_tensor_that_is_too_large_fails_its_test_in_its_call(project):
    project.write("test_readings.py", READINGS)
    ran = project.run()
    assert ran.outcomes == {"test_within": "passed", "test_over": "failed"}
    assert ran.returncode == 1
    ran.stdout.re_match_lines([r"memory budget exceeded: rss_growth 2\d\d\.\d MiB > 100\.0 MiB \(\+1\d\d\.\d %\)"])
    for name in ("test_within", "test_over"):
        growth = ran.measured[name]["readings"]["rss_growth"]
        assert 200 * MIB <= growth["bytes"] < 260 * MIB  # the tensor, and what TensorFlow needs to begin with
        assert growth["exactness"] in {"exact", "lower-bound"}


@pytest.mark.of_any_start_method  # such a module is not forked
def test_a_module_that_made_tensors_before_the_runtime_was_set_is_no_excuse_to_run_without_it(project):
    project.write("conftest.py", "")
    project.write(
        "test_late.py",
        """
        import tensorflow as tf
        made_at_import = tf.ones(4)

        @pytest.mark.tf_runtime(logical_devices={"CPU": 3})
        def test_has_its_devices():
            assert len(tf.config.list_logical_devices("CPU")) == 3
        """,
    )
    assert project.run().outcomes == {"test_has_its_devices": "passed"}


def _threads(notes, name):
    (found,) = (match for note in notes if (match := re.fullmatch(rf"{name}: (\d+) (\d+)", note)))
    return int(found[1]), int(found[2])
