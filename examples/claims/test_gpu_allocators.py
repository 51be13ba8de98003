"""TensorFlow's GPU allocators: on a card, or on stand-in CUDA libraries by stand_in.py, where bytes are real too."""

import statistics

import pytest
import tensorflow as tf
from claim import WITHOUT_XLA, differences

layers = tf.keras.layers
MIB, GIB = 1 << 20, 1 << 30


def start() -> None:
    tf.zeros(1)


def hold(mib: int, count: int) -> None:
    """As many tensors of this size, all alive together."""
    held = [tf.zeros((mib * MIB // 4,)) for _ in range(count)]
    assert len(held) == count


@pytest.mark.usefixtures("card")
def test_growth(tfmem, claim):
    """Memory growth takes only what is needed at the start."""
    runtimes = {
        "the whole card": {"allocator": "bfc"},
        "a limit of 2 GiB": {"allocator": "bfc", "memory_limit": "2 GiB"},
        "growth": {"allocator": "growth"},
    }
    calls = {"4 bytes": (start,), "576 MiB": (hold, 64, 9)}
    found = {}
    for what, call in calls.items():
        both = tfmem.compare(**{name: tfmem.call(*call, runtime=how) for name, how in runtimes.items()}, repeat=3)
        for name, measured in both.items():
            found[what, name] = claim.row(f"{what}, {name}", measured, "gpu_footprint", series=name)
    claim.drawn("What the driver charged for 4 bytes, and for 9 tensors of 64 MiB")

    first, later = found["4 bytes", "growth"], found["576 MiB", "growth"]
    whole, limited = found["4 bytes", "the whole card"], found["4 bytes", "a limit of 2 GiB"]
    taken = differences(first, later, MIB)
    assert min(limited.values) > max(first.values) + 1.9 * GIB
    assert min(whole.values) > 2 * max(first.values)
    assert min(taken) > 576
    assert max(taken) < 2 * 576
    claim.holds(
        figure=f"{first.median / MIB:.0f} MiB at the start with the context, in place of {whole.median / MIB:,.0f} MiB",
        why="Without growth TensorFlow reserves all the memory of the card, or the whole limit, with its first tensor; "
        "with growth it takes 2 MiB, and after that regions that double. So it is only at the start that it takes just "
        "what is needed: the next region is as large as all before it together, and none is given back "
        "before the card is full.",
        objections={
            "Later on:": f"for 576 MiB of tensors it took {statistics.median(taken):,.0f} MiB from the card, "
            f"{statistics.median(taken) / 576:.1f} times as much.",
            "The context:": "the driver's context is in all of these figures, and no allocator makes it smaller; a "
            "stand-in card's is 300 MiB.",
        },
    )


def change(rounds: int) -> None:
    """Tensors of changing sizes, some of which stay while others go."""
    held = []
    for place in range(rounds):
        held.append(tf.zeros(((37 * place % 64 + 1) * MIB // 4,)))
        if len(held) > 8:
            held.pop(5 * place % 8)


def lengthen(rounds: int) -> None:
    """A pair of tensors, each time longer than the last, which is gone before the next comes."""
    for place in range(rounds):
        pair = [tf.zeros(((16 + place) * MIB // 4,)) for _ in range(2)]
        del pair


SIZES = {"mixed sizes": (change, 400), "longer each time": (lengthen, 100), "one size": (hold, 64, 16)}
FACTOR = "footprint without context, over bytes requested"


POOLS = ("growth", "cuda_malloc_async")


def over_requested(tfmem, claim, from_driver) -> dict:
    """How many times what was requested the driver charged, by kind of sizes and by the allocators of `from_driver`."""
    nothing = tfmem.measure(start, runtime={"allocator": "growth"})
    context = claim.row("4 bytes, for its context", nothing, "gpu_footprint", plotted=False)
    over = {}
    for what, call in SIZES.items():
        both = tfmem.compare(**{name: tfmem.call(*call, runtime={"allocator": name}) for name in POOLS}, repeat=3)
        used = {name: claim.row(f"{what}, {name}: in use", both[name], "gpu", series="in use") for name in POOLS}
        for name in from_driver:
            held = claim.row(f"{what}, {name}: footprint", both[name], "gpu_footprint", series="footprint")
            factors = [(value - context.median) / used["cuda_malloc_async"].median for value in held.values]
            over[what, name] = claim.calculated(f"{what}, {name}", FACTOR, factors, unit="times", plotted=False)
    return over


def test_async(tfmem, claim, card):
    """`cuda_malloc_async` avoids fragmentation."""
    real = card != "stand-in"
    over = over_requested(tfmem, claim, POOLS if real else POOLS[:1])  # the other's is the driver's: there a counter
    claim.drawn("Tensors of changing sizes and of one: bytes in use, and what the driver charged")

    mixed, longer, filled = (over[what, "growth"] for what in SIZES)
    assert min(mixed.values) > 1.3
    assert min(longer.values) > 1.3
    assert max(filled.values) < 1.1
    figure = (
        f"`growth` held {mixed.median:.1f} and {longer.median:.1f} times the bytes that were requested where sizes "
        f"change, {filled.median:.1f} times where they are all the same"
    )
    pool = "its pool is a counter on stand-in CUDA libraries and cannot fragment, so what it avoids was not measured."
    if real:
        by_pool = [over[what, "cuda_malloc_async"] for what in SIZES]
        assert min(mixed.values) > 1.3 * max(by_pool[0].values)
        assert min(longer.values) > 1.3 * max(by_pool[1].values)
        figure += f"; `cuda_malloc_async` {', '.join(f'{row.median:.1f}' for row in by_pool)} times"
        pool = "its pool, which is the driver's, can give back and put together anew what is free."
    claim.depends(
        figure=figure,
        why="BFC keeps the regions that it has got and gives a tensor a free piece that may be nearly twice its size, "
        "so there is something to avoid where sizes change, and nothing where tensors of one size fill its regions. "
        f"`cuda_malloc_async` counts just what was requested; {pool}",
        objections={
            "Only some sizes:": "tensors were tried that become longer one by one, which fit no hole left, sizes in "
            "turn, of which some stay, and 16 tensors of 64 MiB.",
        },
    )


def mirrored(devices: int, kind: str, width: int = 2048, batch: int = 64) -> None:
    """Training over so many devices, which share each batch."""
    strategy = tf.distribute.MirroredStrategy([f"{kind}:{place}" for place in range(devices)])
    with strategy.scope():
        hidden = [layers.Dense(width) for _ in range(4)]
        model = tf.keras.Sequential([layers.Input((width,)), *hidden, layers.Dense(10)])
        model.compile("adam", "mse", jit_compile=False)
    data = tf.data.Dataset.from_tensors((tf.zeros((batch, width)), tf.zeros((batch, 10)))).repeat(3)
    model.fit(data, shuffle=False, verbose=0)


@pytest.mark.usefixtures("card")
def test_mirrored(tfmem, claim):
    """`MirroredStrategy` spreads memory over devices."""
    cpus = {"gpus": 0, "logical_devices": {"CPU": 2}}
    wide, deep = {"width": 2048, "batch": 64}, {"width": 256, "batch": 65_536}
    sides = {
        ("large weights", "each GPU"): ("GPU", wide, {}),
        ("a large batch", "each GPU"): ("GPU", deep, {}),
        ("large weights", "the process, on CPUs"): ("CPU", wide, cpus),
    }
    ratios = []
    for (what, where), (kind, sizes, runtime) in sides.items():
        both = tfmem.compare(
            one=tfmem.call(mirrored, 1, kind, **sizes), two=tfmem.call(mirrored, 2, kind, **sizes), runtime=runtime
        )
        figure = "gpu" if kind == "GPU" else "rss_growth"
        for name, measured in both.items():
            claim.row(f"{what}, {name}: {where}", measured, figure, series=name)
        ratios.append(both.ratio(figure, "two", "one"))
    claim.drawn("Training on one device and mirrored on two: the fullest GPU, and the process")
    claim.under(WITHOUT_XLA)

    weights, batch, process = ratios
    assert weights.least > 0.9
    assert weights.most < 1.1
    assert batch.most < 0.7
    assert process.least > 1.6
    claim.depends(
        figure=f"with large weights each of two GPUs took {weights.median:.2f} times what one took, with a large batch "
        f"{batch.median:.2f} times",
        why="Each device has a whole copy of the weights, the gradients and what the optimizer keeps, which is what "
        "mirrored means; only the batch is shared out, and with it the activations. So two devices need as much "
        "memory each as one, or in all twice as much, unless it is the batch that takes it.",
        objections={
            "Logical devices:": f"two of the CPU's, in one process, took {process.median:.1f} times what one took, "
            "where what is copied between them counts, too.",
        },
    )
