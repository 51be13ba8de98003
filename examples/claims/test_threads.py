"""What threads take, those that share an operation and those that run several at once."""

import tensorflow as tf
from claim import WITHOUT_XLA

layers = tf.keras.layers
NUMBERS = 4 << 20  # of float32: 16 MiB
PATHS = 16
THREADS = (1, 2, 16)


@tf.function
def independent(values: tf.Tensor) -> tf.Tensor:
    """So many things to do with the values, none of which waits for another."""
    return tf.add_n([tf.reduce_sum(tf.tanh(tf.sin(values + float(number)))) for number in range(PATHS)])


def independent_paths(calls: int = 3) -> None:
    values = tf.ones((NUMBERS,))
    for _ in range(calls):
        independent(values)


def one_after_the_other(steps: int = 4) -> None:
    """Training of a convolutional network, whose layers wait for each other."""
    convolutions = [layers.Conv2D(32, 3, activation="relu") for _ in range(2)]
    model = tf.keras.Sequential(
        [layers.Input((64, 64, 3)), *convolutions, layers.GlobalAveragePooling2D(), layers.Dense(10)]
    )
    model.compile("sgd", "mse", jit_compile=False)
    for _ in range(steps):
        model.train_on_batch(tf.zeros((32, 64, 64, 3)), tf.zeros((32, 10)))


WORK = {"a network in a row": one_after_the_other, "16 independent paths": independent_paths}


def test_threads(tfmem, claim):
    """Fewer threads within an operation (intra-op) and between operations (inter-op) lower memory."""
    kinds = {"intra-op": "intra_op_threads", "inter-op": "inter_op_threads"}
    growth = {}
    for work, function in WORK.items():
        sides = {
            f"{number} {kind}": tfmem.call(function, runtime={**dict.fromkeys(kinds.values(), 1), option: number})
            for kind, option in kinds.items()
            for number in THREADS
        }
        both = tfmem.compare(**sides, **{"as many as cores": tfmem.call(function)}, repeat=3)
        for side, measured in both.items():
            claim.row(f"{work}, {side}", measured, series=work)
            growth[work, side] = measured.rss_growth
    claim.drawn("Growth by numbers of threads, the other kind being one")
    claim.under(WITHOUT_XLA)

    row, paths = WORK
    assert growth[paths, "16 inter-op"].least > 4 * growth[paths, "1 inter-op"].most.bytes
    assert growth[paths, "2 inter-op"].least > 1.4 * growth[paths, "1 inter-op"].most.bytes
    assert growth[paths, "16 intra-op"].most < 1.25 * growth[paths, "1 intra-op"].least.bytes
    for kind in kinds:
        assert growth[row, f"16 {kind}"].most < 1.25 * growth[row, f"1 {kind}"].least.bytes
    claim.depends(
        figure=f"16 paths that do not wait for each other: {growth[paths, '1 inter-op']} with one inter-op thread, "
        f"{growth[paths, '2 inter-op']} with two, {growth[paths, '16 inter-op']} with 16; with intra-op threads "
        f"{growth[paths, '1 intra-op']} to {growth[paths, '16 intra-op']}",
        why="A thread by itself takes next to nothing, and threads within one operation write into one result. Threads "
        "between operations run what does not depend on each other at the same time, and then the tensors of "
        "each are there at the same time; where each layer waits for the one before, there is nothing to run.",
        objections={
            "A network whose layers follow each other:": f"{growth[row, '1 inter-op']} with one inter-op thread, "
            f"{growth[row, '16 inter-op']} with 16; {growth[row, '16 intra-op']} with 16 intra-op threads.",
        },
    )
