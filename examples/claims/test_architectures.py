"""Networks by their design: what a smaller or a deeper one takes, to be there, to answer, and to learn."""

import tensorflow as tf
from claim import WITHOUT_XLA

layers = tf.keras.layers
PIXELS = 224
LARGE, SMALL = "ResNet50", "MobileNetV2"


def application(name: str) -> tf.keras.Model:
    made: tf.keras.Model = getattr(tf.keras.applications, name)(weights=None, classifier_activation=None)
    return made


def build(name: str) -> int:
    return int(application(name).count_params())


def train(name: str, batch: int) -> None:
    """One step."""
    model = application(name)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False)
    model.train_on_batch(tf.zeros((batch, PIXELS, PIXELS, 3)), tf.zeros(batch, tf.int32))


def test_architecture(tfmem, claim):
    """MobileNetV2 takes much less memory than ResNet50."""
    names = (SMALL, LARGE)
    few, many = 1, 8
    built = tfmem.compare(**{name: tfmem.call(build, name) for name in names}, repeat=3)
    one = tfmem.compare(**{name: tfmem.call(train, name, few) for name in names}, repeat=3)
    eight = tfmem.compare(**{name: tfmem.call(train, name, many) for name in names}, repeat=2)
    by_image = {}
    for what, both in {"built": built, "a step on 1 image": one, "a step on 8 images": eight}.items():
        for name in names:
            claim.row(f"{what}, {name}", both[name], series=name)
    for name in names:
        pairs = zip(one[name].rss_growth.all, eight[name].rss_growth.all, strict=False)
        values = [(more.bytes - less.bytes) / (many - few) for less, more in pairs]
        row = claim.calculated(f"an image more, {name}", "`rss_growth` by image", values, plotted=False)
        by_image[name] = row.median
    claim.drawn(f"Growth over building the network, and one training step at {PIXELS} x {PIXELS}")
    claim.under(WITHOUT_XLA)

    weights = built[SMALL].value / built[LARGE].value
    there, step = (both.ratio("rss_growth", SMALL, LARGE) for both in (built, eight))
    image = by_image[SMALL] / by_image[LARGE]
    assert weights < 0.15
    assert there.most < 0.4
    assert 0.5 < step.least <= step.most < 0.85
    assert 0.55 < image < 1.0
    claim.depends(
        figure=f"{weights:.2f} times the weights, {there.median:.2f} times the memory when built, {step.median:.2f} "
        f"times for a step on 8 images",
        why="It has a seventh of the weights. What layers give to each other does not shrink with them: "
        f"an image more in a batch takes {by_image[SMALL] / 2**20:.0f} MiB in training, {image:.2f} times that of "
        "ResNet50, and the larger the batch, the more that is all there is to compare.",
        objections={
            "A batch of one:": f"a step takes {one.ratio('rss_growth', SMALL, LARGE).median:.2f} times the memory, for "
            "there weights and their gradients still count.",
        },
    )


WORDS, LENGTH, EMBEDDED = 10_000, 128, 256


def transformer() -> tf.keras.Model:
    """One block: two heads of attention, and a dense layer four times as wide."""
    tokens = layers.Input((LENGTH,), dtype="int32")
    words = layers.Embedding(WORDS, EMBEDDED)(tokens)
    attended = layers.MultiHeadAttention(num_heads=2, key_dim=EMBEDDED // 2)(words, words)
    seen = layers.LayerNormalization()(layers.add([words, attended]))
    further = layers.Dense(EMBEDDED)(layers.Dense(4 * EMBEDDED, activation="relu")(seen))
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(layers.add([seen, further])))
    return tf.keras.Model(tokens, layers.Dense(10)(pooled))


def convolutional(side: int, colours: int) -> tf.keras.Model:
    hidden = [layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(64, 3, activation="relu")]
    return tf.keras.Sequential(
        [layers.Input((side, side, colours)), *hidden, layers.GlobalAveragePooling2D(), layers.Dense(10)]
    )


def small_network(name: str) -> tf.keras.Model:
    return transformer() if name == "transformer" else convolutional(*IMAGES[name])


IMAGES = {"28 x 28 x 1": (28, 1), "256 x 256 x 3": (256, 3)}
STAGES = {"start": 0, "first call": 1, "steady state": 10}


def answer(name: str, calls: int, batch: int) -> int:
    model = small_network(name)
    model.compile("sgd", "mse", jit_compile=False)
    for _ in range(calls):
        model.predict_on_batch(tf.zeros((batch, *model.input_shape[1:]), model.inputs[0].dtype))
    return int(model.count_params())


def test_transformer(tfmem, claim):
    """A small Transformer takes more memory than small convolutional networks, although it has few layers.

    Embedding 256, 2 heads, length 128, vocabulary 10,000; two convolutions on images of either size.
    """
    names = ("transformer", *IMAGES)
    growth, weights = {}, {}
    for batch, stages, repeat in ((16, STAGES, 3), (1, ("steady state",), 2)):
        for stage in stages:
            sides = {name: tfmem.call(answer, name, STAGES[stage], batch) for name in names}
            for name, measured in tfmem.compare(**sides, repeat=repeat).items():
                claim.row(f"{stage}, batches of {batch}, {name}", measured, series=name, plotted=batch > 1)
                growth[name, stage, batch] = measured.rss_growth
                weights[name] = measured.value
    claim.drawn("Growth up to three moments, batches of 16")
    claim.under(WITHOUT_XLA)

    words, digits, photographs = names
    for stage in STAGES:
        assert growth[words, stage, 16].least > 1.3 * growth[digits, stage, 16].most.bytes
    assert growth[words, "start", 16].least > 1.3 * growth[photographs, "start", 16].most.bytes
    for stage in ("first call", "steady state"):
        assert growth[photographs, stage, 16].least > 1.5 * growth[words, stage, 16].most.bytes
    last = {name: growth[name, "steady state", 16] for name in names}
    alone = {name: growth[name, "steady state", 1] for name in names}
    claim.depends(
        figure=f"in the steady state {last[words]}, against {last[digits]} for images of 28 x 28 and "
        f"{last[photographs]} for 256 x 256, in batches of 16",
        why=f"It has {weights[words]:,} weights, most of them rows for words, against {weights[digits]:,}, so it is "
        "the largest when it is made. From the first call on what counts is what layers give to each other, which goes "
        "by the length of a text or the area of an image: a convolution on 256 x 256 pixels gives more than the "
        "whole Transformer.",
        objections={
            "One at a time:": f"in batches of 1 it takes {alone[words]}, and they {alone[digits]} and "
            f"{alone[photographs]}.",
            "The first call:": f"{growth[words, 'first call', 16]}, {growth[digits, 'first call', 16]} and "
            f"{growth[photographs, 'first call', 16]}, which is the same order.",
        },
    )
