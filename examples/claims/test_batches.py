"""What the size of a batch costs: in answering, in training, and in parts whose gradients are added up."""

import statistics
from itertools import pairwise

import numpy as np
import tensorflow as tf
from claim import WITHOUT_XLA

layers = tf.keras.layers
LOSS = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
MIB = 1 << 20
ROWS, FEATURES, HIDDEN, CLASSES = 20_000, 784, 1024, 10
SIDE, CHANNELS = 64, 32
MALLOC = {"env": {"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"}}


def slope(by_x: dict[int, float]) -> float:
    """How much y grows by x: of the line that fits them best."""
    return statistics.linear_regression(list(by_x), list(by_x.values())).slope


def each_slope(rows: dict[int, list[float]]) -> list[float]:
    """The slope of the first repeats, of the second ones, and so on."""
    return [slope(dict(zip(rows, values, strict=True))) for values in zip(*rows.values(), strict=True)]


def answer(batch: int, *, times: int = 1) -> None:
    dense = [layers.Dense(HIDDEN, activation="relu") for _ in range(2)]
    model = tf.keras.Sequential([layers.Input((FEATURES,)), *dense, layers.Dense(CLASSES)])
    rows = np.ones((ROWS, FEATURES), "float32")
    for _ in range(times):
        model.predict(rows, batch_size=batch, verbose=0)


def test_batch_inference(tfmem, claim):
    """Predicting in batches of 64 instead of 20,000 rows at once lowers the peak."""
    sizes = (64, 256, 1024, 4096, ROWS)
    both = tfmem.compare(**{str(size): tfmem.call(answer, size) for size in sizes}, repeat=3)
    rows = {size: claim.row(f"predict, batches of {size:,}", both[str(size)]).values for size in sizes}
    claim.drawn("Growth over predicting 20,000 rows of 784 features, once")
    twice = tfmem.measure(answer, ROWS, times=2, repeat=2)
    claim.row("predict at once, twice", twice, plotted=False)
    added = [
        claim.calculated(
            f"by row of a batch, from {few:,} to {many:,}",
            "`rss_growth` by row",
            each_slope({size: rows[size] for size in (few, many)}),
            plotted=False,
        )
        for few, many in pairwise((256, 1024, 4096, ROWS))
    ]
    by_row = sorted(row.median / 1024 for row in added)

    ratio = both.ratio("rss_growth", str(ROWS), "64")
    small, whole = both["64"].rss_growth, both[str(ROWS)].rss_growth
    assert ratio.least > 1.6
    assert both["256"].rss_growth.most < 1.15 * small.least.bytes
    assert twice.rss_growth.least > 1.6 * small.most.bytes
    assert max(added[-1].values) < 0.6 * min(added[0].values)
    claim.holds(
        figure=f"{small} in batches of 64, {whole} at once: {ratio.median:.2f} times",
        why=f"What layers give to each other is there a batch at a time, here {by_row[0]:.0f} to "
        f"{by_row[-1]:.0f} KiB a row, the least beyond batches of 4,096. "
        "The rows themselves, which `predict` copies to a tensor, and the answers are there as a whole either way, "
        "so below some hundred rows a smaller batch saves nothing more.",
        objections={
            "A second call:": f"calling it once more at once leaves the peak at {twice.rss_growth}.",
            "How small is small enough:": f"batches of 256 take {both['256'].rss_growth}.",
        },
    )


def convolutional() -> tf.keras.Model:
    """Many activations, few weights."""
    convolutions = [layers.Conv2D(CHANNELS, 3, activation="relu", padding="same") for _ in range(2)]
    pooled = [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)]
    return tf.keras.Sequential([layers.Input((SIDE, SIDE, 3)), *convolutions, *pooled])


def dense() -> tf.keras.Model:
    """Many weights, 76 MiB of them, few activations."""
    flat = [layers.Input((SIDE, SIDE, 3)), layers.AveragePooling2D(4), layers.Flatten()]
    wide = [layers.Dense(4096, activation="relu") for _ in range(2)]
    return tf.keras.Sequential([*flat, *wide, layers.Dense(CLASSES)])


MODELS = {"convolutional": convolutional, "dense": dense}


def train(model: str, batch: int, steps: int = 3) -> None:
    trained = MODELS[model]()
    trained.compile("sgd", LOSS, jit_compile=False)
    for _ in range(steps):
        trained.train_on_batch(tf.zeros((batch, SIDE, SIDE, 3)), tf.zeros(batch, tf.int32))


