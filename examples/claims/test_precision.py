"""What layers in float16 take on a CPU, and what of them is halved."""

import tensorflow as tf
from claim import WITHOUT_XLA, calculates_in_bfloat16

layers = tf.keras.layers
BATCH = 4
SIDE = 256
KINDS = ("float32", "float16", "bfloat16")


def two_convolutions(dtype: str) -> tf.keras.Model:
    convolutions = [layers.Conv2D(filters, 3, activation="relu", dtype=dtype) for filters in (32, 64)]
    pooled = [layers.GlobalAveragePooling2D(dtype=dtype), layers.Dense(10, dtype=dtype)]
    return tf.keras.Sequential([layers.Input((SIDE, SIDE, 3), dtype=dtype), *convolutions, *pooled])


def answer(dtype: str, calls: int = 2, batch: int = BATCH) -> int:
    """Answers for a batch, and says how many bytes the weights take."""
    model = two_convolutions(dtype)
    for _ in range(calls):
        model(tf.zeros((batch, SIDE, SIDE, 3), dtype))
    return sum(weight.shape.num_elements() * tf.as_dtype(weight.dtype).size for weight in model.variables)


def train(dtype: str, steps: int = 2) -> None:
    model = two_convolutions(dtype)
    model.compile("sgd", "mse", jit_compile=False)
    for _ in range(steps):
        model.train_on_batch(tf.zeros((BATCH, SIDE, SIDE, 3), dtype), tf.zeros((BATCH, 10), dtype))


def test_float16_layers(tfmem, claim):
    """Layers in float16 take half of what they take in float32."""
    counted = {"cpu_allocator": "bfc"}
    answered = tfmem.compare(**{kind: tfmem.call(answer, kind) for kind in KINDS}, repeat=3, runtime=counted)
    trained = tfmem.compare(**{kind: tfmem.call(train, kind) for kind in KINDS}, repeat=2, runtime=counted)
    doubled = tfmem.compare(
        **{kind: tfmem.call(answer, kind, batch=2 * BATCH) for kind in KINDS}, repeat=2, runtime=counted
    )
    for what, both in {"two calls": answered, "two steps of training": trained}.items():
        for kind, measured in both.items():
            claim.row(f"{what}, tensors, {kind}", measured, "cpu_tensors", series=kind)
            claim.row(f"{what}, process, {kind}", measured, series=kind)
    for kind, measured in doubled.items():
        claim.row(f"two calls on a batch of 8, {kind}", measured, series=kind, plotted=False)
    claim.drawn("Peaks of two convolutions on four images of 256 x 256 x 3")
    claim.under(WITHOUT_XLA)

    weights = answered.float16.value / answered.float32.value
    tensors, process = (answered.ratio(figure, "float16", "float32") for figure in ("cpu_tensors", "rss_growth"))
    training = trained.ratio("rss_growth", "float16", "float32")
    larger, brain = (
        doubled.ratio("rss_growth", "float16", "float32"),
        answered.ratio("rss_growth", "bfloat16", "float32"),
    )
    assert weights == 0.5
    assert 0.6 < tensors.least <= tensors.most < 0.85
    assert process.least > 0.75
    assert larger.least > 0.75
    assert training.least > 1.15
    instructions = "instructions" if calculates_in_bfloat16() else "no instructions"
    claim.depends(
        figure=f"weights {weights:.2f} times those of float32, tensors at the peak {tensors.median:.2f} times, the "
        f"process {process.median:.2f} times; in training {training.median:.2f} times",
        why="Weights and what layers give to each other are halved. But this CPU's kernels do not calculate in "
        "float16: what a convolution works on is turned to float32 and back on the way, an average is summed up in "
        "float32, and at the peak those copies are there too.",
        objections={
            "A larger batch:": f"with 8 images the process takes {larger.median:.2f} times as much as in float32.",
            f"bfloat16, for which this processor has {instructions}:": f"{brain.median:.2f} times in answering, "
            f"{trained.ratio('rss_growth', 'bfloat16', 'float32').median:.2f} times in training.",
            "A GPU:": "has kernels that calculate in float16. What they save there is under mixed-precision.",
        },
    )
