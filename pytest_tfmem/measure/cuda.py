"""Which GPUs a process uses or would see, and what their memory pools held at most, by CUDA's driver."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.measure import cuda_driver
from pytest_tfmem.measure.devices import Card, PoolMarks

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBE_SECONDS = 60.0
NO_GPU = "no GPU"
_LEAST_CUDA = 11020
_LEAST_CAPABILITY = (6, 0)


class CardsHere(msgspec.Struct, frozen=True, kw_only=True):
    """The GPUs of this process. `visible`: how many it can see; `used`: those on which it has a context.

    `problem`: why that could not be told, a clause; the GPUs are then not known rather than none.
    """

    visible: int = 0
    used: list[Card] = []
    problem: str = ""


class PoolsHere(msgspec.Struct, frozen=True, kw_only=True):
    """The memory pools of the GPUs that this process uses, or the `problem` for which they could not be read."""

    pools: list[PoolMarks] = []
    problem: str = ""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """The GPUs that a process would see, in CUDA's order, or the `problem`, a clause that says why it would see none.

    `cuda_version`: the newest that the driver has, such as 12090 for 12.9; 0 if it could not be asked.
    """

    cards: list[Card] = []
    cuda_version: int = 0
    problem: str = ""

    def why_none(self) -> str:
        """Why there is no GPU to measure, a clause; where no driver is installed, that there is none says it all."""
        return NO_GPU if self.problem in {"", cuda_driver.NOT_INSTALLED} else self.problem

    def why_no_async(self) -> str:
        """Why cuda_malloc_async cannot be had, a clause; empty if it can, and where there is no GPU to have it on.

        TensorFlow aborts its process where it is asked for and cannot be had (gpu_cudamallocasync_allocator.cc).
        """
        if not self.cards:
            return ""
        if self.cuda_version < _LEAST_CUDA:
            return f"the driver's CUDA is {_version(self.cuda_version)}, and it needs {_version(_LEAST_CUDA)} or later"
        return next(filter(None, map(_why_no_async_on, self.cards)), "")


class PendingProbe:
    """A probe that is under way in a process of its own."""

    def __init__(self, process: subprocess.Popen[str] | None, problem: str = "") -> None:
        self._process = process
        self._result = Probe(problem=problem) if process is None else None

    def result(self, timeout_seconds: float = PROBE_SECONDS) -> Probe:
        """What it found. Waits for it, this long at most; then, and from then on, that is its problem."""
        if self._result is None:
            assert self._process is not None  # noqa: S101  there is a result where there is no process
            self._result = _collected(self._process, timeout_seconds)
        return self._result

    def abandon(self) -> None:
        """End it, unless it has been collected: nobody needs to know any more."""
        if self._result is None:
            self.result(timeout_seconds=0)


def cards_here() -> CardsHere:
    """The GPUs on which this process has an active primary context, which is none where the driver is not loaded.

    Linux. Loads nothing, starts nothing, makes no context.
    """
    loaded = cuda_driver.loaded_driver()
    if loaded is None:
        return CardsHere()
    try:
        count = loaded.count()
        used = [loaded.describe(ordinal) for ordinal in range(count) if loaded.has_context(ordinal)]
    except cuda_driver.DriverError as error:
        return CardsHere(problem=str(error))
    return CardsHere(visible=count, used=msgspec.convert(used, list[Card]))


def reset_pools(cards: list[Card]) -> str:
    """Set the high-water marks of the default memory pools of `cards`, which this process uses, to what they hold now.

    Returns why the driver refused, a clause, where it does: the marks are then those since the process began.
    """
    loaded = cuda_driver.loaded_driver()
    if loaded is None:
        return ""
    try:
        for card in cards:
            if card.has_pools:
                loaded.reset_pool(card.ordinal)
    except cuda_driver.DriverError as error:
        return str(error)
    return ""


def read_pools(cards: list[Card]) -> PoolsHere:
    """High-water marks of the default memory pools of `cards`, which this process uses (cuMemPoolGetAttribute).

    TensorFlow's cuda_malloc_async takes its memory from these pools; other allocators leave them at 0.
    """
    loaded = cuda_driver.loaded_driver()
    if loaded is None:
        return PoolsHere()
    pools = []
    try:
        for card in cards:
            if card.has_pools:
                reserved, used = loaded.read_pool(card.ordinal)
                pools.append(PoolMarks(card=card.uuid, reserved_peak=reserved, used_peak=used))
    except cuda_driver.DriverError as error:
        return PoolsHere(problem=str(error))
    return PoolsHere(pools=pools)


def start_probe(environment: Mapping[str, str]) -> PendingProbe:
    """Begin to ask which GPUs a process with this environment would see.

    In a process of its own: to ask, the driver must be started, after which a process cannot be forked. Without one
    where there is no driver to be asked.
    """
    if not cuda_driver.may_be_loaded(environment):
        return PendingProbe(None, cuda_driver.NOT_INSTALLED)
    command = [sys.executable, "-I", "-S", cuda_driver.__file__]
    try:
        process = subprocess.Popen(  # noqa: S603  our own file, by this interpreter
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
    except OSError as error:
        return PendingProbe(None, f"the process that asks for the GPUs could not be started ({error.strerror})")
    return PendingProbe(process)


def probe_cards(environment: Mapping[str, str], timeout_seconds: float = PROBE_SECONDS) -> Probe:
    """Which GPUs a process with this environment would see."""
    return start_probe(environment).result(timeout_seconds)


def _collected(process: subprocess.Popen[str], timeout_seconds: float) -> Probe:
    try:
        answer, _ = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Probe(problem=f"CUDA's driver did not answer within {timeout_seconds:g} seconds")
    if process.returncode:
        return Probe(problem=f"the process that asked CUDA's driver for the GPUs {_how_ended(process.returncode)}")
    try:
        return msgspec.json.decode(answer, type=Probe)
    except msgspec.MsgspecError:
        # A driver may print, and anything that is preloaded into processes too.
        return Probe(problem="the process that asked CUDA's driver for the GPUs gave an answer that is not ours")


def _how_ended(returncode: int) -> str:
    if returncode > 0:
        return f"ended with status {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


def _why_no_async_on(card: Card) -> str:
    if card.compute_capability < _LEAST_CAPABILITY:
        major, minor = card.compute_capability
        return f"{card.name} has compute capability {major}.{minor}, and it needs 6.0 or higher"
    return "" if card.has_pools else f"{card.name} has no memory pools"


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
