"""One isolated test as its controller sees it: carried through its phases, judged at the end of each, ended."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_tfmem.isolate import death, last_words, reports, wire
from pytest_tfmem.isolate.watched import Watched, deadline_in

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_tfmem.figures import Phase
    from pytest_tfmem.isolate.order import Order
    from pytest_tfmem.isolate.started import Started
    from pytest_tfmem.measure.footprint import Footprint

# BFC tries again for ten seconds before it says that there is no memory: xla/tsl/framework/bfc_allocator.cc.
RETRY_SECONDS = 10.0
EXIT_SECONDS = 10.0  # for atexit handlers and the interpreter's end, after the test is over
_LONGEST_START_SECONDS = 120.0  # for imports before setup, if the test has a timeout at all
_AFTER_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class PhaseResult:
    """What came of a phase: the report that pytest made of it in the child, or why there is none.

    `failure` is a sentence for the user, `detail` what the process said for itself; `stop` says that the test wants
    the session to end.
    """

    report: pytest.TestReport | None = None
    failure: str = ""
    detail: str = ""
    stop: wire.Stopped | None = None


class _Ended(Exception):  # noqa: N818  not an error: the process has ended, or has to
    def __init__(self, failure: str) -> None:
        super().__init__(failure)
        self.failure = failure


class IsolatedTest(Watched):
    """One test in a fresh process, carried through its phases. `close` ends everything, whatever happened.

    `retries` says that its allocator may retry for RETRY_SECONDS what it has refused, which then the timeout allows
    for. `judge(phase)` is asked at the end of each phase that passed, and calls `deliberate` before it takes its time;
    `restore(data)` makes a phase's report of what arrived; `deliver(message)` gets what the child says beside its
    phases: subtests' reports and warnings. The last two raise wire.WireError for what is no report. `measure(test,
    wanted)` has a function measured for the test, and answers what came of it, None where nobody waits any more.
    """

    def __init__(
        self,
        order: Order,
        *,
        start: Callable[[Order, float | None], Started],
        judge: Callable[[Phase], wire.Judged],
        restore: Callable[[dict[str, Any]], pytest.TestReport],
        deliver: Callable[[wire.Message], None],
        footprint: Callable[[int], Footprint] | None = None,
        retries: bool = False,
        measure: Callable[[IsolatedTest, wire.MeasureWanted], wire.CallMeasured | None] | None = None,
    ) -> None:
        self._judge = judge
        self._restore = restore
        self._deliver = deliver
        self._measure = measure
        self._xdist_pid = os.getppid() if order.start.workerinput is not None else None
        super().__init__(order, start=start, footprint=footprint, deadline=_first_deadline(order.timeout_seconds))
        self._grace_seconds = RETRY_SECONDS if retries else 0.0
        self._doing = "before setup"
        self._limit_seconds = order.timeout_seconds
        self._stop: wire.Stopped | None = None
        self._over = False
        self._unheard: deque[wire.Message | wire.WireError] = deque()  # that came while it was to wait

    def allow(self, seconds: float) -> None:
        """Another's timeout for this test, from now on: it is kept if it is the shorter one."""
        if self._limit_seconds is None or seconds < self._limit_seconds:
            self._limit_seconds = seconds

    def awaits(self) -> bool:
        """Whether it still waits for an answer: it has not died, and not gone on. Meanwhile its memory is sampled."""
        assert self._selector is not None  # noqa: S101  closed only when the process is done with
        self._sampler.sample_if_due()  # not its cards: what is on them meanwhile is another process's
        if self._selector.select(0):
            self._child.channel.take_in()
        try:
            while (message := self._child.channel.next_message()) is not None:
                # These may be another thread's, and say nothing of the one that waits.
                if isinstance(message, wire.OfAnyThread) and not self._unheard:
                    self._hear(message)
                else:
                    self._unheard.append(message)
        except wire.WireError as error:
            self._unheard.append(error)  # this test's fault, not that of whoever is measured meanwhile
        gone_on = bool(self._unheard) or self._child.channel.ended
        return not gone_on and self._child.process.returncode is None and self.seconds_left > 0

    @property
    def seconds_left(self) -> float:
        """Of its time, as long as its allocator may retry included; infinite where it has no timeout."""
        return self._seconds_left + self._grace_seconds

    def deliberate(self) -> None:
        """Tell the process that the verdict takes a while: what counts the test's time there is to stop."""
        self._send(wire.Deliberating())

    def run_phase(self, phase: Phase) -> PhaseResult:
        """Wait for the phase to end. After the process has ended badly, later phases have nothing to say."""
        if self._over:
            return PhaseResult()
        try:
            return self._run_phase(phase)
        except _Ended as ended:
            return self._finish(ended.failure)
        except wire.WireError as error:
            return self._finish(f"the test's process {error}")
        except Exception:
            self.close()  # a fault of ours: the process waits for an answer that nobody will give
            raise

    def close(self) -> None:
        """End the process and all it started; may be called again."""
        self._over = True
        super().close()

    def _run_phase(self, phase: Phase) -> PhaseResult:
        report: pytest.TestReport | None = None
        while True:
            message = self._next_message()
            if isinstance(message, wire.Reported) and reports.is_of_phase(message.report, phase):
                report = self._restore(message.report)
                if report.passed and phase not in self.observed.phases:
                    raise wire.WireError(
                        f"reported that {phase} passed, which it has not run: some plugin runs tests itself"
                    )
                if phase != "teardown":
                    return PhaseResult(report=report)
            elif isinstance(message, wire.Refused):
                raise _Ended(f"{message.reason}\n{message.detail}".rstrip())
            elif isinstance(message, wire.Done):
                return self._ended_well(report)
            else:
                self._handle(message)

    def _handle(self, message: wire.Message) -> None:
        match message:
            case wire.PhaseBegun(phase=phase, resident_bytes=resident):
                self._doing = f"in {phase}"
                self._begun(phase, resident)
                if phase == "setup":
                    self._deadline = deadline_in(self._limit_seconds)
            case wire.PhaseOver():
                self._phase_over(message)
            case wire.SectionEntered() | wire.SectionLeft() | wire.Checkpointed() | wire.Limited():
                self._hear(message)
            case wire.Stopped():
                self._stop = message
            case wire.Reported() | wire.Warned() | wire.Returned():
                self._deliver(message)
            case wire.MeasureWanted() if self._measure is not None:
                answer = self._measure(self, message)
                if answer is not None:
                    # One that was torn away from its waiting does not read: its time is to end that, too.
                    self._send(answer, within=self.seconds_left)
            case _:
                raise wire.WireError("sent a message that is not its to send")

    def _hear(self, said: wire.OfAnyThread) -> None:
        match said:
            case wire.SectionEntered():
                self.observed.sections_seen.entered(said)
            case wire.SectionLeft():
                self.observed.sections_seen.left(said)
            case wire.Checkpointed(name=name, readings=readings):
                self._sampler.checkpoint(name, readings)
            case wire.Limited(limits=limits):
                self.observed.limits.update(limits)

    def _phase_over(self, said: wire.PhaseOver) -> None:
        self._read_outside(said)
        if self._grace_seconds and said.passed and not self.observed.out_of_memory and self._seconds_left <= 0:
            raise _Ended(self._time_is_up())  # the time after that is only for an allocator's retries
        began = time.monotonic()
        self._send(self._judge(said.phase) if said.passed else wire.Judged(""))
        if self._deadline is not None:
            self._deadline += time.monotonic() - began
        self._doing = f"after {said.phase}"
        if said.phase == "teardown":
            self._all_measured()

    def _next_message(self) -> wire.Message:
        while True:
            message = self._unheard.popleft() if self._unheard else self._child.channel.next_message()
            if isinstance(message, wire.WireError):
                raise message
            if message is not None:
                return message
            self._wait()

    def _wait(self) -> None:
        """Wait until something arrives or a sample is due. Raises _Ended if the process ended or its time is up."""
        if self._xdist_pid not in {None, os.getppid()}:
            # What execnet does too with a worker whose controller has been killed, but only five seconds later.
            raise KeyboardInterrupt("pytest-xdist's controller has ended")
        left = self.seconds_left
        if left <= 0:
            self._child.process.say_last_words()
            raise _Ended(self._time_is_up(self._grace_seconds))
        returncode = self._child.process.returncode  # asked before reading, so that its last words are read
        if self._look(0.0 if returncode is not None else left):
            self._child.channel.take_in()
            if not self._child.channel.ended:
                return
            returncode = self._child.process.wait(_AFTER_CLOSE_SECONDS)
            if returncode is None:
                raise _Ended(f"the test's process closed its connection to pytest {self._moment}, and was ended")
        if returncode is not None:
            raise _Ended(self._how_it_died(returncode))

    @property
    def _moment(self) -> str:
        return f"{self._doing}{self.observed.sections_seen.where()}"

    def _time_is_up(self, grace_seconds: float = 0.0) -> str:
        comma = "," if self.observed.sections_seen.where() else ""
        text = f"timeout: the test was still {self._moment}{comma} after {self._limit_seconds:g} s"
        if grace_seconds:
            text += f" (and {grace_seconds:g} s in which TensorFlow's allocator may retry what it has refused)"
        return f"{text}, and was ended"

    def _how_it_died(self, returncode: int) -> str:
        text = death.describe(returncode, self._moment, oom=self._killed_for_memory())
        why = last_words.why_aborted(self._child.output_tail()) if returncode == -signal.SIGABRT else ""
        return f"{text}; {why}" if why else text

    def _ended_well(self, report: pytest.TestReport | None) -> PhaseResult:
        returncode = self._child.process.wait(EXIT_SECONDS)
        if self._stop is not None and report is None:
            self.close()
            return PhaseResult(stop=self._stop)
        if report is None:
            return self._finish("the test's process came to its end without having run the test")
        if returncode is None:
            return self._finish(f"the test was over, but its process did not end within {EXIT_SECONDS:g} s")
        if returncode != 0:
            return self._finish(death.describe_late(returncode))
        self.close()
        return PhaseResult(report=report, stop=self._stop)

    def _finish(self, failure: str) -> PhaseResult:
        self._sampler.sample()
        self.observed.died = failure.splitlines()[0]
        detail = self._child.output_tail()
        self.close()
        return PhaseResult(failure=failure, detail=detail)


def _first_deadline(timeout_seconds: float | None) -> float | None:
    return deadline_in(None if timeout_seconds is None else max(timeout_seconds, _LONGEST_START_SECONDS))
