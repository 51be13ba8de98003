from __future__ import annotations

import io
import math

from hypothesis import given
from msgspec.structs import replace
from prometheus_client.openmetrics.parser import text_fd_to_metric_families

from pytest_tfmem.exports import openmetrics
from pytest_tfmem.exports.names import named
from pytest_tfmem.exports.rows import rows_of, values_of
from pytest_tfmem.figures import FIGURES
from tests.made import ENVIRONMENT, START, made_run, made_test
from tests.strategies import recorded_runs


def _read(text):
    """The families by name, as the reader of the Prometheus project has them; it raises for what is no OpenMetrics."""
    families = list(text_fd_to_metric_families(io.StringIO(text)))
    assert len({family.name for family in families}) == len(families)
    return {family.name: family for family in families}


def _written(run):
    return openmetrics.written(run, values_of(rows_of(run)))


def _samples(family):
    assert all(sample.timestamp is None for sample in family.samples)
    return [(sample.labels, sample.value) for sample in family.samples]


def test_a_reading_is_a_gauge_in_bytes_with_its_exactness():
    run = made_run(1, made_test("tests/a.py::test_x[\"'\\\\]", exactness="exact", rss_anon=1000, gpu=[7, 8]))
    read = _read(_written(run))
    family = read["tfmem_rss_anon_bytes"]
    assert (family.type, family.unit, family.documentation) == ("gauge", "bytes", FIGURES["rss_anon"])
    assert _samples(family) == [({"test": "tests/a.py::test_x[\"'\\\\]", "exactness": "exact"}, 1000)]
    assert [(labels["gpu"], value) for labels, value in _samples(read["tfmem_gpu_bytes"])] == [("0", 7), ("1", 8)]


def test_a_limit_is_a_gauge_beside_the_figure():
    run = made_run(1, made_test("a", limited=["gpu"], gpu=[7, 8]), made_test("b", rss=1))
    read = _read(_written(run))
    assert _samples(read["tfmem_gpu_limit_bytes"]) == [({"test": "a"}, 1 << 40)]
    assert "tfmem_rss_limit_bytes" not in read


def test_what_was_not_measured_is_not_there():
    assert not {"tfmem_rss_bytes", "tfmem_gpu_bytes"} & set(_read(_written(made_run(1, made_test("a", rss_anon=0)))))


def test_the_run_and_its_environment_are_told_beside_the_readings():
    environment = replace(ENVIRONMENT, gpus=["H200", "H200"], settings={"TF_GPU_ALLOCATOR": "a\nb"})
    read = _read(_written(made_run(0, environment=environment, commit="3f2a", dirty=False)))
    assert _samples(read["tfmem_run"]) == [({"run": "0" * 32, "commit": "3f2a", "dirty": "false"}, 1)]
    assert _samples(read["tfmem_run_start_timestamp_seconds"]) == [({}, START.timestamp())]
    ((labels, _),) = _samples(read["tfmem_environment"])
    assert (labels["python"], labels["gpus"], "libc" in labels) == ("3.12.1", "H200, H200", False)
    assert _samples(read["tfmem_package"]) == [({"package": "tensorflow", "version": "2.20.0"}, 1)]
    assert _samples(read["tfmem_setting"]) == [({"variable": "TF_GPU_ALLOCATOR", "value": "a\\nb"}, 1)]


@given(recorded_runs())
def test_any_run_is_read_back_by_prometheus(run):
    values = values_of(rows_of(run))
    text = openmetrics.written(run, values)
    read = _read(text)
    for figure in FIGURES:
        expected = [(_labels(one), one.known.bytes) for one in values if one.figure == figure]
        family = read.get(f"tfmem_{figure}_bytes")
        assert (_samples(family) if family else []) == expected
    packages = _samples(read["tfmem_package"]) if "tfmem_package" in read else []
    assert [labels["package"] for labels, _ in packages] == [named(package) for package in run.environment.packages]
    assert text.endswith("# EOF\n")
    assert all(line.isprintable() for line in text.splitlines())
    assert not any(math.isnan(sample.value) for family in read.values() for sample in family.samples)


def _labels(one):
    gpu = {} if one.gpu is None else {"gpu": str(one.gpu)}
    return {"test": named(one.test.nodeid), **gpu, "exactness": one.known.exactness}
