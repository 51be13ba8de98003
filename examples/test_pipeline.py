"""A tf.data pipeline that is meant to stream: its memory must not grow with the length of the data."""

import pytest
import tensorflow as tf

ROW = 1024


def rows(count: int) -> tf.data.Dataset:
    return tf.data.Dataset.range(count).map(lambda index: tf.fill([ROW], tf.cast(index, tf.float32))).batch(64)


@pytest.mark.memory_budget(rss_growth="48 MiB", rss_tree="1.5 GiB")
def test_a_long_dataset_is_streamed():
    # 20,000 rows of 4 KiB would be 78 MiB at once, and twice that while they are copied.
    total = rows(20_000).reduce(0.0, lambda so_far, batch: so_far + tf.reduce_sum(batch[:, 0]))
    assert float(total) == pytest.approx(sum(range(20_000)), rel=1e-3)
