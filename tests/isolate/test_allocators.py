"""Which allocator a test gets, and what is refused where TensorFlow would take no notice."""

from __future__ import annotations

import pytest

from pytest_tfmem.allocators import ALLOCATORS
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate.allocators import GpuFacts, choose_allocator, judged_limit, refuse_ignored_cpu_allocator
from pytest_tfmem.isolate.runtime import Runtime

GIB = 1 << 30
ASYNC = {"TF_GPU_ALLOCATOR": "cuda_malloc_async"}
GROWTH = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
OLD = GpuFacts(has_gpu=True, why_no_async="driver 450.80.02 has CUDA 11.0, it needs 11.2")
JUDGED = "cuda_malloc_async does not enforce memory_limit: it is judged as a limit on gpu"


def chosen(runtime=None, environment=None, *, of_file=None, of_option=None, facts=GpuFacts(has_gpu=True)):  # noqa: B008  frozen
    return choose_allocator(
        runtime or Runtime(), environment or {}, of_file=of_file, of_option=of_option, gpus=lambda: facts
    )


def who(*arguments, **keywords):
    choice = chosen(*arguments, **keywords)
    return choice.allocator, choice.where_from


def refusal(*arguments, **keywords):
    with pytest.raises(TfmemError) as refused:
        chosen(*arguments, **keywords)
    return str(refused.value)


def asked():
    raise AssertionError("the driver was asked")


def test_each_source_comes_before_those_that_are_farther_away():
    marker, file, option = Runtime(allocator="bfc"), {"of_file": "growth"}, {"of_option": "cuda_malloc"}
    assert who(marker, GROWTH, **file, **option) == ("bfc", "tf_runtime")
    assert who(None, GROWTH, **file, **option) == ("growth", "budgets.yaml")
    assert who(None, GROWTH, **option) == ("cuda_malloc", "--tfmem-allocator")
    assert who(None, GROWTH) == ("growth", "environment")
    assert who() == ("cuda_malloc_async", "default")


@pytest.mark.parametrize(
    ("variables", "allocator"),
    [
        (ASYNC, "cuda_malloc_async"),
        (ASYNC | GROWTH, "cuda_malloc_async"),
        (ASYNC | {"TF_FORCE_GPU_ALLOW_GROWTH": "TRUE"}, "cuda_malloc_async"),  # which takes no notice of it
        ({"TF_GPU_ALLOCATOR": "cuda_malloc"}, "cuda_malloc"),
        ({"TF_GPU_ALLOCATOR": "memory_guard"} | GROWTH, "memory_guard"),
        (GROWTH, "growth"),
        (GROWTH | {"TF_GPU_ALLOCATOR": ""}, "growth"),
        ({"TF_FORCE_GPU_ALLOW_GROWTH": "false"}, "bfc"),
    ],
)
def test_the_variables_of_the_environment_say_what_tensorflow_makes_of_them(variables, allocator):
    assert who(None, variables) == (allocator, "environment")
    assert who(Runtime(env=variables), {}, of_file="growth") == (allocator, "tf_runtime")


def test_empty_variables_say_nothing():
    assert who(None, {"TF_GPU_ALLOCATOR": "", "TF_FORCE_GPU_ALLOW_GROWTH": ""}) == ("cuda_malloc_async", "default")


def test_a_marker_that_unsets_the_variables_asks_for_tensorflows_own_default():
    unset = Runtime(env={"TF_GPU_ALLOCATOR": None, "TF_FORCE_GPU_ALLOW_GROWTH": None})
    assert who(unset, ASYNC | GROWTH, of_file="growth") == ("bfc", "tf_runtime")
    assert who(Runtime(env={"TF_GPU_ALLOCATOR": None}), ASYNC | GROWTH) == ("growth", "tf_runtime")


