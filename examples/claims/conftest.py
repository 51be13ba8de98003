"""What the tests of claims have in common: the claim that they are about, and the GPU of those about GPUs."""

import datetime as dt
import os
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # pytest imports what is here without its folder

from claim import RESULTS, Claim, Result, id_of, this_machine, write  # noqa: E402  the path first


def pytest_itemcollected(item):
    item.add_marker(pytest.mark.memory_budget(timeout=3600))  # on a busy machine a side may take minutes
    if "card" not in item.fixturenames:
        item.add_marker(pytest.mark.tf_runtime(gpus=0))  # or tensors would go to the card, and not be the host's


@pytest.fixture
def claim(request):
    """The claim of the test's docstring. What came of it goes to the folder CLAIMS_RESULTS, here `results`."""
    card = request.getfixturevalue("card") if "card" in request.fixturenames else ""
    began = time.monotonic()
    said = " ".join(request.function.__doc__.split("\n\n")[0].split())
    stated = Claim(said)
    yield stated
    if not stated.concluded:
        return  # the test failed, which is said already
    result = Result(
        id=id_of(request.node.originalname),
        claim=said,
        plot=stated.plot,
        rows=stated.rows,
        file=Path(request.node.path).name,
        test=request.node.originalname,
        measured_on=dt.datetime.now(tz=dt.UTC).date(),
        seconds=round(time.monotonic() - began, 1),
        machine=this_machine(stated.start_method, card),
        conditions=stated.conditions,
        **stated.concluded,
    )
    write(result, Path(os.environ.get("CLAIMS_RESULTS", RESULTS)))


@pytest.fixture
def card():
    """The GPU that is used: its name, or "stand-in" under stand_in.py. Skips the test where there is none."""
    if "TFMEM_STUB_MACHINE" in os.environ:
        return "stand-in"
    import pynvml

    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0)))
    except pynvml.NVMLError as why:
        pytest.skip(f"no GPU ({why}); python examples/claims/stand_in.py runs this on one that is not there")
