"""Random numbers in a fork: another sequence in each, unless the test's file has chosen one when it was imported.

A new interpreter draws its seeds from the system, and a fork has those of the process that it was forked off. But a
file that calls `random.seed(1)` when it is imported means every test of it to draw the numbers that follow.
"""

from __future__ import annotations

import random
import sys
from typing import Any

_WORDS = 624  # of the Mersenne Twister's state: as many numbers are drawn before it becomes another
_MOST_TURNS = 1000  # 624,000 numbers drawn by imports are more than imports draw


class Randomness:
    """Seeds this process anew when made; knows later whether somebody has seeded since, and makes forks accordingly.

    For `random` and, where it is imported by then, `numpy.random`.
    """

    def __init__(self) -> None:
        random.seed()
        self._python_before = random.getstate()
        self._python_chosen: Any = None
        numpy = _numpy_random()
        if numpy is not None:
            numpy.seed()
        self._numpy_before = None if numpy is None else _numpy_state(numpy)
        self._numpy_chosen = False

    def settle(self) -> None:
        """Look whether somebody has chosen a seed since this was made."""
        now = random.getstate()
        self._python_chosen = None if _python_follows(self._python_before, now) else now
        numpy = _numpy_random()
        if numpy is None:
            return
        state = _numpy_state(numpy)
        if state is None:
            self._numpy_chosen = True
        elif self._numpy_before is None:
            self._numpy_chosen = not _is_seeded_by_the_system(state)
        else:
            self._numpy_chosen = not _numpy_follows(numpy, self._numpy_before, state)

    def renew(self) -> None:
        """In a fork: numbers of its own, or those that somebody has chosen."""
        if self._python_chosen is not None:
            random.setstate(self._python_chosen)  # the standard library has seeded anew in the fork
        numpy = _numpy_random()
        if numpy is not None and not self._numpy_chosen:
            numpy.seed()


def _numpy_random() -> Any:
    return sys.modules.get("numpy.random")


def _numpy_state(numpy: Any) -> Any:
    """Words and position of NumPy's global generator; None if somebody has put one of another kind in its place."""
    state = numpy.get_state(legacy=False)
    return state["state"] if state["bit_generator"] == "MT19937" else None


def _python_follows(before: Any, now: Any) -> bool:
    """Whether the state `now` comes of drawing numbers from the state `before`."""
    twin = random.Random()  # noqa: S311  of what tests draw
    twin.setstate(before)
    for _ in range(_MOST_TURNS):
        if twin.getstate()[1][:_WORDS] == now[1][:_WORDS]:
            return True
        twin.getrandbits(32 * _WORDS)
    return False


def _numpy_follows(numpy: Any, before: Any, now: Any) -> bool:
    twin = numpy.RandomState()
    twin.set_state(("MT19937", before["key"], before["pos"]))
    for _ in range(_MOST_TURNS):
        if (_numpy_state(twin)["key"] == now["key"]).all():
            return True
        twin.bytes(4 * _WORDS)
    return False


def _is_seeded_by_the_system(state: Any) -> bool:
    """For a generator whose beginning was not seen: whether nobody has chosen its seed, or drawn from it.

    Seeded by the system it begins with the word 2**31, and draws the last of its words first; seeded with a number it
    begins with that, and seeded with words of somebody's it draws none of them (NumPy's _mt19937.pyx). What has been
    drawn from says nothing of its seed any more: it is taken to be chosen, so that no test loses it.
    """
    return bool(state["pos"] == _WORDS - 1 and state["key"][0] == 1 << 31)