@pytest.mark.parametrize(
    ("variable", "value", "meant"),
    [
        ("TF_GPU_ALLOCATOR", "bfc", "it knows cuda_malloc_async, cuda_malloc, memory_guard"),
        ("TF_GPU_ALLOCATOR", "CUDA_MALLOC_ASYNC", "did you mean 'cuda_malloc_async'? It knows"),
        ("TF_GPU_ALLOCATOR", " cuda_malloc", "did you mean 'cuda_malloc'? It knows"),
        ("TF_FORCE_GPU_ALLOW_GROWTH", "TRUE", "did you mean 'true'? It knows true, false"),
        ("TF_FORCE_GPU_ALLOW_GROWTH", "1", "it knows true, false"),
    ],
)
def test_a_value_that_tensorflow_ignores_is_refused_where_it_would_be_in_force(variable, value, meant):
    said = f"TensorFlow ignores {variable}={value!r} without a word; {meant}"
    assert refusal(None, {variable: value}).startswith(f"pytest's environment: {said}")
    assert refusal(None, {variable: value}, facts=GpuFacts(has_gpu=False)).startswith("pytest's environment: ")
    assert refusal(Runtime(env={variable: value})).startswith(f"tf_runtime(env=...): {said}")
    assert who(None, {variable: value}, of_option="growth") == ("growth", "--tfmem-allocator")
    assert who(Runtime(allocator="bfc"), {variable: value}) == ("bfc", "tf_runtime")


@pytest.mark.parametrize("value", ["yes", "on", "t"])
def test_a_value_that_chooses_no_cpu_allocator_is_refused(value):
    variable = {"TF_CPU_ALLOCATOR_USE_BFC": value}
    with pytest.raises(
        TfmemError, match=f"^pytest's environment: TensorFlow ignores TF_CPU_ALLOCATOR_USE_BFC='{value}'"
    ):
        refuse_ignored_cpu_allocator(Runtime(), variable)
    with pytest.raises(TfmemError, match=r"^tf_runtime\(env=\.\.\.\): TensorFlow ignores"):
        refuse_ignored_cpu_allocator(Runtime(env=variable), {})
    refuse_ignored_cpu_allocator(Runtime(cpu_allocator="bfc"), variable)


@pytest.mark.parametrize("value", ["", "true", "TRUE", "True", "1", "false", "0"])
def test_a_value_that_chooses_a_cpu_allocator_is_taken(value):
    refuse_ignored_cpu_allocator(Runtime(), {"TF_CPU_ALLOCATOR_USE_BFC": value})


@pytest.mark.parametrize("variables", [GROWTH, {"TF_GPU_ALLOCATOR": None} | GROWTH])
def test_a_marker_that_contradicts_itself_is_refused(variables):
    assert refusal(Runtime(allocator="bfc", env=variables)) == (
        "tf_runtime has allocator='bfc', and variables in env that ask for growth; leave one of the two out"
    )
    assert who(Runtime(allocator="growth", env=variables)) == ("growth", "tf_runtime")


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_the_driver_is_asked_only_where_the_choice_depends_on_it(allocator):
    runtime = Runtime(allocator=allocator)
    if allocator == "cuda_malloc_async":
        with pytest.raises(AssertionError):
            choose_allocator(runtime, {}, of_file=None, of_option=None, gpus=asked)
    else:
        assert choose_allocator(runtime, {}, of_file=None, of_option=None, gpus=asked).allocator == allocator


@pytest.mark.parametrize(
    ("runtime", "environment"),
    [(Runtime(gpus=0), {}), (Runtime(), {"CUDA_VISIBLE_DEVICES": "-1"}), (Runtime(), {"CUDA_VISIBLE_DEVICES": ""})],
)
def test_where_every_card_is_hidden_it_is_as_if_there_were_none(runtime, environment):
    choice = choose_allocator(runtime, environment, of_file=None, of_option=None, gpus=asked)
    assert (choice.allocator, choice.where_from) == (None, "default")
    assert choose_allocator(
        runtime, environment, of_file="cuda_malloc_async", of_option=None, gpus=asked
    ).allocator == ("cuda_malloc_async")


