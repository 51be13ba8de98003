"""Leaks that are there and leaks that are not: `python benchmarks/leaks.py [REPEATS] [planted|clean|retraced ...]`.

Planted: 1, 4 and 16 KiB per call in each of several ways, under a limit of half of that, in 50 calls, by both start
methods: each is to be found, and its interval is to hold what was planted. Clean: loops of real Keras and TensorFlow
under a limit of 16 KiB: none is to be red, or there is a false alarm. Retraced: a tf.function that is called with a new
Python number each time. Each repeat is a session of its own, and so a process of its own for every test.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent

from table import machine, show_plain

METHODS = ("spawn", "forkserver")

PLANTED = """
    import ctypes, pytest

    kept = []
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p

    def large_object(size):
        kept.append(bytearray(size))

    def many_small_lists(size):
        kept.append([[None] for _ in range(size // 88)])  # 56 and 8 bytes, rounded to 16 each, and 8

    def small_tuples(size):
        kept.append([(at, at + 1) for at in range(1000, 1000 + size // 136)])  # 56 bytes and two of 28, rounded, and 8

    def numpy_array(size):
        import numpy
        kept.append(numpy.ones(size, dtype="uint8"))

    def native_malloc(size):
        libc.malloc(ctypes.c_size_t(size))

    def dictionary(size):
        kept.append({at: bytes(160) for at in range(size // 256)})  # 208 bytes, and some 40 of its table

    WAYS = [large_object, many_small_lists, small_tuples, numpy_array, native_malloc, dictionary]

    @pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
    @pytest.mark.parametrize("size", [
        pytest.param(size, marks=pytest.mark.memory_budget(leak=size // 2), id=str(size))
        for size in (1024, 4096, 16384)
    ])
    def test_planted(way, size):
        way(size)
"""

CLEAN = """
    import keras, numpy as np, pytest, tensorflow as tf

    x = np.random.rand(256, 16).astype("float32")
    y = np.random.rand(256, 1).astype("float32")
    pytestmark = pytest.mark.memory_budget(leak="16 KiB")

    def built(**how):
        model = keras.Sequential([keras.layers.Input((16,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(1)])
        model.compile("adam", "mse", **how)
        return model

    @pytest.fixture
    def model():
        return built()

    @pytest.fixture
    def pipeline():
        return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(64).batch(32).prefetch(2)

    def gradients(model, optimizer, a, b):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(a, training=True) - b) ** 2)
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    def test_fit(model):
        model.fit(x, y, batch_size=64, verbose=0)

    def test_predict(model):
        model.predict(x, verbose=0)

    def test_evaluate(model):
        model.evaluate(x, y, verbose=0)

    def test_train_on_batch(model):
        model.train_on_batch(x, y)

    @pytest.fixture
    def step(model):
        optimizer = keras.optimizers.SGD()
        return tf.function(lambda a, b: gradients(model, optimizer, a, b))

    def test_train_step_in_a_function(step):
        step(tf.constant(x), tf.constant(y))

    def test_train_step_run_eagerly(model):
        gradients(model, model.optimizer, tf.constant(x), tf.constant(y))

    def test_iterate_over_a_pipeline(pipeline):
        for _ in pipeline:
            pass

    def test_new_pipeline():
        for _ in tf.data.Dataset.from_tensor_slices((x, y)).map(lambda a, b: (a * 2, b)).batch(32):
            pass

    @pytest.fixture
    def saved(model, tmp_path):
        model.export(tmp_path / "model", verbose=False)
        return tf.saved_model.load(str(tmp_path / "model"))

    def test_saved_model_called(saved):
        saved.serve(tf.constant(x))

    def test_new_model_predicts_and_clear_session():
        keras.utils.clear_session()
        built().predict(x, verbose=0)
"""

RETRACED = """
    import keras, numpy as np, pytest, tensorflow as tf

    calls = []
    pytestmark = pytest.mark.memory_budget(leak="16 KiB")

    @pytest.fixture
    def function():
        return tf.function(lambda number: tf.constant(1) * number)

    def test_function_of_a_new_number_each_time(function):
        calls.append(1)
        function(len(calls))

    @pytest.mark.memory_budget(calls=20)
    def test_new_model_trained_and_clear_session():
        keras.utils.clear_session()
        model = keras.Sequential([keras.layers.Input((16,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        model.train_on_batch(np.ones((8, 16), "float32"), np.ones((8, 1), "float32"))
"""
FILES = {"planted": PLANTED, "clean": CLEAN, "retraced": RETRACED}


def session(text: str, method: str) -> dict[str, tuple[str, dict[str, int]]]:
    """By test, its verdict on `leak` and the reading."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_a.py").write_text(dedent(text))
        (Path(folder) / "pytest.ini").write_text("[pytest]\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
        options = [f"--tfmem-start-method={method}", "--tfmem-json=run.json", "test_a.py"]
        subprocess.run(
            [*command, *options], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
        tests = json.loads((Path(folder) / "run.json").read_text())["tests"]
    found = {test["nodeid"].partition("::test_")[2]: test for test in tests}
    return {name: (test["verdicts"]["leak"], test["readings"]["leak"]) for name, test in found.items()}


def interval(readings: list[dict[str, int]]) -> str:
    """The median estimate, and how far the intervals of all repeats reach."""
    middle = statistics.median(one["bytes"] for one in readings)
    least, most = min(one["least_bytes"] for one in readings), max(one["most_bytes"] for one in readings)
    return f"{middle:,.0f} ({least:,} to {most:,})"


def rows(text: str, repeats: int) -> list[list[str]]:
    runs = {method: [session(text, method) for _ in range(repeats)] for method in METHODS}
    found = []
    for name in runs[METHODS[0]][0]:
        row = [name.replace("_", " ")]
        for method in METHODS:
            of_test = [run[name] for run in runs[method]]
            over = sum(verdict == "over" for verdict, _ in of_test)
            row += [interval([reading for _, reading in of_test]), f"{over} of {repeats}"]
        found.append(row)
    return found


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for name in sys.argv[2:] or FILES:
        print(f"\n{name}:\n")
        show_plain(
            [name, *(head for method in METHODS for head in (f"bytes per call, {method}", "red"))],
            rows(FILES[name], repeats),
        )
    print(f"\nMedian estimates; from the least to the most of all {repeats} intervals. {machine()}.")


if __name__ == "__main__":
    main()
