"""What calls cost: eagerly or as a graph, compiled or not, by `fit` or by hand."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from claim import WITHOUT_XLA, differences

layers = tf.keras.layers
KIB, MIB = 1 << 10, 1 << 20
BATCH = 256
NUMBERS = 1 << 22  # of float32: 16 MiB


def scaled(values: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.sin(values * factor) + 1.0)


def call(calls: int, *, traced: bool, python_numbers: bool = False, size: int = NUMBERS) -> None:
    """The function, called with other numbers each time: tensors, for which it is traced once, or Python's own."""
    function = tf.function(scaled) if traced else scaled
    values = tf.ones((size,))
    for number in range(calls):
        function(values, float(number) if python_numbers else tf.constant(float(number)))


WAYS = {
    "eager": {"traced": False},
    "traced": {"traced": True},
    "retraced": {"traced": True, "python_numbers": True},
}


def test_tf_function(tfmem, claim):
    """`tf.function` lowers the memory of repeated calls."""

    def measured(calls, **more):
        return tfmem.compare(**{way: tfmem.call(call, calls, **how, **more) for way, how in WAYS.items()}, repeat=3)

    large, few, many = measured(200), measured(20, size=16), measured(220, size=16)
    for way in WAYS:
        claim.row(f"200 calls on 16 MiB, {way}", large[way], series=way)
    less = {way: claim.row(f"20 calls on 64 bytes, {way}", few[way], plotted=False) for way in WAYS}
    more = {way: claim.row(f"220 calls on 64 bytes, {way}", many[way], plotted=False) for way in WAYS}
    eager, traced, retraced = (
        claim.calculated(
            f"added by each call, {way}",
            "growth from 20 to 220 calls",
            differences(less[way], more[way], 200),
            unit="bytes per call",
            plotted=False,
        )
        for way in WAYS
    )
    claim.drawn("Growth over 200 calls on a tensor of 16 MiB")

    ratio = large.ratio("rss_growth", "traced", "eager")
    assert ratio.most < 0.8
    assert max(eager.values + traced.values) < 8 * KIB
    assert min(retraced.values) > 50 * KIB
    claim.depends(
        figure=f"{ratio.median:.2f} times what eager calls take, {retraced.median / KIB:.0f} KiB with each retracing",
        why="What is traced knows that an operation is the last to use a tensor and lets it write its result there, "
        "where eager calls have several of them at once. But each value of a Python number makes a graph of its own, "
        "which is kept as long as the function.",
        objections={
            "Small tensors:": f"there is nothing to lower: 220 eager calls take {many.eager.rss_growth}, traced ones "
            f"{many.traced.rss_growth}, for the graph.",
            "More calls:": "eager calls, and those of what is traced once, take no more when there are more of them.",
            "Tensors in place of numbers:": "the traced side is the retraced one with its numbers as tensors.",
        },
    )


def eager_tensor(size: int) -> None:
    tf.zeros((size,))


def random_tensor(size: int) -> None:
    tf.random.normal([size])


def symbol(size: int) -> None:
    """The same as a symbol: nothing is computed."""
    tf.keras.layers.Rescaling(2.0)(tf.keras.Input((size,)))


def graph(size: int, calls: int) -> None:
    """A function that makes the tensor, traced, and called or not."""
    function = tf.function(lambda: tf.reduce_sum(tf.random.normal([size])))
    function.get_concrete_function()
    for _ in range(calls):
        function()


def test_symbolic(tfmem, claim):
    """A tensor takes no memory until a graph is run."""
    size = 16 * NUMBERS
    both = tfmem.compare(
        **{
            "tf.zeros of 256 MiB": tfmem.call(eager_tensor, size),
            "tf.random.normal of 256 MiB": tfmem.call(random_tensor, size),
            "tf.zeros of 4 bytes": tfmem.call(eager_tensor, 1),
            "keras.Input of 256 MiB, and a layer": tfmem.call(symbol, size),
            "a tf.function of it, traced": tfmem.call(graph, size, 0),
            "a tf.function of it, called": tfmem.call(graph, size, 1),
        },
        repeat=3,
    )
    for what, measured in both.items():
        claim.row(what, measured)
    claim.drawn("Growth over making a tensor of 256 MiB")

    zeros, random, nothing, keras, traced, called = (one.rss_growth for one in both.values())
    assert zeros.least > "250 MiB"
    assert random.least > "250 MiB"
    assert called.least > "250 MiB"
    for one in (nothing, keras, traced):
        assert one.most < "40 MiB"
    claim.fails(
        figure=f"`tf.zeros` of 256 MiB took {zeros} at once",
        why="TensorFlow 2 computes each operation where it stands, and the tensor is there when the call returns; "
        "`tf.random.normal` even has several of its size for a moment, for the numbers, their scaling and their "
        "shifting. What the claim describes is TensorFlow 1, and today what is only a symbol.",
        objections={
            "The start of TensorFlow:": f"a tensor of 4 bytes in its place grows by {nothing}.",
            "Keras's symbols:": f"an `Input` of that shape and a layer on it take {keras}, for they hold no numbers.",
            "Graphs:": f"a `tf.function` that makes the tensor takes {traced} traced, and {called} called.",
        },
    )


