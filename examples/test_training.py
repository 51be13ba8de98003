"""A Keras classifier, trained for a few steps under a memory budget.

WIDTH=4096 pytest examples/test_training.py   does what a pull request might do: it makes the model wider.
"""

import os

import numpy as np
import pytest
import tensorflow as tf

WIDTH = int(os.environ.get("WIDTH", "256"))
PIXELS = 28 * 28
CLASSES = 10


@pytest.fixture
def images():
    rng = np.random.default_rng(seed=1)
    pixels = rng.random((2048, PIXELS), dtype="float32")
    labels = rng.integers(CLASSES, size=2048)
    return pixels, labels


def classifier(width: int) -> tf.keras.Model:
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Input((PIXELS,)),
            tf.keras.layers.Dense(width, activation="relu"),
            tf.keras.layers.Dense(width, activation="relu"),
            tf.keras.layers.Dense(CLASSES),
        ]
    )
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    return model


@pytest.mark.memory_budget(rss_growth="160 MiB", gpu="64 MiB")
def test_training_step(images):
    model = classifier(WIDTH)
    history = model.fit(*images, batch_size=128, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.tf_runtime(precision="mixed_float16", intra_op_threads=1)
def test_mixed_precision_keeps_its_weights_in_float32():
    model = classifier(WIDTH)
    assert model.layers[0].compute_dtype == "float16"
    assert {weight.dtype for weight in model.weights} == {"float32"}
