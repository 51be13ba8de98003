"""The stand-in CUDA: what TensorFlow allocates on it is in the account."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.stub


def test_tensorflow_registers_the_card(stub, run_tensorflow):
    code = "tell([device.name for device in tf.config.list_physical_devices('GPU')])"
    assert run_tensorflow(code, env=stub.environment()) == ["/physical_device:GPU:0"]
