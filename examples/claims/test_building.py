"""What a model takes when it is built, before it is called, and what building and calling leave behind."""

import subprocess
import sys
from itertools import pairwise

import tensorflow as tf
from claim import WITHOUT_XLA, differences

layers = tf.keras.layers
KIB, MIB = 1 << 10, 1 << 20
UNITS = 100
LAYER_BYTES = 4 * (UNITS * UNITS + UNITS)


def stacked(count: int, *, model: bool = True) -> None:
    """A model of this many Dense(100), which is never called; or its layers alone, built."""
    sys.setrecursionlimit(100_000)  # Keras looks through the layers by calling itself for each
    made = [layers.Dense(UNITS) for _ in range(count)]
    if not model:
        for layer in made:
            layer.build((None, UNITS))
        return
    first = last = tf.keras.Input((UNITS,))
    for layer in made:
        last = layer(last)
    tf.keras.Model(first, last)


def test_graph_5000(tfmem, claim):
    """Stacking 5,000 layers of Dense(100) costs much memory before anything runs."""
    counts = [500, 1000, 2000, 5000]
    models = {count: tfmem.measure(stacked, count, repeat=2) for count in counts}
    alone = tfmem.measure(stacked, 2000, model=False, repeat=2)
    rows = [claim.row(f"{n:,} layers", models[n], series="the model, not called", x=n) for n in counts]
    for n in counts:
        claim.calculated(f"weights of {n:,} layers", "4 bytes each", [n * LAYER_BYTES], series="its weights", x=n)
    bare = claim.row("2,000 layers, no model", alone, plotted=False)
    by_layer, weights = "growth from 500 to 5,000 layers", f"{LAYER_BYTES / KIB:.0f} KiB"
    each = claim.calculated("each layer", by_layer, differences(rows[0], rows[-1], 4500), plotted=False)
    seconds = {
        n: claim.calculated(
            f"each of {n:,} layers",
            "time to build",
            [s / n for s in models[n].each_seconds],
            unit="seconds",
            plotted=False,
        )
        for n in counts
    }
    claim.drawn("Growth over building a model of Dense(100)", x="layers")
    assert min(rows[-1].values) > 5000 * LAYER_BYTES
    for less, more in pairwise(rows):
        assert min(more.values) > 1.5 * max(less.values)
    assert min(each.values) > 1.5 * LAYER_BYTES
    assert max(each.values) < 8 * LAYER_BYTES
    assert min(bare.values) > 0.6 * max(rows[2].values)
    claim.holds(
        figure=f"{rows[-1].median / MIB:.0f} MiB for 5,000 layers that were never called",
        why=f"There is nothing that runs later: a layer makes its weights when it is built, {weights} each here. More "
        "than that is what Keras and TensorFlow keep for each layer, its kernels in a cache among it, and Python's "
        f"objects the lesser part: it takes {each.median / KIB:.0f} KiB in all, the last like the first.",
        objections={
            "It is the graph:": f"2,000 layers that are built but make no model take {bare.median / MIB:.0f} of the "
            f"{rows[2].median / MIB:.0f} MiB of the model.",
            "It may be worse than linear:": f"a layer took {1000 * seconds[500].median:.1f} ms to build among 500 and "
            f"{1000 * seconds[5000].median:.1f} ms among 5,000. But Keras calls itself for each layer, and beyond some "
            "hundred layers Python's limit of recursion has to be raised.",
        },
    )


def imported(what: str) -> int:
    """Peak resident bytes of a new interpreter that imports this."""
    code = f"{what}; print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  ours
    return KIB * int(ran.stdout)


def model_of(width: int, count: int = 4) -> tf.keras.Model:
    hidden = [layers.Dense(width, activation="relu") for _ in range(count)]
    model = tf.keras.Sequential([layers.Input((width,)), *hidden, layers.Dense(10)])
    model.compile("adam", "mse", jit_compile=False)
    return model


def phase(*, width: int = 2048, batch: int = 2048, summary: bool = False, predictions: int = 0, steps: int = 0) -> None:
    """A model built, and then what is asked for."""
    model = model_of(width)
    if summary:
        model.summary(print_fn=len)
    for _ in range(predictions):
        model.predict_on_batch(tf.zeros((batch, width)))
    for _ in range(steps):
        model.train_on_batch(tf.zeros((batch, width)), tf.zeros((batch, 10)))


def first_device() -> None:
    tf.zeros(1)


def weights_of(width: int) -> int:
    """Bytes of the model's weights."""
    return 4 * (4 * (width * width + width) + width * 10 + 10)


SMALL = {"width": 512, "batch": 512}
STAGES = {
    "the first tensor": (first_device, {}),
    "building": (phase, {}),
    "building and summary()": (phase, {"summary": True}),
    "building and predicting": (phase, {"predictions": 1}),
    "building and a training step": (phase, {"steps": 1}),
    "building and 5 training steps": (phase, {"steps": 5}),
    "512 wide, building": (phase, SMALL),
    "512 wide, building and a training step": (phase, {**SMALL, "steps": 1}),
}


def test_init(tfmem, claim):
    """Creating a model already allocates its gradients and activations, and `summary()` forces allocation."""
    processes = {"Python's start": "pass", "import tensorflow": "import tensorflow"}
    for what, code in processes.items():
        peaks = [tfmem.measure(imported, code, repeat=1).value for _ in range(3)]
        claim.calculated(what, "rss", peaks, series="process")
    sides = {what: tfmem.call(function, **how) for what, (function, how) in STAGES.items()}
    both = tfmem.compare(**sides, repeat=3, runtime={"inter_op_threads": 1})
    for what, measured in both.items():
        claim.row(what, measured, series="growth")
    claim.drawn("What a process takes, and what a model of 64 MiB of weights then adds, or one of 4 MiB")
    claim.under(WITHOUT_XLA)

    device, built, summary, predicted, step, steps, small, small_step = (one.rss_growth for one in both.values())
    weights = weights_of(2048)
    assert built.most < 2 * weights
    assert built.least > weights
    assert summary.most < built.least + 4 * MIB
    assert step.least > 4 * weights
    assert step.least > 2 * built.most
    assert steps.most < 1.4 * step.least
    assert small_step.least > 2 * small.most
    claim.fails(
        figure=f"building took {built.bytes / weights:.1f} times the weights, the first training step "
        f"{step.bytes / weights:.1f} times",
        why="A model that is built has its weights, and for a moment what they are drawn from. Activations come with a "
        "call, gradients and the optimizer's two numbers for each weight with the first training step, and "
        "`summary()` counts what is there.",
        objections={
            "A smaller model:": f"512 wide, with {weights_of(512) / MIB:.1f} MiB of weights, building takes {small}, "
            f"and with a training step {small_step}.",
            "summary():": f"with it building takes {summary}, without it {built}.",
            "A first call:": f"predicting, without training, takes {predicted}.",
            "A second step:": f"five steps take {steps}, one takes {step}: most of what it needs is there from the "
            "first on.",
            "It is TensorFlow itself:": f"importing it brings a process to {claim.rows[1].median / MIB:.0f} MiB, which "
            f"is not counted with the model; the {device} of its first tensor are.",
        },
    )