def test_batch_training(tfmem, claim):
    """The peak of training grows with the batch size."""
    sizes = (16, 32, 64, 128, 256)
    counted = {"cpu_allocator": "bfc"}
    sides = {str(size): tfmem.call(train, "convolutional", size, runtime=counted) for size in sizes}
    both = tfmem.compare(**sides, repeat=3)
    per_sample = {}
    for figure, named in {"rss_growth": "the process", "cpu_tensors": "tensors"}.items():
        values = {
            size: claim.row(f"batches of {size}", both[str(size)], figure, series=named, x=size).values
            for size in sizes
        }
        by_sample = claim.calculated(f"by sample, {named}", f"`{figure}` by sample", each_slope(values), plotted=False)
        per_sample[figure] = by_sample
    claim.drawn("Peaks over three steps of a small convolutional network", x="images in a batch")
    claim.under(WITHOUT_XLA)
    once = tfmem.measure(train, "convolutional", 256, steps=1, repeat=2)
    claim.row("batches of 256, one step", once, plotted=False)
    by_malloc = tfmem.compare(
        few=tfmem.call(train, "convolutional", 128),
        many=tfmem.call(train, "convolutional", 256),
        repeat=3,
        runtime=MALLOC,
    )
    for side, number in {"few": 128, "many": 256}.items():
        claim.row(f"tensors by malloc, batches of {number}", by_malloc[side], plotted=False)
    wide = tfmem.compare(few=tfmem.call(train, "dense", 16), many=tfmem.call(train, "dense", 256), repeat=2)
    for side, number in {"few": 16, "many": 256}.items():
        claim.row(f"a dense network of 76 MiB, batches of {number}", wide[side], plotted=False)

    given_back = (by_malloc.many.rss_growth - by_malloc.few.rss_growth).bytes / 128
    one_layer = SIDE * SIDE * CHANNELS * 4
    assert both.ratio("rss_growth", "256", "128").least > 1.6
    assert both.ratio("rss_growth", "32", "16").most < 1.9
    assert max(per_sample["cpu_tensors"].values) < 1.15 * min(per_sample["cpu_tensors"].values)
    assert min(per_sample["cpu_tensors"].values) > 2 * one_layer
    assert wide.ratio("rss_growth", "many", "few").most < 1.6
    assert 2 * one_layer < given_back < 0.85 * min(per_sample["rss_growth"].values)
    claim.holds(
        figure=f"each image more in a batch takes {per_sample['rss_growth'].median / MIB:.2f} MiB of the process, of "
        f"which tensors are {per_sample['cpu_tensors'].median / MIB:.2f} MiB",
        why="What each layer gave is kept for its gradient, and there is one of it for each sample. A convolution here "
        f"gives {one_layer / MIB:.2f} MiB an image, so tensors are three of them; the rest is what TensorFlow's "
        "allocator had used for others before, and keeps.",
        objections={
            "Small batches:": f"from 16 to 32 the process grows by {both.ratio('rss_growth', '32', '16').median:.2f} "
            "times, not by two, for weights, graphs and threads are there once.",
            "Another network:": "where weights are most of it, 16 times the batch takes "
            f"{wide.ratio('rss_growth', 'many', 'few').median:.2f} times the memory.",
            "TensorFlow's allocator:": "where tensors are left to malloc, which gives back what is freed "
            f"(`TF_ONEDNN_USE_SYSTEM_ALLOCATOR=1`), an image takes {given_back / MIB:.2f} MiB of the process.",
            "The first step alone:": f"one step of 256 takes {once.rss_growth}.",
        },
    )


def step(model: str, batch: int, parts: int, steps: int = 2) -> None:
    """Steps of plain gradient descent, each from the sum of the gradients of so many parts of a batch."""
    trained = MODELS[model]()
    weights = trained.trainable_variables
    sums = [tf.Variable(tf.zeros_like(weight), trainable=False) for weight in weights] if parts > 1 else []

    def gradients():
        with tf.GradientTape() as tape:
            answers = trained(tf.zeros((batch // parts, SIDE, SIDE, 3)), training=True)
            loss = LOSS(tf.zeros(batch // parts, tf.int32), answers) / parts
        return tape.gradient(loss, weights)

    @tf.function
    def add():
        for so_far, gradient in zip(sums, gradients(), strict=True):
            so_far.assign_add(gradient)

    @tf.function
    def apply():
        for weight, gradient in zip(weights, sums or gradients(), strict=True):
            weight.assign_sub(0.01 * gradient)
        for so_far in sums:
            so_far.assign(tf.zeros_like(so_far))

    for _ in range(steps):
        for _ in range(parts if sums else 0):
            add()
        apply()


def test_accumulate(tfmem, claim):
    """Gradient accumulation lowers the peak of training."""
    ways = {"one batch of 512": (512, 1), "8 batches of 64, added up": (512, 8), "one batch of 64": (64, 1)}
    both = {}
    for model in MODELS:
        both[model] = tfmem.compare(**{way: tfmem.call(step, model, *how) for way, how in ways.items()}, repeat=3)
        for way, measured in both[model].items():
            claim.row(f"{model}, {way}", measured, series=model)
    claim.drawn("Growth over two steps of training")

    whole, parts, small = ways
    less, more = (both[model].ratio("rss_growth", parts, whole) for model in MODELS)
    beside = both["dense"].ratio("rss_growth", parts, small)
    assert less.most < 0.35
    assert more.least > 1.05
    assert beside.least > 1.2
    claim.depends(
        figure=f"{less.median:.2f} times the peak of one batch of 512 for a convolutional network, {more.median:.2f} "
        "times for a dense one of 76 MiB",
        why="It divides what is kept for each sample, and adds an array of the size of each weight, in which gradients "
        "are added up. So it saves where activations are most of the memory and costs where weights are.",
        objections={
            "Against one batch of 64, without adding up:": f"it takes {beside.median:.2f} times the memory of that for "
            f"the dense network, {both['convolutional'].ratio('rss_growth', parts, small).median:.2f} times for the "
            "convolutional one.",
        },
    )
