"""A small convolutional network: what it needs to answer depends on how many images it is asked about at once."""

import numpy as np
import pytest
import tensorflow as tf

SIDE = 96


@pytest.fixture(scope="module")
def network() -> tf.keras.Model:
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.Input((SIDE, SIDE, 3)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )


@pytest.mark.parametrize("batch", [1, 32])
def test_predict(network, batch):
    # Its limit stands in budgets.yaml: the test needs no marker.
    answers = network.predict(np.zeros((64, SIDE, SIDE, 3), "float32"), batch_size=batch, verbose=0)
    assert answers.shape == (64, 10)
