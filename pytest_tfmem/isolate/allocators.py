"""Which of TensorFlow's GPU allocators a test gets, who has said so, and what does not go together with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from pytest_tfmem.allocators import Allocator
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate.ignored import ignored_values
from pytest_tfmem.isolate.runtime import VISIBLE, Runtime, environment_of, hides_gpus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

InForce = Allocator | Literal["memory_guard"]
Source = Literal["tf_runtime", "budgets.yaml", "--tfmem-allocator", "environment", "default"]

_NAMED, _GROWTH, _OF_CPU = "TF_GPU_ALLOCATOR", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_CPU_ALLOCATOR_USE_BFC"
VARIABLES = (_NAMED, _GROWTH, _OF_CPU, VISIBLE)  # all that is read of an environment here
_WHERE: dict[Source, str] = {"tf_runtime": "", "environment": "pytest's environment"}
_DEAF_TO_GROWTH: dict[str, InForce] = {"cuda_malloc_async": "cuda_malloc_async", "cuda_malloc": "cuda_malloc"}
_BY_GROWTH: dict[str, InForce] = {"true": "growth", "false": "bfc"}


@dataclass(frozen=True, kw_only=True)
class GpuFacts:
    """What is to be known of a machine's GPUs before an allocator is chosen.

    `why_no_async`: why TensorFlow's cuda_malloc_async would abort here, a clause; empty where it would not.
    """

    has_gpu: bool
    why_no_async: str = ""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The allocator of one test. None leaves the environment as it is: nobody has named one, and there is no GPU.

    TensorFlow's "memory_guard" is there only if the environment names it. `notes` are of this test, `notice` of the
    whole session; each a sentence without a full stop.
    """

    allocator: InForce | None
    where_from: Source
    notes: tuple[str, ...] = ()
    notice: str = ""


def choose_allocator(
    runtime: Runtime,
    environment: Mapping[str, str],
    *,
    of_file: Allocator | None,
    of_option: Allocator | None,
    gpus: Callable[[], GpuFacts],
) -> Choice:
    """The allocator for a test whose markers ask for `runtime`, in a session with this environment.

    The marker comes first, then budgets.yaml, the option, the environment's variables, and the default:
    cuda_malloc_async if there is a GPU, or `growth` where that is not possible or could not enforce memory_limit.
    `gpus` is called only for the default, and where cuda_malloc_async is named.

    Raises TfmemError for a variable that TensorFlow would not understand, for arguments that exclude each other, and
    where cuda_malloc_async is named and TensorFlow would abort. Its `where` is empty if that is the marker.
    """
    choice = _named(runtime, environment, of_file, of_option)
    visible = not hides_gpus(environment_of(runtime, environment).get(VISIBLE))
    if choice is None:
        return _default(runtime, gpus() if visible else GpuFacts(has_gpu=False))
    if choice.allocator == "cuda_malloc_async" and visible:
        _refuse_where_it_would_abort(choice, gpus())
    if choice.allocator == "cuda_malloc" and runtime.memory_limit_bytes is not None:
        source = _WHERE.get(choice.where_from, choice.where_from) or "the marker"
        raise TfmemError(
            f"tf_runtime(memory_limit=...): cuda_malloc ({source}) takes no notice of it, and has no statistics",
            hint="use growth or bfc, which enforce it, or cuda_malloc_async, where it is judged",
        )
    if judged_limit(choice, runtime) is not None:
        note = "cuda_malloc_async does not enforce memory_limit: it is judged as a limit on gpu"
        return msgspec.structs.replace(choice, notes=(note,))
    return choice


def judged_limit(choice: Choice, runtime: Runtime) -> int | None:
    """The most bytes that `gpu` may show on each GPU because of a memory_limit that its allocator does not enforce."""
    return runtime.memory_limit_bytes if choice.allocator == "cuda_malloc_async" else None


def refuse_ignored_cpu_allocator(runtime: Runtime, environment: Mapping[str, str]) -> None:
    """Raises TfmemError if the variable that chooses TensorFlow's CPU allocator has a value that chooses none."""
    _refuse_ignored((_OF_CPU,), runtime, environment_of(runtime, environment))


def _named(
    runtime: Runtime, environment: Mapping[str, str], of_file: Allocator | None, of_option: Allocator | None
) -> Choice | None:
    """The allocator that somebody has named, the closest first."""
    if runtime.allocator is not None:
        return Choice(allocator=_uncontradicted(runtime, runtime.allocator, environment), where_from="tf_runtime")
    if _NAMED in runtime.env or _GROWTH in runtime.env:
        # With both unset, TensorFlow's own default.
        said = _said(runtime, environment_of(runtime, environment)) or "bfc"
        return Choice(allocator=said, where_from="tf_runtime")
    if of_file is not None:
        return Choice(allocator=of_file, where_from="budgets.yaml")
    if of_option is not None:
        return Choice(allocator=of_option, where_from="--tfmem-allocator")
    inherited = _said(runtime, environment)
    return None if inherited is None else Choice(allocator=inherited, where_from="environment")


def _said(runtime: Runtime, environment: Mapping[str, str]) -> InForce | None:
    """What TensorFlow makes of the variables. An empty one is as one that is not set."""
    named = environment.get(_NAMED, "")
    if named in _DEAF_TO_GROWTH:
        return _DEAF_TO_GROWTH[named]
    _refuse_ignored((_NAMED, _GROWTH), runtime, environment)
    return "memory_guard" if named else _BY_GROWTH.get(environment.get(_GROWTH, ""))


def _uncontradicted(runtime: Runtime, allocator: Allocator, environment: Mapping[str, str]) -> Allocator:
    said = _said(runtime, environment_of(runtime, environment)) or "bfc"
    if said != allocator:
        raise TfmemError(
            f"tf_runtime has allocator={allocator!r}, and variables in env that ask for {said}",
            hint="leave one of the two out",
        )
    return allocator


def _refuse_ignored(names: tuple[str, ...], runtime: Runtime, environment: Mapping[str, str]) -> None:
    for name in names:
        for sentence in ignored_values({name: environment.get(name)}):
            if name in runtime.env:
                raise TfmemError(f"tf_runtime(env=...): {sentence}")
            raise TfmemError(sentence, where=_WHERE["environment"])


def _refuse_where_it_would_abort(choice: Choice, facts: GpuFacts) -> None:
    if facts.has_gpu and facts.why_no_async:
        raise TfmemError(
            f"cuda_malloc_async is not possible here ({facts.why_no_async}): TensorFlow would abort",
            where=_WHERE.get(choice.where_from, choice.where_from),
            hint="use growth, or name no allocator",
        )


def _default(runtime: Runtime, facts: GpuFacts) -> Choice:
    if not facts.has_gpu:
        return Choice(allocator=None, where_from="default")
    if runtime.memory_limit_bytes is not None:
        note = "growth is used, which enforces memory_limit; cuda_malloc_async, the default, would not"
        return Choice(allocator="growth", where_from="default", notes=(note,))
    if facts.why_no_async:
        notice = f"cuda_malloc_async is not possible here ({facts.why_no_async}): growth is used"
        return Choice(allocator="growth", where_from="default", notice=notice)
    return Choice(allocator="cuda_malloc_async", where_from="default")
