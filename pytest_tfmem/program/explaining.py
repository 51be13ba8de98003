"""What held a program's memory: by running it again, as a test is run again that is to be explained."""

from __future__ import annotations

import dataclasses
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_tfmem.explain import flow
from pytest_tfmem.explain.again import NAMED, Again
from pytest_tfmem.isolate.program import MeasuredProgram
from pytest_tfmem.isolate.program_process import start_program
from pytest_tfmem.isolate.signals import PassedOn
from pytest_tfmem.program.ending import how_it_ended
from pytest_tfmem.program.words import in_words_of_a_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tfmem.explanations import Explanation
    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.isolate.observed import Observed
    from pytest_tfmem.isolate.order import Order


@dataclasses.dataclass(kw_only=True)
class ProgramAgain(Again):
    """A program that is to be explained: run again in a new interpreter, with nobody to read what it writes.

    `announce` is called before each run.
    """

    announce: Callable[[], None]

    def run(self, order: Order, *, must_pass: bool = True) -> Observed | str:
        self.announce()
        began = time.monotonic()
        with PassedOn() as signals:
            unheard = dataclasses.replace(order, shows_output=False)
            program = MeasuredProgram(unheard, signals, footprint=None, is_wanted=False)
            try:
                ended = program.run()
            finally:
                program.close()
                self.seconds = time.monotonic() - began
        if signal.SIGINT in signals.came:
            raise KeyboardInterrupt  # what the program has had was for us
        if ended.cut_off or (must_pass and ended.returncode):
            return f"{NAMED} of the program {how_it_ended(ended)}"
        last = program.observed.devices["call"]
        program.observed.devices["teardown"] = last  # where a test's profile is: a program has one phase
        return program.observed


def explained(
    program: MeasuredProgram, order: Order, measured: Measurement, graphs: Path | None, announce: Callable[[], None]
) -> list[Explanation]:
    """What held the memory of its figures, those over their limits first; or why that is not known."""
    with tempfile.TemporaryDirectory(prefix="tfmem-explain-") as folder:
        start = msgspec.structs.replace(order.start, basetemp=os.fsencode(Path(folder, "basetemp")))
        again = ProgramAgain(
            order=dataclasses.replace(order, start=start),
            start=start_program,
            restore=_not_a_test,
            measure=_not_a_test,
            measured=measured,
            root=_root(order),
            folder=Path(folder),
            graphs=graphs,
            used_tensorflow=program.observed.used_tensorflow,
            earlier=lambda _: None,
            announce=announce,
        )
        found = flow.explain(lambda: again, measured, "always") if flow.is_wanted(measured, "always") else []
    return list(map(_told, found))


def _root(order: Order) -> Path:
    """Below which the program's own code is: the current folder, or that of a script that lies elsewhere."""
    here, script = Path.cwd(), Path(os.path.abspath(os.fsdecode(order.start.path)))
    return here if not order.start.path or script.is_relative_to(here) else script.parent


def _told(one: Explanation) -> Explanation:
    holders = [msgspec.structs.replace(each, what=in_words_of_a_program(each.what)) for each in one.holders]
    notes = list(map(in_words_of_a_program, one.notes))
    return msgspec.structs.replace(one, holders=holders, notes=notes, failed=in_words_of_a_program(one.failed))


def _not_a_test(*_: Any) -> Any:
    raise AssertionError("a program makes no reports")
