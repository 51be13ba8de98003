"""Three regressions planted in real TensorFlow: each explanation names the line that is to blame, before any other."""

from __future__ import annotations

import collections

import pytest

pytest.importorskip("memray")
pytest.importorskip("tensorflow")

TESTS = """
    import numpy as np
    import tensorflow as tf

    KEPT = []


    def standardised(images):
        return images.astype(np.float64)  # the copy


    @budget(rss_growth="30 MiB")
    def test_numpy():
        KEPT.append(standardised(np.ones((64, 256, 256), np.float32)))


    def pipeline():
        rows = tf.data.Dataset.range(48).map(lambda row: tf.fill((512, 512), tf.cast(row, tf.float32)))
        rows = rows.cache()  # the cache
        return rows.batch(2)


    @budget(rss_growth="40 MiB")
    def test_dataset():
        for _ in pipeline():
            pass


    @budget(rss_growth="95 MiB")
    def test_training():
        layers = [tf.keras.Input((2048,)), tf.keras.layers.Dense(2048), tf.keras.layers.Dense(1)]
        model = tf.keras.Sequential(layers)
        model.compile(optimizer="adam", loss="mse", jit_compile=False)
        model.train_on_batch(np.ones((4, 2048), np.float32), np.ones((4, 1), np.float32))  # the slots
"""
TO_BLAME = {"test_numpy": "# the copy", "test_dataset": "# the cache", "test_training": "# the slots"}


@pytest.mark.long
@pytest.mark.of_any_start_method
def test_the_line_that_is_to_blame_is_named_first(project):
    lines = project.write("test_planted.py", TESTS).read_text(encoding="utf-8").splitlines()
    ran = project.run("--tfmem-explain")
    assert ran.outcomes == dict.fromkeys(TO_BLAME, "failed")
    for name, mark in TO_BLAME.items():
        line = 1 + next(at for at, text in enumerate(lines) if mark in text)
        (explanation,) = ran.measured[name]["explanations"]
        held = collections.Counter()
        for holder in explanation["holders"]:
            held[holder.get("where")] += holder["bytes"]
        assert held.most_common(1)[0][0] == f"test_planted.py:{line}", name
        without_onednn = "TensorFlow ran without oneDNN there" in "".join(explanation.get("notes", []))
        assert without_onednn == (name != "test_numpy")  # which imports TensorFlow and has no tensor
