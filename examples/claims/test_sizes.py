"""What the size of a network costs, and what its numbers, its layers and its file have to do with it."""

import warnings
from itertools import pairwise
from pathlib import Path

import tensorflow as tf
from claim import WITHOUT_XLA, differences, resident

layers = tf.keras.layers
MIB = 1 << 20
NARROW, WIDE = [64, 10], [512, 256, 128, 10]
WIDER, WIDEST = [2048, 1024, 512, 10], [4096, 2048, 1024, 10]


def dense(widths: list[int], dtype: str = "float32", inputs: int = 784) -> tf.keras.Model:
    return tf.keras.Sequential([layers.Input((inputs,), dtype=dtype), *[layers.Dense(w, dtype=dtype) for w in widths]])


def train(dtype: str, width: int, steps: int = 2) -> None:
    """Two dense layers of this width, trained."""
    model = dense([width, width, 10], dtype, inputs=width)
    model.compile("sgd", "mse", jit_compile=False)
    for _ in range(steps):
        model.train_on_batch(tf.zeros((32, width), dtype), tf.zeros((32, 10), dtype))


def test_float64(tfmem, claim):
    """float64 instead of float32 doubles the memory of a model."""
    ordered = {"inter_op_threads": 1}
    sides = {dtype: tfmem.call(train, dtype, 4096, runtime=ordered) for dtype in ("float32", "float64")}
    trained = tfmem.compare(**sides, repeat=5)  # in one or two of them operations overlap, where the machine is busy
    built = tfmem.compare(**{dtype: tfmem.call(train, dtype, 4096, steps=0) for dtype in sides}, repeat=3)
    small = tfmem.compare(**{dtype: tfmem.call(train, dtype, 64) for dtype in sides}, repeat=3)
    overlapped = tfmem.measure(train, "float64", 4096, repeat=3, runtime={"inter_op_threads": 2})
    for what, both in {"4,096 wide, built": built, "4,096 wide, trained": trained, "64 wide, trained": small}.items():
        for dtype in sides:
            claim.row(f"{what}, {dtype}", both[dtype], series=dtype)
    claim.row("4,096 wide, trained, float64, two inter-op threads", overlapped, series="float64")
    claim.drawn("Growth over building a dense network, and over two training steps")
    claim.under(WITHOUT_XLA)

    ratio, weights, tiny = (both.ratio("rss_growth", "float64", "float32") for both in (trained, built, small))
    assert 1.75 < ratio.median < 2.1
    assert 1.5 < ratio.least <= ratio.most < 2.6
    assert weights.least > 1.85
    assert weights.most < 2.1
    assert tiny.most < 1.3
    claim.holds(
        figure=f"{ratio.median:.2f} times when trained, {weights.median:.2f} times when built, 4,096 units wide",
        why="Weights, gradients and activations are arrays of these numbers, and a number takes 8 bytes in place of 4. "
        "What every program takes besides, for threads, kernels and Python objects, is not doubled.",
        objections={
            "A small network:": f"64 wide it is {tiny.median:.2f} times, for there is next to nothing to double, and "
            "the kernels made for float32 take room too.",
            "TensorFlow's own threads:": "what overlaps is there together, so the peak depends on it. With one "
            f"inter-op thread, as above, that is seldom: float64 took {trained.float64.rss_growth.least} to "
            f"{trained.float64.rss_growth.most}; with two it took {overlapped.rss_growth.least} to "
            f"{overlapped.rss_growth.most}.",
        },
    )


def predict(widths: list[int]) -> int:
    """Bytes of the weights, each of which a file has once."""
    model = dense(widths)
    model.predict(tf.zeros((32, 784)), verbose=0)
    return 4 * model.count_params()


def test_width(tfmem, claim):
    """More and wider layers take more memory, out of proportion to their files."""
    networks = {"64-10": NARROW, "512-256-128-10": WIDE, "2048-1024-512-10": WIDER, "4096-2048-1024-10": WIDEST}
    both = tfmem.compare(**{name: tfmem.call(predict, widths) for name, widths in networks.items()}, repeat=3)
    weights = [measured.value for measured in both.values()]
    rows = [
        claim.row(f"{name}, {size / MIB:.1f} MiB of weights", measured)
        for (name, measured), size in zip(both.items(), weights, strict=True)
    ]
    claim.drawn("Growth over building a dense network and predicting 32 rows")
    times = [row.median / size for row, size in zip(rows, weights, strict=True)]
    added = [
        claim.calculated(
            f"added by each byte of weights from {less.what.split(',')[0]} to {more.what.split(',')[0]}",
            "bytes of growth per byte",
            differences(less, more, many - few),
            unit="times",
            plotted=False,
        )
        for (less, more), (few, many) in list(zip(pairwise(rows), pairwise(weights), strict=True))[1:]
    ]

    for less, more in pairwise(rows):
        assert min(more.values) > max(less.values)
    assert times[0] > 10 * times[-1]
    for row in added:
        assert min(row.values) > 1.5
        assert max(row.values) < 7
    claim.depends(
        figure=f"growth is {times[0]:.0f} times the weights of 64-10 and {times[-1]:.1f} times those of "
        "4096-2048-1024-10",
        why="More weights take more memory, as one would think. Out of proportion is only what every program takes, "
        f"some {rows[0].median / MIB:.0f} MiB for TensorFlow's start and a first `predict`, which hide a small file "
        f"altogether; from a few MiB on each byte of weights adds {added[0].median:.1f} to "
        f"{added[-1].median:.1f} bytes, itself and what it is made from.",
        objections={
            "A larger network:": "the two largest are the first two with layers 4 and 8 to 32 times as wide.",
            "After the first call:": "what is counted has a first call in it, which every network that is used makes.",
        },
    )


