from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.figures import Measurement
from pytest_tfmem.history.conditions import asked, conditions, differences, fingerprint
from pytest_tfmem.history.environment import Environment
from pytest_tfmem.isolate.runtime import Runtime

ENVIRONMENT = Environment(
    python="3.12.1",
    python_implementation="CPython",
    system="Linux",
    os="Debian GNU/Linux 12 (bookworm)",
    kernel="6.18.44-cloud",
    machine="x86_64",
    packages={"tensorflow": "2.20.0", "numpy": "2.4.0", "pytest": "9.2.0", "pytest-tfmem": "0.1.0"},
    gpus=["NVIDIA H200"],
    gpu_driver="570.1",
    cores=4,
    cores_allowed=2,
    settings={"OMP_NUM_THREADS": "2"},
    plugins=["randomly", "xdist"],
)
MEASUREMENT = Measurement(
    nodeid="test_a.py::test_a",
    outcome="passed",
    start_method="forkserver",
    verdict="unlimited",
    readings={},
    limits={},
    verdicts={},
    phases={},
    allocator="growth",
    runtime={"jit": "True"},
)
NOW = conditions(ENVIRONMENT, MEASUREMENT)

texts = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=5)


def changed(**fields):
    return conditions(msgspec.structs.replace(ENVIRONMENT, **fields), MEASUREMENT)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"packages": ENVIRONMENT.packages | {"tensorflow": "2.21.0"}}, "TensorFlow 2.20.0 -> 2.21.0"),
        ({"python": "3.12.2"}, "Python CPython 3.12.1 -> CPython 3.12.2"),
        ({"gpus": []}, "GPUs NVIDIA H200 -> none"),
        ({"gpu_driver": "580.2"}, "GPU driver 570.1 -> 580.2"),
        ({"kernel": "6.19.1"}, "kernel 6.18 -> 6.19"),
        ({"libc": "glibc 2.36"}, "libc (unset) -> glibc 2.36"),
        ({"cores_allowed": 1}, "cores 2 -> 1"),
        ({"transparent_huge_pages": "always"}, "transparent huge pages (unset) -> always"),
        ({"onednn": "0"}, "TF_ENABLE_ONEDNN_OPTS (unset) -> 0"),
        ({"plugins": ["cov", "xdist"]}, "pytest plugins +cov, -randomly"),
        ({"plugins": []}, "pytest plugins -randomly, -xdist"),
        ({"settings": {}}, "OMP_NUM_THREADS 2 -> (unset)"),
    ],
)
def test_a_difference_in_what_readings_depend_on_is_named(fields, said):
    assert differences(NOW, changed(**fields)) == [said]


@pytest.mark.parametrize(
    "fields",
    [
        {"kernel": "6.18.45-cloud"},
        {"os": "Debian GNU/Linux 13 (trixie)"},
        {"packages": ENVIRONMENT.packages | {"pytest-tfmem": "0.2.0"}},
    ],
)
def test_what_readings_do_not_depend_on_makes_no_difference(fields):
    assert changed(**fields) == NOW


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"start_method": "spawn"}, "start method forkserver -> spawn"),
        ({"allocator": "cuda_malloc_async"}, "allocator growth -> cuda_malloc_async"),
        ({"runtime": {}}, "jit True -> (unset)"),
    ],
)
def test_how_a_test_is_run_belongs_to_its_conditions(fields, said):
    other = conditions(ENVIRONMENT, msgspec.structs.replace(MEASUREMENT, **fields))
    assert differences(NOW, other) == [said]


def _visible(value, gpus):
    environment = msgspec.structs.replace(ENVIRONMENT, settings={"CUDA_VISIBLE_DEVICES": value}, gpus=gpus)
    return conditions(environment, MEASUREMENT).get("CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", "1 of 4"),
        ("3", "1 of 4"),
        ("1, 0", "2 of 4"),
        ("GPU-8c1f,GPU-11aa", "2 of 4"),
        ("4", "4"),  # there is none: nothing is visible
        ("0,-1,1", "0,-1,1"),
        ("-1", "none"),
        ("MIG-8c1f", "MIG-8c1f"),
        ("NoDevFiles", "NoDevFiles"),
        ("", "none"),  # not as if it were unset
    ],
)
def test_of_equal_cards_it_counts_how_many_are_visible_and_not_which(value, expected):
    assert _visible(value, ["NVIDIA H200"] * 4) == expected


def test_which_card_is_visible_counts_where_they_differ():
    assert _visible("0", ["NVIDIA H200", "NVIDIA T4"]) == "0"
    assert _visible("0", []) == "0"


def test_what_a_marker_asks_for_is_told_in_its_own_words():
    runtime = Runtime(
        allocator="growth",
        memory_limit_bytes=4 << 30,
        gpus=1,
        jit=False,
        precision="mixed_float16",
        cpu_allocator="bfc",
        logical_devices={"GPU": 2, "CPU": 1},
        intra_op_threads=2,
        inter_op_threads=1,
        env={"XLA_FLAGS": "--a", "OMP_NUM_THREADS": None, "API_TOKEN": "secret"},
    )
    assert asked(runtime, warm_up=3) == {
        "memory_limit": "4.00 GiB",
        "gpus": "1",
        "jit": "False",
        "precision": "mixed_float16",
        "cpu_allocator": "bfc",
        "logical_devices": "1 CPU, 2 GPU",
        "intra_op_threads": "2",
        "inter_op_threads": "1",
        "warmup": "3",
        "env XLA_FLAGS": "--a",
        "env OMP_NUM_THREADS": "None",
    }
    assert asked(Runtime(), warm_up=0) == {}


@given(texts)
def test_the_order_of_conditions_does_not_matter(record):
    assert fingerprint(record) == fingerprint(dict(reversed(record.items())))


@given(texts, texts)
def test_conditions_have_one_name_exactly_if_nothing_differs(before, now):
    assert (fingerprint(before) == fingerprint(now)) == (not differences(before, now))
