"""OpenMetrics: every reading as a gauge, the limits beside them, and the environment as info metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.errors import one_line
from pytest_tfmem.exports.exposition import Family, exposed
from pytest_tfmem.exports.names import named
from pytest_tfmem.figures import FIGURES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_tfmem.exports.rows import Value
    from pytest_tfmem.history.environment import Environment
    from pytest_tfmem.history.recorded import RecordedRun
    from pytest_tfmem.history.rundocument import Run


def written(run: RecordedRun, values: Sequence[Value]) -> str:
    """The values without timestamps: a sample is of the moment at which it is read, as its reader sees it."""
    return exposed([*_readings(values), *_limits(values), *_of_run(run.run), *_of_environment(run.environment)])


def _readings(values: Sequence[Value]) -> Iterator[Family]:
    for figure, told in FIGURES.items():
        samples = [
            ({**_where(one), "exactness": one.known.exactness}, str(one.known.bytes))
            for one in values
            if one.figure == figure
        ]
        yield Family(name=f"tfmem_{figure}_bytes", unit="bytes", help=told, samples=[*samples])


def _where(one: Value) -> dict[str, str]:
    gpu = {} if one.gpu is None else {"gpu": str(one.gpu)}
    return {"test": named(one.test.nodeid), **gpu}


def _limits(values: Sequence[Value]) -> Iterator[Family]:
    for figure in FIGURES:
        limits = {one.test.nodeid: one.limit.bytes for one in values if one.figure == figure and one.limit}
        samples = [({"test": named(nodeid)}, str(size)) for nodeid, size in limits.items()]
        told = f"ceiling on {figure}, which may be reached and not passed"
        yield Family(name=f"tfmem_{figure}_limit_bytes", unit="bytes", help=told, samples=[*samples])


def _of_run(run: Run) -> Iterator[Family]:
    dirty = None if run.dirty is None else str(run.dirty).lower()
    labels = {"run": run.id, "commit": run.commit, "branch": run.branch, "dirty": dirty}
    yield Family(name="tfmem_run", type="info", help="the run that is told of", samples=[(_known(labels), "1")])
    name, told = "tfmem_run_start_timestamp_seconds", "when the run began, in seconds since 1970"
    yield Family(name=name, unit="seconds", help=told, samples=[({}, f"{run.started_at.timestamp():.3f}")])


def _of_environment(environment: Environment) -> Iterator[Family]:
    one = environment
    labels = {
        "python": one.python,
        "python_implementation": one.python_implementation,
        "system": one.system,
        "os": one.os,
        "kernel": one.kernel,
        "machine": one.machine,
        "libc": one.libc,
        "cores": None if one.cores_allowed is None else str(one.cores_allowed),
        "gpus": ", ".join(one.gpus) or None,
        "gpu_driver": one.gpu_driver,
        "transparent_huge_pages": one.transparent_huge_pages,
    }
    told = "what the readings depend on beside the code"
    yield Family(name="tfmem_environment", type="info", help=told, samples=[(_known(labels), "1")])
    yield _pairs("tfmem_package", ("package", "version"), one.packages, "an installed package that readings depend on")
    yield _pairs("tfmem_setting", ("variable", "value"), one.settings, "a variable that readings depend on")


def _pairs(name: str, labels: tuple[str, str], pairs: Mapping[str, str], told: str) -> Family:
    first, second = labels
    samples = [({first: named(key), second: one_line(value, most=1000)}, "1") for key, value in pairs.items()]
    return Family(name=name, type="info", help=told, samples=[*samples])


def _known(labels: Mapping[str, str | None]) -> dict[str, str]:
    return {name: one_line(text, most=1000) for name, text in labels.items() if text is not None}
