"""Networks made smaller: weights that are pruned away, and weights that are whole numbers."""

import gzip
import importlib.util
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf
from claim import WITHOUT_XLA

layers = tf.keras.layers
WIDTH, SMALLER, DEPTH = 2048, 1024, 4
WEIGHTS = DEPTH * WIDTH * WIDTH * 4  # bytes: 64 MiB, all but the last layer's and the biases


class Pruned(layers.Dense):
    """Zeroes the weights below the mean size, by a mask that is made anew at each step of training."""

    def build(self, input_shape):
        super().build(input_shape)
        self.mask = self.add_weight(shape=self.kernel.shape, initializer="ones", trainable=False, name="mask")

    def call(self, inputs, training=False):
        if training:
            size = tf.abs(self.kernel)
            self.mask.assign(tf.cast(size >= tf.reduce_mean(size), tf.float32))
            self.kernel.assign(self.kernel * self.mask)
        return self.activation(tf.matmul(inputs, self.kernel) + self.bias)


def network(dense=layers.Dense, keras=tf.keras, width=WIDTH):
    hidden = [dense(width, activation="relu") for _ in range(DEPTH)]
    return keras.Sequential([keras.layers.InputLayer((width,)), *hidden, keras.layers.Dense(10)])


def train(*, pruned: bool, width: int = WIDTH, steps: int = 3) -> tf.keras.Model:
    model = network(Pruned if pruned else layers.Dense, width=width)
    model.compile("sgd", "mse", jit_compile=False)
    for _ in range(steps):
        model.train_on_batch(tf.random.normal((32, width)), tf.zeros((32, 10)))
    return model


def export(folder: str, *, pruned: bool) -> dict[str, int]:
    """Writes the network without masks, its weights masked; says how large their file is, raw and compressed."""
    model = network()
    for layer, trained in zip(model.layers, train(pruned=pruned).layers, strict=True):
        kernel, bias, *mask = trained.get_weights()
        layer.set_weights([kernel * mask[0] if mask else kernel, bias])
    exported = Path(folder) / ("pruned" if pruned else "dense")
    model.export(str(exported), verbose=False)
    raw = b"".join(path.read_bytes() for path in sorted(exported.glob("variables/*")))
    return {"raw": len(raw), "compressed": len(gzip.compress(raw, 1))}


def train_wrapped(*, pruned: bool, steps: int = 3) -> None:
    """The same with the wrappers of tensorflow-model-optimization, which are for Keras 2."""
    warnings.simplefilter("ignore")  # of what both import
    import tensorflow_model_optimization as tfmot
    import tf_keras

    model = network(tf_keras.layers.Dense, tf_keras)
    callbacks = []
    if pruned:
        model = tfmot.sparsity.keras.prune_low_magnitude(model)
        callbacks = [tfmot.sparsity.keras.UpdatePruningStep()]
    model.compile("sgd", "mse")
    rows = np.zeros((32 * steps, WIDTH), "float32")
    model.fit(rows, np.zeros((32 * steps, 10), "float32"), batch_size=32, verbose=0, callbacks=callbacks)


def serve(folder: str) -> None:
    """Answers from what was exported."""
    loaded = tf.saved_model.load(folder)
    for _ in range(3):
        loaded.serve(tf.zeros((32, WIDTH)))


KINDS = {"dense": False, "pruned": True}
TRAININGS = {"training": {}, "training 1,024 wide": {"width": SMALLER}, "training, 12 steps": {"steps": 12}}


def both_trained(tfmem, **how):
    sides = {kind: tfmem.call(train, pruned=is_, **how) for kind, is_ in KINDS.items()}
    return tfmem.compare(**sides, repeat=3, runtime={"inter_op_threads": 1})


