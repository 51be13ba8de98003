"""What a loop leaves behind that calls a model, or builds one after the other."""

import gc
import weakref
from itertools import pairwise

import tensorflow as tf
from claim import WITHOUT_XLA, differences, resident

layers = tf.keras.layers
KIB, MIB = 1 << 10, 1 << 20


def model_of(width: int) -> tf.keras.Model:
    hidden = [layers.Dense(width, activation="relu") for _ in range(4)]
    model = tf.keras.Sequential([layers.Input((width,)), *hidden, layers.Dense(10)])
    model.compile("adam", "mse", jit_compile=False)
    return model


def predict(calls: list[int], *, clear: bool = False) -> list[int]:
    """Bytes that are resident after so many calls of `predict`. `clear`: with `clear_session` after every ten."""
    model, after = model_of(64), []
    for number in range(1, max(calls) + 1):
        model.predict(tf.zeros((32, 64)), verbose=0)
        if clear and number % 10 == 0:
            tf.keras.backend.clear_session()
        if number in calls:
            gc.collect()
            after.append(resident())
    return after


def build(models: int, *, used: bool = False, clear: bool = False, collect: bool = False) -> int:
    """Models made one after the other, and trained for a step if they are `used`. How many of them are still there."""
    made = []
    for _ in range(models):
        model = model_of(64)
        made.append(weakref.ref(model))
        if used:
            model.train_on_batch(tf.zeros((32, 64)), tf.zeros((32, 10)))
        del model
        if clear:
            tf.keras.backend.clear_session()
        if collect:
            gc.collect()
    return sum(one() is not None for one in made)


CALLS = [120, 420, 820]
LOOPS = {
    "build": ((20, 70), {}),
    "build, gc.collect": ((20, 70), {"collect": True}),
    "build, clear_session": ((20, 70), {"clear": True}),
    "build and train": ((3, 13), {"used": True}),
    "build and train, gc.collect": ((3, 13), {"used": True, "collect": True}),
    "build and train, clear_session": ((3, 13), {"used": True, "clear": True}),
}


def by_call(tfmem, claim, what, **how):
    """What a call of `predict` adds, once the first ones are over and then later, in each of two processes."""
    counted = [tfmem.measure(predict, CALLS, repeat=1, **how).value for _ in range(2)]
    rows = []
    for place, (few, many) in enumerate(pairwise(CALLS)):
        values = [(after[place + 1] - after[place]) / (many - few) for after in counted]
        figure = f"resident bytes from {few} calls to {many}"
        rows.append(claim.calculated(f"{what}, from {few} on", figure, values, unit="bytes per call"))
    return rows


def by_model(tfmem, claim, what, turns, how):
    """What a model more adds, and how many models are alive in the end."""
    few, many = turns
    both = tfmem.compare(few=tfmem.call(build, few, **how), many=tfmem.call(build, many, **how), repeat=2)
    less, more = (
        claim.row(f"{what}, {n} times", both[side], plotted=False) for side, n in (("few", few), ("many", many))
    )
    figure = f"growth from {few} turns to {many}"
    return claim.calculated(what, figure, differences(less, more, many - few), unit="bytes per call"), both.many.value


def test_leak(tfmem, claim):
    """A loop that calls `predict`, or builds models, keeps growing until `clear_session`."""
    predicted, later = by_call(tfmem, claim, "predict")
    predicted_cleared, later_cleared = by_call(tfmem, claim, "predict, clear_session", clear=True)
    kept = [by_model(tfmem, claim, what, *how) for what, how in LOOPS.items()]
    claim.drawn("Bytes that each turn of a loop adds")
    claim.under(WITHOUT_XLA)

    built, collected, cleared, trained, trained_collected, trained_cleared = (row for row, _ in kept)
    alive = {what: number for what, (_, number) in zip(LOOPS, kept, strict=True)}
    assert min(built.values) > 200 * KIB
    assert min(collected.values) > 200 * KIB
    assert alive["build, gc.collect"] == alive["build and train, gc.collect"] == 0
    assert max(cleared.values) < 16 * KIB
    assert max(predicted.values + predicted_cleared.values) < min(built.values) / 10
    assert max(predicted_cleared.values) < min(predicted.values) / 2
    assert max(later.values + later_cleared.values) < 16 * KIB
    assert min(trained.values) > 2 * MIB
    assert min(trained_collected.values) > 2 * MIB
    assert min(trained_cleared.values) > 0.4 * max(trained.values)
    claim.depends(
        figure=f"a model built adds {built.median / KIB:.0f} KiB, and with `clear_session` nothing; "
        f"one that was trained {trained.median / MIB:.1f} MiB, and with it {trained_cleared.median / MIB:.1f} MiB",
        why="No model stays alive: what stays is TensorFlow's own, a cached kernel for each name of a variable, and "
        "Keras gives every model new names; `clear_session` empties that cache and begins the names anew. Of a model "
        "that was trained the functions that were traced for its steps stay too, and those it does not remove.",
        objections={
            "A loop of predict:": f"from the {CALLS[0]}th call on each adds {predicted.median / KIB:.1f} KiB, from the "
            f"{CALLS[1]}th on {later.median / KIB:.1f} KiB; with `clear_session` after every ten "
            f"{predicted_cleared.median / KIB:.1f} and {later_cleared.median / KIB:.1f} KiB.",
            "Nothing was collected:": f"without `clear_session`, deleting the model and `gc.collect()` left none of "
            f"the models, and {collected.median / KIB:.0f} KiB for each.",
        },
    )