def convolve(*, normalised: bool, training: bool = True, calls: int = 2, side: int = 128, batch: int = 16) -> int:
    """Four convolutions, each followed by a batch normalisation or not; bytes of the weights."""
    blocks = []
    for _ in range(4):
        blocks.append(layers.Conv2D(32, 3, padding="same", use_bias=False))
        blocks.extend([layers.BatchNormalization()] if normalised else [])
        blocks.append(layers.ReLU())
    head = [layers.GlobalAveragePooling2D(), layers.Dense(10)]
    model = tf.keras.Sequential([layers.Input((side, side, 3)), *blocks, *head])
    model.compile("sgd", "mse", jit_compile=False)
    for _ in range(calls):
        if training:
            model.train_on_batch(tf.zeros((batch, side, side, 3)), tf.zeros((batch, 10)))
        else:
            model.predict_on_batch(tf.zeros((batch, side, side, 3)))
    return 4 * model.count_params()


def test_batchnorm(tfmem, claim):
    """BatchNormalization adds parameters and memory."""

    def both(**arguments):
        sides = {
            "without": tfmem.call(convolve, normalised=False, **arguments),
            "with": tfmem.call(convolve, normalised=True, **arguments),
        }
        return tfmem.compare(**sides, repeat=3, runtime={"inter_op_threads": 1})

    trained, predicted, built = both(), both(training=False), both(calls=0)
    for what, sides in {"trained": trained, "predicting": predicted, "built": built}.items():
        for name, measured in sides.items():
            claim.row(f"{what}, {name}", measured, series=name)
    claim.drawn("Growth of four convolutions, 16 images of 128 x 128")
    claim.under(WITHOUT_XLA)

    ratio = trained.ratio("rss_growth", "with", "without")
    weights = trained["with"].value - trained["without"].value
    assert ratio.least > 1.4
    assert 0 < weights < 4096
    assert predicted.ratio("rss_growth", "with", "without").most < 1.3
    assert built.ratio("rss_growth", "with", "without").most < 1.3
    claim.holds(
        figure=f"{ratio.median:.2f} times in training, for {weights} bytes more of weights",
        why="The weights are nothing: four numbers for each channel. What it takes are activations: each normalisation "
        "puts out an array as large as the convolution's, and training keeps both until the gradients are made.",
        objections={
            "Predicting:": "no activation is kept there, and the two take nearly the same "
            f"({predicted['without'].rss_growth} and {predicted['with'].rss_growth}).",
            "Before the first call:": "built and not yet called they take the same.",
        },
    )


def save(widths: list[int], path: Path) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # between Keras and NumPy, of how arrays are copied
        dense(widths).save(path)
    return path.stat().st_size


def load(path: Path, times: int = 1) -> int:
    """The model, held as it is loaded again; bytes that are resident more than before."""
    before = resident()
    held = [tf.keras.models.load_model(path) for _ in range(times)]
    after = resident()
    del held
    return after - before


def test_load_ratio(tfmem, claim, tmp_path):
    """A loaded model takes far more memory than its file, and the file's size does not predict it."""
    networks = {"64-10": NARROW, "512-256-128-10": WIDE, "2048-1024-512-10": WIDER, "4096-2048-1024-10": WIDEST}
    files = {name: tmp_path / f"{name}.keras" for name in networks}
    sizes = {name: tfmem.measure(save, networks[name], path, repeat=1).value for name, path in files.items()}
    loaded = tfmem.compare(**{name: tfmem.call(load, path) for name, path in files.items()}, repeat=3)
    rows = [claim.row(f"{name}, a file of {sizes[name] / MIB:.1f} MiB", loaded[name], series="peak") for name in files]
    twice = claim.row("the largest, loaded twice", tfmem.measure(load, files["4096-2048-1024-10"], 2), series="peak")
    stays = claim.calculated(
        "the largest: what stays resident", "resident growth", [loaded["4096-2048-1024-10"].value], series="stays"
    )
    claim.drawn("Growth over load_model")
    times = [row.median / size for row, size in zip(rows, sizes.values(), strict=True)]
    by = list(sizes.values())
    added = [
        claim.calculated(
            f"added by each byte of file from {by[i] / MIB:.1f} to {by[i + 1] / MIB:.1f} MiB",
            "bytes of growth per byte",
            differences(rows[i], rows[i + 1], by[i + 1] - by[i]),
            unit="times",
            plotted=False,
        )
        for i in (1, 2)
    ]

    assert min(rows[0].values) > 15 * by[0]
    assert min(rows[-1].values) > 3 * by[-1]
    for row in added:
        assert min(row.values) > 2.5
        assert max(row.values) < 8
    claim.depends(
        figure=f"{times[0]:.0f} times a file of {by[0] / MIB:.1f} MiB, {times[-1]:.1f} times one of {by[-1] / MIB:.0f}",
        why="Far more is true: loading builds the model with weights of its own and reads the file beside it, and the "
        "peak is several times the file. That the size does not predict it is not: beyond what TensorFlow takes to "
        f"begin with, each byte of the file adds {added[0].median:.1f} to {added[1].median:.1f} bytes.",
        objections={
            "After loading:": f"the peak passes, but {stays.values[0] / MIB:.0f} MiB of the largest stay: what "
            "was freed is kept for the next tensors.",
            "A second time:": "the same file loaded once more, both held, peaks at "
            f"{twice.median / rows[-1].median:.2f} times the first.",
        },
    )