def test_pruning(tfmem, claim, tmp_path):
    """Magnitude pruning lowers memory."""
    folder = str(tmp_path)
    found = {what: both_trained(tfmem, **how) for what, how in TRAININGS.items()}
    exported = {kind: tfmem.measure(export, folder, pruned=is_, repeat=1).value for kind, is_ in KINDS.items()}
    served = tfmem.compare(**{kind: tfmem.call(serve, f"{folder}/{kind}") for kind in KINDS}, repeat=3)
    for what, both in {**found, "answers of what was exported": served}.items():
        for kind, measured in both.items():
            claim.row(f"{what}, {kind}", measured, series=kind)
    files = {(kind, how): size for kind in KINDS for how, size in exported[kind].items()}
    for (kind, how), size in files.items():
        claim.calculated(f"exported weights, {how}, {kind}", "size of the file", [size], series=kind)
    claim.drawn("Growth of the process, and exported weights, of a dense network of 64 MiB, or as wide as is said")
    claim.under(WITHOUT_XLA)

    training, less, more, serving = (both.ratio("rss_growth", "pruned", "dense") for both in (*found.values(), served))
    raw, compressed = (files["pruned", how] / files["dense", how] for how in ("raw", "compressed"))
    for one in (training, less, more):
        assert one.median > 1.2
        assert one.least > 1.0  # now and then what two layers need is there together
    assert serving.least > 0.95
    assert 0.99 < raw < 1.01
    assert compressed < 0.8
    objections = {
        "A smaller network:": f"1,024 wide, with 16 MiB of weights, it takes {less.median:.2f} times.",
        "More steps:": f"after 12 in place of 3 it takes {more.median:.2f} times.",
        "The file:": f"the exported weights, which Keras writes twice, take {raw:.2f} times the room, for a zero is "
        f"written as any other number is; under gzip they take {compressed:.2f} times.",
        "After training, when there are no masks any more:": "answers of the exported network take "
        f"{serving.median:.2f} times the memory.",
    }
    if importlib.util.find_spec("tensorflow_model_optimization"):
        objections["The library's own wrappers:"] = wrapped(tfmem, claim.row)
    claim.fails(
        figure=f"training takes {training.median:.2f} times the memory with pruning than without",
        why="A weight that is pruned is a zero in an array of the same size, which is multiplied like any other; the "
        "mask that says which are pruned is one array more. Only what is compressed becomes smaller.",
        objections=objections,
    )


def wrapped(tfmem, row) -> str:
    both = tfmem.compare(**{kind: tfmem.call(train_wrapped, pruned=is_) for kind, is_ in KINDS.items()}, repeat=2)
    for kind, measured in both.items():
        row(f"training by tensorflow-model-optimization, {kind}", measured, series=kind, plotted=False)
    ratio = both.ratio("rss_growth", "pruned", "dense")
    assert ratio.median > 1.1
    assert ratio.least > 1.0
    return f"`prune_low_magnitude` of tensorflow-model-optimization takes {ratio.median:.2f} times."


def convert(path: str, *, quantised: bool) -> int:
    """Writes it for the interpreter of TensorFlow Lite, all in int8 or all in float32. Says how large the file is."""
    converter = tf.lite.TFLiteConverter.from_keras_model(network())
    if quantised:
        rows = np.random.default_rng(seed=1).random((8, 1, WIDTH), "float32")
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row] for row in rows)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    warnings.simplefilter("ignore")  # the converter says what it had to guess
    return Path(path).write_bytes(converter.convert())


def interpret(path: str, times: int = 3) -> None:
    warnings.simplefilter("ignore")  # it is to move to a package of its own, ai-edge-litert
    interpreter = tf.lite.Interpreter(path)
    interpreter.allocate_tensors()
    rows = interpreter.get_input_details()[0]
    for _ in range(times):
        interpreter.set_tensor(rows["index"], np.zeros(rows["shape"], rows["dtype"]))
        interpreter.invoke()


def predict() -> None:
    model = network()
    for _ in range(3):
        model.predict_on_batch(tf.zeros((1, WIDTH)))


def test_quantised(tfmem, claim, tmp_path):
    """Quantisation lowers memory."""
    files = {"float32": str(tmp_path / "floats.tflite"), "int8": str(tmp_path / "bytes.tflite")}
    sides = {kind: tfmem.call(convert, path, quantised=kind == "int8") for kind, path in files.items()}
    converted = tfmem.compare(**sides, repeat=2)
    answered = tfmem.compare(**{kind: tfmem.call(interpret, path) for kind, path in files.items()}, repeat=3)
    keras = tfmem.measure(predict, repeat=2)
    for kind, measured in answered.items():
        claim.row(f"three answers, {kind}", measured, series=kind)
    claim.row("three answers by Keras, float32", keras, series="float32")
    for kind, measured in converted.items():
        claim.row(f"conversion, {kind}", measured, series=kind)
    for kind in files:
        claim.calculated(f"file, {kind}", "size of the file", [converted[kind].value], series=kind)
    claim.drawn("Growth of the process, and files, of a dense network of 64 MiB")

    file = converted.int8.value / converted.float32.value
    answers, conversion = (both.ratio("rss_growth", "int8", "float32") for both in (answered, converted))
    assert file < 0.27
    assert answers.most < 0.4
    assert conversion.least > 0.8
    assert converted.int8.rss_growth.least > 5 * WEIGHTS
    claim.holds(
        figure=f"int8 takes {answers.median:.2f} times the memory of float32 in answering, {file:.2f} times the file",
        why="A weight takes one byte in place of four, in the file and in the copy of it that the interpreter lays out "
        "for its kernels; that copy is why answers take more than the file in both.",
        objections={
            "Conversion:": f"takes {converted.int8.rss_growth} for int8, {converted.float32.rss_growth} for float32, "
            "many times the network itself: what is saved is saved where the file is used.",
            "Against Keras itself:": f"which answers with {keras.rss_growth}, the interpreter saves only with int8.",
        },
    )
