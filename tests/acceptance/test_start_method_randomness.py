"""A forked test draws what a test in a new interpreter draws: the seed that its file has chosen, or one of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")

DRAWS_OF_PYTHON = """
    import random, secrets, tempfile, uuid

    @budget()
    @pytest.mark.parametrize("number", [1, 2])
    def test_draws(number):
        note(random.random())
        note(random.Random().random())
        note(uuid.uuid4())
        note(uuid.uuid1())
        note(secrets.token_hex())
        note(tempfile.mktemp())
"""
SEEDED = """
    import random
    random.seed(4)
    at_import = random.random()

    @budget()
    @pytest.mark.parametrize("number", [1, 2])
    def test_draws(number): note([at_import, random.random(), random.gauss(0, 1)])
"""
DRAWS_OF_NUMPY = """
    import numpy as np
    import numpy.random  # which NumPy itself leaves to its first use

    @budget()
    @pytest.mark.parametrize("number", [1, 2])
    def test_draws(number):
        note(np.random.random_sample())
        note(np.random.default_rng().random())
"""
SEEDED_NUMPY = """
    import numpy as np
    {}
    at_import = np.random.random_sample()

    @budget()
    @pytest.mark.parametrize("number", [1, 2])
    def test_draws(number): note([at_import, np.random.random_sample(), np.random.standard_normal()])
"""
CHOICES_OF_NUMPY = {
    "number": "np.random.seed(4)",
    "words": "np.random.seed([4, 5])",
    "generator": "np.random.set_bit_generator(np.random.PCG64(4))",
}
DRAWS_OF_TENSORFLOW = """
    import random
    import numpy as np
    import tensorflow as tf
    {}

    @budget()
    @pytest.mark.parametrize("number", [1, 2])
    def test_{}(number): note([tf.random.uniform([]).numpy().item(), np.random.random_sample(), random.random()])
"""
# A server that imports NumPy ahead, and one that leaves it to the file.
WITH_NUMPY = ""
WITHOUT_NUMPY = "tfmem_preload ="
needs_numpy = pytest.mark.skipif(importlib.util.find_spec("numpy") is None, reason="NumPy is not installed")


def test_without_a_seed_no_two_tests_draw_the_same(project):
    project.write("test_it.py", DRAWS_OF_PYTHON)
    ran = project.run()
    assert set(ran.outcomes.values()) == {"passed"}
    assert len(ran.notes) == 12
    assert len(set(ran.notes)) == 12


@needs_numpy
@pytest.mark.parametrize("ini", [WITH_NUMPY, WITHOUT_NUMPY], ids=["preloaded", "not-preloaded"])
def test_nor_do_they_of_numpy(project, ini):
    project.write("pytest.ini", f"[pytest]\n{ini}\n")
    project.write("test_it.py", DRAWS_OF_NUMPY)
    ran = project.run()
    assert set(ran.outcomes.values()) == {"passed"}
    assert len(set(ran.notes)) == 4


@needs_numpy
@pytest.mark.of_any_start_method
def test_with_a_seed_chosen_at_import_every_test_draws_what_it_draws_in_a_new_interpreter(project):
    project.write("test_python.py", SEEDED)
    for name, statement in CHOICES_OF_NUMPY.items():
        project.write(f"test_{name}.py", SEEDED_NUMPY.format(statement))
    spawned = project.run("--tfmem-start-method=spawn", "-k", "test_draws[1]")
    assert len(set(spawned.notes)) == 4
    for ini in WITH_NUMPY, WITHOUT_NUMPY:
        project.write("pytest.ini", f"[pytest]\n{ini}\n")
        forked = project.run("--tfmem-start-method=forkserver")
        assert forked.returncode == 0
        assert forked.notes[0::2] == forked.notes[1::2] == spawned.notes


@pytest.mark.of_any_start_method
def test_a_seed_chosen_by_one_file_is_not_the_next_ones(project):
    project.write("test_a_seeded.py", SEEDED)
    project.write("test_b_other.py", "import random\n@budget()\ndef test_other(): note(random.random())")
    runs = [project.run("--tfmem-start-method=forkserver") for _ in range(2)]
    assert len(runs[0].notes) == 3
    assert runs[0].notes[:2] == runs[1].notes[:2]
    assert runs[0].notes[2] != runs[1].notes[2]


@pytest.mark.of_any_start_method
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_tensorflow_draws_as_in_a_new_interpreter(project):
    project.write("test_a.py", DRAWS_OF_TENSORFLOW.format("", "unseeded"))
    project.write("test_b.py", DRAWS_OF_TENSORFLOW.format("tf.random.set_seed(4)", "tensorflow"))
    project.write("test_c.py", DRAWS_OF_TENSORFLOW.format("tf.keras.utils.set_random_seed(4)", "keras"))
    forked = project.run("--tfmem-start-method=forkserver")
    assert set(forked.outcomes.values()) == {"passed"}
    first, second, *tensorflow, keras, keras_again = (json.loads(note) for note in forked.notes)
    assert not set(first) & set(second)
    spawned = project.run("--tfmem-start-method=spawn", "test_c.py", "-k", "test_keras[1]")
    (in_a_new_interpreter,) = (json.loads(note) for note in spawned.notes)
    assert keras == keras_again == in_a_new_interpreter
    # Keras seeds TensorFlow as TensorFlow itself does.
    assert [drawn[0] for drawn in tensorflow] == [keras[0]] * 2
    assert tensorflow[0][1:] != tensorflow[1][1:]


def test_the_seed_of_hashes_is_the_environments_or_the_tests_own(project, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "11")
    project.write(
        "test_it.py",
        """
        @budget()
        def test_of_the_environment(): note(hash("x"))

        @pytest.mark.tf_runtime(env={"PYTHONHASHSEED": "7"})
        def test_of_its_own(): note(hash("x"))

        @budget()
        def test_of_the_environment_again(): note(hash("x"))
        """,
    )
    ran = project.run()
    assert set(ran.outcomes.values()) == {"passed"}
    assert list(map(int, ran.notes)) == [_hash("11"), _hash("7"), _hash("11")]


def _hash(seed):
    command = [sys.executable, "-c", "print(hash('x'))"]
    return int(subprocess.check_output(command, env=os.environ | {"PYTHONHASHSEED": seed}))