def test_without_a_gpu_the_default_leaves_the_environment_as_it_is():
    none = GpuFacts(has_gpu=False)
    assert who(facts=none) == (None, "default")
    assert who(Runtime(memory_limit_bytes=GIB), facts=none) == (None, "default")
    assert who(None, GROWTH, facts=none) == ("growth", "environment")


def test_the_default_falls_back_to_growth_where_async_would_abort_and_that_is_said_of_the_session():
    choice = chosen(facts=OLD)
    assert (choice.allocator, choice.where_from, choice.notes) == ("growth", "default", ())
    assert choice.notice == (
        "cuda_malloc_async is not possible here (driver 450.80.02 has CUDA 11.0, it needs 11.2): growth is used"
    )


@pytest.mark.parametrize(
    ("keywords", "where"),
    [
        ({"runtime": Runtime(allocator="cuda_malloc_async")}, ""),
        ({"runtime": Runtime(env=ASYNC)}, ""),
        ({"of_file": "cuda_malloc_async"}, "budgets.yaml: "),
        ({"of_option": "cuda_malloc_async"}, "--tfmem-allocator: "),
        ({"environment": ASYNC}, "pytest's environment: "),
    ],
)
def test_async_that_is_named_is_an_error_where_it_would_abort_but_not_where_there_is_no_gpu(keywords, where):
    assert refusal(**keywords, facts=OLD) == (
        f"{where}cuda_malloc_async is not possible here ({OLD.why_no_async}): TensorFlow would abort;"
        " use growth, or name no allocator"
    )
    assert chosen(**keywords, facts=GpuFacts(has_gpu=False, why_no_async="no GPU")).allocator == "cuda_malloc_async"


@pytest.mark.parametrize("facts", [GpuFacts(has_gpu=True), OLD])
def test_a_limit_makes_growth_the_default_because_async_would_not_enforce_it(facts):
    choice = chosen(Runtime(memory_limit_bytes=GIB), facts=facts)
    assert (choice.allocator, choice.where_from) == ("growth", "default")
    assert choice.notes == ("growth is used, which enforces memory_limit; cuda_malloc_async, the default, would not",)
    assert judged_limit(choice, Runtime(memory_limit_bytes=GIB)) is None


@pytest.mark.parametrize("allocator", ["growth", "bfc"])
def test_a_limit_that_tensorflow_enforces_is_not_judged(allocator):
    runtime = Runtime(allocator=allocator, memory_limit_bytes=GIB)
    assert chosen(runtime).notes == ()
    assert judged_limit(chosen(runtime), runtime) is None


@pytest.mark.parametrize(
    ("runtime", "environment"),
    [
        (Runtime(allocator="cuda_malloc_async", memory_limit_bytes=GIB), {}),
        (Runtime(memory_limit_bytes=GIB), ASYNC),
    ],
)
def test_a_limit_that_async_does_not_enforce_is_judged_and_that_is_said(runtime, environment):
    choice = chosen(runtime, environment)
    assert choice.notes == (JUDGED,)
    assert judged_limit(choice, runtime) == GIB


def test_without_a_limit_nothing_is_judged():
    runtime = Runtime(allocator="cuda_malloc_async")
    assert judged_limit(chosen(runtime), runtime) is None


@pytest.mark.parametrize(
    ("keywords", "named_by"),
    [
        ({"runtime": Runtime(allocator="cuda_malloc", memory_limit_bytes=GIB)}, "the marker"),
        ({"runtime": Runtime(memory_limit_bytes=GIB), "of_file": "cuda_malloc"}, "budgets.yaml"),
        (
            {"runtime": Runtime(memory_limit_bytes=GIB), "environment": {"TF_GPU_ALLOCATOR": "cuda_malloc"}},
            "pytest's environment",
        ),
    ],
)
def test_cuda_malloc_with_a_limit_is_refused(keywords, named_by):
    assert refusal(**keywords) == (
        f"tf_runtime(memory_limit=...): cuda_malloc ({named_by}) takes no notice of it, and has no statistics;"
        " use growth or bfc, which enforce it, or cuda_malloc_async, where it is judged"
    )