def chain(values: tf.Tensor) -> tf.Tensor:
    for _ in range(5):
        values = tf.sin(values) * 1.5 + tf.cos(values)
    return tf.reduce_sum(values)


def run_chain(size: int, calls: int, compiled: bool | None = None) -> None:
    function = tf.function(chain, jit_compile=compiled)
    for _ in range(calls):
        function(tf.ones((size,)))


def run_chain_warm(size: int, compiled: bool | None = None) -> None:
    """What a small chain brings for good, such as the compiler, is there before the large one is measured."""
    run_chain(NUMBERS // 16, 1, compiled)
    run_chain(size, 1, compiled)


def network(width: int) -> tf.keras.Model:
    hidden = [layers.Dense(width, activation="relu") for _ in range(3)]
    return tf.keras.Sequential([layers.Input((width,)), *hidden, layers.Dense(10)])


def train(compiled: bool, width: int = 512, steps: int = 3) -> None:
    model = network(width)
    model.compile("adam", "mse", jit_compile=compiled)
    for _ in range(steps):
        model.train_on_batch(tf.zeros((128, width)), tf.zeros((128, 10)))


FLAGGED = {"jit": True, "env": {"TF_XLA_FLAGS": "--tf_xla_cpu_global_jit"}}
LARGE, SMALL = 4 * NUMBERS, NUMBERS // 16
XLA_SIDES = {
    "on 64 MiB, off": (run_chain, (LARGE, 1), {}),
    "on 64 MiB, set_jit": (run_chain, (LARGE, 1), {"runtime": {"jit": True}}),
    "on 64 MiB, set_jit with its flag": (run_chain, (LARGE, 1), {"runtime": FLAGGED}),
    "on 64 MiB, jit_compile": (run_chain, (LARGE, 1, True), {}),
    "on 64 MiB, jit_compile, 3 calls": (run_chain, (LARGE, 3, True), {}),
    "after 1 MiB, on 64 MiB, off": (run_chain_warm, (LARGE,), {}),
    "after 1 MiB, on 64 MiB, jit_compile": (run_chain_warm, (LARGE, True), {}),
    "on 1 MiB, off": (run_chain, (SMALL, 3), {}),
    "on 1 MiB, jit_compile": (run_chain, (SMALL, 3, True), {}),
    "training, off": (train, (False,), {}),
    "training, jit_compile": (train, (True,), {}),
}


def test_jit(tfmem, claim):
    """`tf.config.optimizer.set_jit(True)`, which is XLA, lowers memory."""
    sides = {what: tfmem.call(function, *given, **how) for what, (function, given, how) in XLA_SIDES.items()}
    both = tfmem.compare(**sides, repeat=3)
    rows = {what: claim.row(what, measured, series="on" if "jit" in what else "off") for what, measured in both.items()}
    warm_off, warm_on = (
        claim.calculated(
            f"added by the 64 MiB after 1 MiB, {way}",
            "growth beyond that of 1 MiB alone",
            differences(rows[f"on 1 MiB, {way}"], rows[f"after 1 MiB, on 64 MiB, {way}"], 1),
            plotted=False,
        )
        for way in ("off", "jit_compile")
    )
    claim.drawn("Growth with XLA and without")

    off, alone, flagged, compiled, again = (one.rss_growth for name, one in both.items() if name.startswith("on 64"))
    small_off, small_on = both["on 1 MiB, off"].rss_growth, both["on 1 MiB, jit_compile"].rss_growth
    train_off, train_on = both["training, off"].rss_growth, both["training, jit_compile"].rss_growth
    assert abs(alone.bytes - off.bytes) < 4 * MIB
    for one in (flagged, compiled, again):
        assert one.most < off.least * 0.85
    assert max(warm_on.values) < min(warm_off.values) * 0.7
    assert small_on.least > small_off.most * 2
    assert train_on.least > train_off.most * 1.5
    claim.depends(
        figure=f"{off} without, {compiled} with XLA on tensors of 64 MiB; {small_off} and {small_on} on those of 1 MiB",
        why="XLA makes one kernel of many operations, and what they would have passed on as tensors is not there. But "
        "the compiler and what it loads take some tens of MiB, which small tensors do not earn back.",
        objections={
            "set_jit(True) itself:": f"on a CPU it does nothing by itself ({alone}): it takes the flag "
            f"`--tf_xla_cpu_global_jit`, with which it does what `jit_compile=True` does ({flagged}).",
            "A warm compiler:": "where a small chain was compiled before, the large one adds "
            f"{warm_on.median / MIB:.0f} MiB to the peak, and {warm_off.median / MIB:.0f} MiB without XLA; three calls "
            f"take what the first, which compiles, takes ({again} and {compiled}).",
            "A real network:": f"training three dense layers takes {train_off} without XLA and {train_on} with it: "
            "their products are library calls that nothing is fused with.",
        },
    )


def rows_of(steps: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return np.ones((BATCH * steps, width), "float32"), np.ones((BATCH * steps, 10), "float32")


def stream_of(steps: int, width: int) -> tf.data.Dataset:
    return tf.data.Dataset.range(steps).map(lambda _: (tf.ones((BATCH, width)), tf.ones((BATCH, 10))))


def fit(steps: int, width: int = 1024, *, streamed: bool = False, times: int = 1) -> None:
    model = network(width)
    model.compile("adam", "mse", jit_compile=False)
    data = (stream_of(steps, width),) if streamed else rows_of(steps, width)
    for _ in range(times):
        model.fit(*data, batch_size=None if streamed else BATCH, shuffle=False, verbose=0)


def loop(steps: int, width: int = 1024, *, traced: bool = True, streamed: bool = False, times: int = 1) -> None:
    """The same by hand: the model, the data, the optimizer, the batches."""
    model, optimizer, loss = network(width), tf.keras.optimizers.Adam(), tf.keras.losses.MeanSquaredError()

    def step(some: tf.Tensor, right: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            value = loss(right, model(some, training=True))
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)

    step = tf.function(step) if traced else step
    data = (stream_of(steps, width),) if streamed else rows_of(steps, width)
    for _ in range(times):
        for some, right in data[0] if streamed else batches(*data):
            step(some, right)


def batches(rows: np.ndarray, answers: np.ndarray) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    for start in range(0, len(rows), BATCH):
        yield tf.constant(rows[start : start + BATCH]), tf.constant(answers[start : start + BATCH])


TRAININGS = {
    "8 batches, fit": (fit, 8, {}),
    "8 batches, traced loop": (loop, 8, {}),
    "8 batches, eager loop": (loop, 8, {"traced": False}),
    "64 batches, fit": (fit, 64, {}),
    "64 batches, traced loop": (loop, 64, {}),
    "64 batches, eager loop": (loop, 64, {"traced": False}),
    "64 batches twice, fit": (fit, 64, {"times": 2}),
    "64 batches twice, traced loop": (loop, 64, {"times": 2}),
    "a stream of 64, fit": (fit, 64, {"streamed": True}),
    "a stream of 64, traced loop": (loop, 64, {"streamed": True}),
}


def test_fit_vs_loop(tfmem, claim):
    """`Model.fit` takes less memory than a custom loop."""
    sides = {what: tfmem.call(function, steps, **how) for what, (function, steps, how) in TRAININGS.items()}
    both = tfmem.compare(**sides, repeat=3, runtime={"inter_op_threads": 1})
    for what, measured in both.items():
        claim.row(what, measured, series=what.split(", ")[1])
    claim.drawn("Growth over training on batches of 1 MiB")
    claim.under(WITHOUT_XLA)

    sizes = [one.rss_growth for one in both.values()]
    few, few_loop, _, many, many_loop, eager, twice, twice_loop, stream, stream_loop = sizes
    assert few.least > few_loop.most * 0.8
    assert many.least > many_loop.most * 1.15
    assert many.least > eager.most * 1.15
    assert twice.least > twice_loop.most * 1.15
    assert stream.least > stream_loop.most * 0.8
    claim.fails(
        figure=f"{many} by `fit`, {many_loop} by a loop with `tf.function`, on the same 64 MiB of arrays",
        why="Both run the same traced step on the same weights, so that nothing is left to be saved. What `fit` does "
        "besides is to make a dataset of the arrays it is given, with a copy of them.",
        objections={
            "Little data:": f"with 8 batches the two take nearly the same, {few} and {few_loop}.",
            "A second call:": f"with a second call `fit` takes {twice}, and a loop that goes over the arrays once more "
            f"{twice_loop}.",
            "An eager loop:": f"without `tf.function` the loop takes {eager}.",
            "A stream of batches:": f"with no arrays to copy, `fit` takes {stream} and the loop {stream_loop}.",
        },
    )
