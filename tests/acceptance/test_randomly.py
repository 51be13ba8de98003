"""pytest-randomly: the order is the controller's, the seed is the same in every process."""

from __future__ import annotations

import pytest

MODULE = """
    import random

    @budget()
    @pytest.mark.parametrize("number", range(2))
    def test_isolated(number): note(f"{number} {random.random()}")

    @pytest.mark.parametrize("number", range(2, 9))
    def test_here(number): note(f"{number} {random.random()}")
"""


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_tests_are_shuffled_and_draw_the_same_numbers_as_in_process(project, workers):
    project.write("test_it.py", MODULE)
    here = project.run("--randomly-seed=1234", "--no-tfmem", *workers, with_plugins=("randomly",))
    there = project.run("--randomly-seed=1234", *workers, with_plugins=("randomly",))
    assert there.notes == here.notes
    assert there.notes != sorted(there.notes)
    assert len(there.children) == 2


def test_a_seed_that_nobody_chose_is_the_same_in_every_process(project):
    module = "def test_{0}(pytestconfig): note(pytestconfig.getoption('randomly_seed'))\n\n"
    project.write("test_it.py", module.format("here") + "@budget()\n" + module.format("isolated"))
    ran = project.run(with_plugins=("randomly",))
    assert len(ran.notes) == 2
    assert len(set(ran.notes)) == 1
    assert ran.children
