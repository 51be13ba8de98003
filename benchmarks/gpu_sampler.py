"""What watching the GPUs costs: `python benchmarks/gpu_sampler.py [SECONDS]`.

gpu_footprint's watching, driven as the session drives it, beside processes of several kinds that allocate and free
without pause. Its calls to the driver are counted by wrapping the bindings; its share is its thread's processor time
over the clock's. The bars: at most ten lists of processes a second, and under 1 % of one CPU.

Run where a card is, or on the stand-in of tests/gpu_stub, where the driver answers at once and the share is that of
our own code alone; the table's last line says which. `--stub` takes the stand-in.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pynvml
from table import median, show

from pytest_tfmem.measure.footprint import Footprint
from pytest_tfmem.measure.nvml import Driver
from pytest_tfmem.settings import DEFAULT_INTERVAL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS = 10
BUSY = """
import ctypes, os, sys
cuda = ctypes.CDLL("libcuda.so.1")
device, context, pointer = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
assert cuda.cuInit(0) == 0
for ordinal in range(int(sys.argv[1])):
    assert cuda.cuDeviceGet(ctypes.byref(device), ordinal) == 0
    assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) == 0
    assert cuda.cuCtxSetCurrent(context) == 0
print("ready", flush=True)
while os.getppid() == int(sys.argv[2]):
    assert cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(64 << 20)) == 0
    assert cuda.cuMemFree_v2(pointer) == 0
"""
IDLE = "import numpy; print('ready', flush=True); import sys; sys.stdin.read()"
CALLS: Counter[str] = Counter()


def count_calls() -> None:
    """Count every call of the bindings that asks the driver something, by its name."""
    for name in [name for name in vars(pynvml) if name.startswith(("nvmlDevice", "nvmlSystem"))]:
        setattr(pynvml, name, counted(name, getattr(pynvml, name)))


def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        CALLS[name] += 1
        return function(*arguments, **named)

    return call


def lists(calls: Counter[str]) -> int:
    return sum(count for name, count in calls.items() if "RunningProcesses" in name)


def row(name: str, code: str, cards: int, held: list[str], seconds: float) -> list[str]:
    command = [sys.executable, "-c", code, str(cards), str(os.getpid())]
    driver = Driver()
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    footprint = Footprint(driver, child.pid, exclusive=held)
    assert child.stdout
    child.stdout.readline()
    watch(footprint, 1.5)  # until it is known whether it uses a card, and which
    shares, list_rates, other_rates = [], [], []
    for _ in range(PARTS):
        before, cpu_began = CALLS.copy(), time.thread_time()
        elapsed = watch(footprint, seconds / PARTS)
        calls = CALLS - before
        shares.append(100 * (time.thread_time() - cpu_began) / elapsed)
        list_rates.append(lists(calls) / elapsed)
        other_rates.append((calls.total() - lists(calls)) / elapsed)
    child.kill()
    child.communicate()
    driver.close()
    return [name, median(list_rates, 1), median(other_rates, 1), median(shares, 2, "%")]


def watch(footprint: Footprint, seconds: float) -> float:
    """The host's sampler wakes the session at its own interval, and cards that are held are read then too."""
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        time.sleep(min(DEFAULT_INTERVAL_SECONDS, footprint.wait_seconds()))
        footprint.sample_if_due()
    return elapsed


def waiting_alone(seconds: float) -> str:
    """What waking up so often costs without any watching: in every share."""
    shares = []
    for _ in range(PARTS):
        began, cpu_began = time.monotonic(), time.thread_time()
        while (elapsed := time.monotonic() - began) < seconds / PARTS:
            time.sleep(DEFAULT_INTERVAL_SECONDS)
        shares.append(100 * (time.thread_time() - cpu_began) / elapsed)
    return median(shares, 2, "%")


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument != "--stub"]
    seconds = float(arguments[0]) if arguments else 20.0
    if "--stub" in sys.argv and "TFMEM_STUB_MACHINE" not in os.environ:
        on_the_stub()
    count_calls()
    driver = Driver()
    version, cards = driver.version(), [card for card in driver.cards() if not card.split]
    driver.close()
    held = [card.uuid for card in cards]
    rows = [
        ["nobody", "0", "0", waiting_alone(seconds)],
        row("NumPy, no CUDA", IDLE, 0, [], seconds),
        row("CUDA on one card", BUSY, 1, [], seconds),
        row("CUDA on one card, which is held", BUSY, 1, held[:1], seconds),
    ]
    if len(cards) > 1:
        rows.append(row(f"CUDA on {len(cards)} cards, which are held", BUSY, len(cards), held, seconds))
    show(["watched", "lists of processes a second", "other calls a second", "share of one CPU"], rows)
    print(f"Driver {version}, {', '.join(card.name for card in cards)}.")


def on_the_stub() -> None:
    """Start again where the stand-in's libraries are found: the linker looks for them as a process begins."""
    root = Path(__file__).parent.parent
    sys.path.insert(0, str(root))
    from tests.gpu_stub.machine import StubCard, StubMachine  # noqa: PLC0415  only for --stub

    with tempfile.TemporaryDirectory() as folder:
        machine = StubMachine(Path(folder), cards=[StubCard(), StubCard()])
        command = [sys.executable, *sys.argv]
        sys.exit(subprocess.run(command, env={**os.environ, **machine.environment()}, check=False).returncode)


if __name__ == "__main__":
    main()
