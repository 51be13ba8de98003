"""What forks draw: numbers of their own, or those that somebody has chosen."""

from __future__ import annotations

import random
import sys

import pytest

from tests.isolate.fresh import told

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is forked there")

FORKED = """
from pytest_tfmem.isolate.randomness import Randomness
{before}
randomness = Randomness()
{when_imported}
randomness.settle()

def drawn():
    randomness.renew()
    return [{drawn} for _ in range(3)]

tell([in_fork(drawn), in_fork(drawn)])
"""
OF_PYTHON = {"before": "import random", "drawn": "random.random()"}
OF_NUMPY = {"before": "import numpy.random", "drawn": "float(numpy.random.random_sample())"}
LATE_NUMPY = {"before": "", "drawn": "float(numpy.random.random_sample())"}


def forks(when_imported, *, before, drawn, flags=("-W", "error")):
    """What two forks draw of a process in which a file did something when it was imported."""
    return told(FORKED.format(before=before, when_imported=when_imported, drawn=drawn), flags=flags)


def new_interpreter(when_imported, *, before, drawn):
    return told(f"{before}\n{when_imported}\ntell([{drawn} for _ in range(3)])")


@pytest.mark.parametrize(
    "when_imported",
    ["", "random.random()", "random.getrandbits(32 * 20_000)", "random.gauss()", "random.shuffle(list(range(5000)))"],
)
def test_forks_draw_numbers_of_their_own_whatever_has_been_drawn(when_imported):
    first, second = forks(when_imported, **OF_PYTHON)
    assert set(first) & set(second) == set()


@pytest.mark.parametrize(
    "when_imported",
    [
        "random.seed(1)",
        "random.seed('a word')",
        "random.seed(1); random.random(); random.gauss()",
        "random.seed(1); random.getrandbits(32 * 2_000)",
        "random.setstate(random.Random(7).getstate())",
    ],
)
def test_with_a_seed_chosen_forks_draw_what_a_new_interpreter_draws(when_imported):
    usual = {**OF_PYTHON, "drawn": "[random.random(), random.gauss()]"}
    first, second = forks(when_imported, **usual)
    assert first == second == new_interpreter(when_imported, **usual)


def test_a_seed_chosen_before_is_not_the_files():
    first, second = forks("", **{**OF_PYTHON, "before": "import random; random.seed(1)"})
    seeded = random.Random(1)
    unlucky = {seeded.random() for _ in range(3)}
    assert [set(first) & set(second), (set(first) | set(second)) & unlucky] == [set(), set()]


def test_what_a_file_draws_when_it_is_imported_is_of_no_seed_that_was_chosen_before():
    drawn = told(
        "import random; from pytest_tfmem.isolate.randomness import Randomness\n"
        "random.seed(1); Randomness(); tell(random.random())"
    )
    assert drawn != random.Random(1).random()


def test_what_python_makes_unique_is_unique_though_a_seed_is_chosen():
    names = {
        "before": "import random, tempfile, uuid; from secrets import token_hex",
        "drawn": "[tempfile.mktemp(), str(uuid.uuid4()), str(uuid.uuid1()), token_hex()]",
    }
    told_names = forks("random.seed(1); tempfile.mktemp(); uuid.uuid4(); uuid.uuid1()", **names)
    flat = [name for fork in told_names for drawn in fork for name in drawn]
    assert len(flat) == 24
    assert len(set(flat)) == 24


@pytest.mark.parametrize("usual", [OF_NUMPY, LATE_NUMPY], ids=["imported before", "imported by the file"])
class TestNumpy:
    def test_forks_draw_numbers_of_their_own(self, usual):
        pytest.importorskip("numpy")
        first, second = forks("import numpy.random", **usual)
        assert set(first) & set(second) == set()

    @pytest.mark.parametrize(
        "choice",
        [
            "numpy.random.seed(1)",
            "numpy.random.seed([1, 2])",
            "numpy.random.seed(2**31)",
            "numpy.random.seed(1); numpy.random.standard_normal()",
            "numpy.random.seed(1); numpy.random.bytes(40_000)",
            "numpy.random.set_state(numpy.random.RandomState(7).get_state())",
            "numpy.random.set_bit_generator(numpy.random.PCG64(1))",
        ],
    )
    def test_with_a_seed_chosen_forks_draw_what_a_new_interpreter_draws(self, usual, choice):
        pytest.importorskip("numpy")
        usual = {**usual, "drawn": "[numpy.random.random_sample(), float(numpy.random.standard_normal())]"}
        first, second = forks(f"import numpy.random; {choice}", **usual)
        assert first == second == new_interpreter(f"import numpy.random; {choice}", **usual)


@pytest.mark.parametrize("draws", ["random_sample()", "bytes(100_000)", "standard_normal()"])
def test_to_draw_from_numpy_is_not_to_choose_a_seed(draws):
    pytest.importorskip("numpy")
    first, second = forks(f"numpy.random.{draws}", **OF_NUMPY)
    assert set(first) & set(second) == set()


def test_a_seed_of_numpy_chosen_before_is_not_the_files():
    pytest.importorskip("numpy")
    first, second = forks("", **{**OF_NUMPY, "before": "import numpy.random; numpy.random.seed(1)"})
    assert set(first) & set(second) == set()


def test_where_numpys_beginning_was_not_seen_what_was_drawn_from_is_kept():
    pytest.importorskip("numpy")
    first, second = forks("import numpy.random; numpy.random.random_sample()", **LATE_NUMPY)
    assert first == second


def test_numpy_is_not_imported_for_it():
    numpy = "'numpy' in sys.modules"
    before, after = told(
        "from pytest_tfmem.isolate.randomness import Randomness\n"
        f"before = {numpy}; randomness = Randomness(); randomness.settle(); randomness.renew(); tell([before, {numpy}])"
    )
    assert before == after
