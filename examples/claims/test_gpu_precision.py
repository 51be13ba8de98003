"""What `mixed_float16` halves: weights and activations apart, on a GPU and on a CPU."""

import tensorflow as tf
from claim import WITHOUT_XLA

layers = tf.keras.layers
WIDTH, BATCH = 256, 8192
FEW, MANY = 8, 24  # layers
GPU = {"allocator": "cuda_malloc_async"}
CPU = {"gpus": 0, "inter_op_threads": 1}  # one: else what overlaps differs by the run
POLICIES = ("float32", "mixed_float16")


def train(depth: int, width: int = WIDTH, batch: int = BATCH, steps: int = 2) -> dict[str, int]:
    """Steps of a dense network of so many layers; says how many bytes its weights take, by their type."""
    dense = [layers.Dense(width, activation="relu") for _ in range(depth)]
    model = tf.keras.Sequential([layers.Input((width,)), *dense, layers.Dense(10, dtype="float32")])
    model.compile("sgd", "mse", jit_compile=False)
    for _ in range(steps):
        model.train_on_batch(tf.zeros((batch, width)), tf.zeros((batch, 10)))
    kept: dict[str, int] = {}
    for weight in model.weights:
        size = weight.shape.num_elements() * tf.as_dtype(weight.dtype).size
        kept[weight.dtype] = kept.get(weight.dtype, 0) + size
    return kept


def by_layer(few, many) -> list[float]:
    """Bytes that a layer more adds to the peak for each sample, of each repeat."""
    return [(more - less) / (MANY - FEW) / BATCH for less, more in zip(few.values, many.values, strict=True)]


def test_mixed_precision(tfmem, claim, card):  # noqa: ARG001  the claim says which card
    """The policy `mixed_float16` halves weights and activations."""

    def measured(runtime, policies, *arguments, repeat=3):
        sides = {kind: tfmem.call(train, *arguments, runtime={**runtime, "precision": kind}) for kind in policies}
        return tfmem.compare(**sides, repeat=repeat)

    few, many = (measured(GPU, POLICIES, depth) for depth in (FEW, MANY))
    wide = measured(GPU, POLICIES, 4, 2048, 32)
    on_cpu = measured(CPU, (*POLICIES, "mixed_bfloat16"), FEW)
    layer = {}
    for kind in POLICIES:
        less = claim.row(f"8 layers, batches of 8,192, {kind}", few[kind], "gpu", series=kind)
        more = claim.row(f"24 layers, batches of 8,192, {kind}", many[kind], "gpu", series=kind)
        row = claim.calculated(
            f"a layer more, for each sample, {kind}", "`gpu` by layer and sample", by_layer(less, more), plotted=False
        )
        layer[kind] = row.median
    for kind in POLICIES:
        claim.row(f"64 MiB of weights, batches of 32, {kind}", wide[kind], "gpu", series=kind)
    for kind, side in on_cpu.items():
        claim.row(f"8 layers on the CPU, {kind}", side, series=kind, plotted=False)
    claim.drawn("Peak of tensors in two steps of training a dense network")
    claim.under(WITHOUT_XLA)

    activations = layer["mixed_float16"] / layer["float32"]
    weights = wide.ratio("gpu", "mixed_float16", "float32")
    cpu = on_cpu.ratio("rss_growth", "mixed_float16", "float32")
    assert wide.mixed_float16.value == wide.float32.value
    assert set(wide.mixed_float16.value) == {"float32"}
    assert 0.45 < activations < 0.6
    assert weights.least > 1.1
    assert cpu.least > 0.75
    claim.depends(
        figure=f"activations {activations:.2f} times those of float32; with 64 MiB of weights and small batches the "
        f"peak is {weights.median:.2f} times",
        why="What layers give to each other, and keep for their gradients, is float16, half of it. Weights stay "
        "float32, so that small steps are not lost, and a float16 copy of each is made for its layer besides: a "
        "network that is mostly weights takes more.",
        objections={
            "A CPU:": f"there the process takes {cpu.median:.2f} times what float32 takes, for its kernels work on "
            "copies in float32; with `mixed_bfloat16` it is "
            f"{on_cpu.ratio('rss_growth', 'mixed_bfloat16', 'float32').median:.2f} times.",
            "The whole network:": f"with 8 layers the peak is "
            f"{few.ratio('gpu', 'mixed_float16', 'float32').median:.2f} times, with 24 "
            f"{many.ratio('gpu', 'mixed_float16', 'float32').median:.2f} times: the batch itself stays float32.",
        },
    )
