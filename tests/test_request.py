"""What is asked of one test, of all that its markers, the file, the options and the machine say."""

from __future__ import annotations

import pytest

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.figures import Limit
from pytest_tfmem.isolate.allocators import GpuFacts
from pytest_tfmem.isolate.runtime import Runtime
from pytest_tfmem.request import Requests
from pytest_tfmem.settings import read_settings

ASYNC = GpuFacts(has_gpu=True)
MODULE = """
import pytest
budget, runtime = pytest.mark.memory_budget, pytest.mark.tf_runtime

@budget(gpu="1 MiB")
def test_plain(): pass

@budget(gpu_tensors=True, warmup=2)
def test_more(): pass
"""
LIMITED = """
import pytest
budget = pytest.mark.memory_budget
pytestmark = pytest.mark.tf_runtime(allocator="cuda_malloc_async", memory_limit="1 GiB", env={"A": "1"})

@budget(rss="16 GiB")
def test_without(): pass

@budget(gpu="2 GiB")
def test_looser(): pass

@budget(gpu="1 MiB")
def test_stricter(): pass

@budget(gpu="1 MiB", level="warn")
def test_stricter_but_a_warning(): pass

@pytest.mark.tf_runtime(allocator="growth")
def test_enforced(): pass
"""


@pytest.fixture
def requests(pytester, monkeypatch):
    """What is asked of each test of a module, by its name, or what is said against it."""
    for name in ("TF_GPU_ALLOCATOR", "TF_FORCE_GPU_ALLOW_GROWTH", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)

    def requests_of(source, *arguments, gpus=lambda: ASYNC, ask=Requests.of):
        # Spawned, so that no server waits for it; and pytest-asyncio warns of what this project need not settle.
        module = pytester.getmodulecol(source, ["-pno:asyncio", "--tfmem-start-method=spawn", *arguments])
        asked = Requests(read_settings(module.config), None, gpus)
        return {item.name: _of(ask, asked, item) for item in pytester.genitems([module])}

    return requests_of


def _of(ask, asked, item):
    try:
        return ask(asked, item)
    except TfmemError as error:
        return str(error)


def test_the_chosen_allocator_is_in_the_runtime_with_who_chose_it(requests):
    asked = requests(MODULE)["test_plain"]
    assert (asked.runtime, asked.choice.where_from) == (Runtime(allocator="cuda_malloc_async"), "default")
    asked = requests(MODULE, "--tfmem-allocator=bfc")["test_plain"]
    assert (asked.runtime, asked.choice.where_from) == (Runtime(allocator="bfc"), "--tfmem-allocator")


def test_without_a_gpu_or_before_it_is_known_the_default_is_to_leave_things_as_they_are(requests):
    def asked():
        raise AssertionError("the driver was asked")

    assert requests(MODULE, gpus=lambda: GpuFacts(has_gpu=False))["test_plain"].runtime == Runtime()
    assert requests(MODULE, "--tfmem-gpu=off", gpus=asked)["test_plain"].runtime == Runtime()
    assert requests(MODULE, "--no-tfmem", gpus=asked)["test_plain"].runtime == Runtime()
    assert requests(MODULE, gpus=asked, ask=Requests.early)["test_plain"].runtime == Runtime()


def test_a_debugging_allocator_stays_in_the_environment_alone(requests, monkeypatch):
    monkeypatch.setenv("TF_GPU_ALLOCATOR", "memory_guard")
    asked = requests(MODULE)["test_plain"]
    assert (asked.runtime, asked.choice.allocator, asked.choice.where_from) == (
        Runtime(),
        "memory_guard",
        "environment",
    )


def test_gpu_tensors_and_calls_before_the_measured_one_are_asked_for_by_marker_and_option(requests):
    plain, more = requests(MODULE).values()
    assert (plain.gpu_tensors, plain.warm_up, more.gpu_tensors, more.warm_up) == (False, 0, True, 2)
    assert requests(MODULE, "--tfmem-explain")["test_plain"].gpu_tensors


def test_a_limit_that_async_does_not_enforce_is_one_on_gpu_unless_there_is_a_stricter_one(requests):
    asked = requests(LIMITED)
    limits = {name: request.budget.limits.get("gpu") for name, request in asked.items()}
    judged = Limit(
        bytes=1 << 30,
        where="test_a_limit_that_async_does_not_enforce_is_one_on_gpu_unless_there_is_a_stricter_one.py:3",
    )
    assert limits["test_without"] == limits["test_looser"] == limits["test_stricter_but_a_warning"] == judged
    assert limits["test_stricter"].bytes == 1 << 20
    assert limits["test_enforced"] is None
    note = "cuda_malloc_async does not enforce memory_limit: it is judged as a limit on gpu"
    assert {name: request.notes for name, request in asked.items()} == dict.fromkeys(asked, (note,)) | {
        "test_enforced": ()
    }
    assert asked["test_without"].budget.limits["rss"].bytes == 16 << 30


def test_what_is_wrong_is_said_where_it_stands(requests):
    old = GpuFacts(has_gpu=True, why_no_async="no pools")
    asked = requests(LIMITED, gpus=lambda: old)
    assert asked["test_without"].startswith("test_what_is_wrong_is_said_where_it_stands.py:3: cuda_malloc_async is not")


def test_what_is_wrong_with_the_session_is_said_of_what_it_comes_from(requests, monkeypatch):
    old = GpuFacts(has_gpu=True, why_no_async="no pools")
    assert requests(MODULE, "--tfmem-allocator=cuda_malloc_async", gpus=lambda: old)["test_plain"].startswith(
        "--tfmem-allocator: cuda_malloc_async is not possible here (no pools)"
    )
    monkeypatch.setenv("TF_CPU_ALLOCATOR_USE_BFC", "yes")
    assert requests(MODULE)["test_plain"].startswith("pytest's environment: TensorFlow ignores")


OWN_CARDS = """
import pytest
budget = pytest.mark.memory_budget

def on(cards):
    return pytest.mark.tf_runtime(env={"CUDA_VISIBLE_DEVICES": cards})

@on("1")
@budget(gpu="1 MiB")
def test_one(): pass

@on("1")
@budget(rss="1 GiB")
def test_without_a_limit(): pass

@on("-1")
@budget(gpu="1 MiB")
def test_none(): pass

@on(None)
@budget(gpu="1 MiB")
def test_all(): pass
"""


def test_a_test_that_holds_a_card_does_not_choose_it_but_may_hide_all(requests):
    asked = requests(OWN_CARDS)
    assert "sets CUDA_VISIBLE_DEVICES, and the test has a limit on a GPU" in asked.pop("test_one")
    assert {name: one.runtime.hides_gpus for name, one in asked.items()} == {
        "test_without_a_limit": False,
        "test_none": True,
        "test_all": False,
    }
