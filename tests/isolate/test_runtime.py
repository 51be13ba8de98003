"""`tf_runtime`: what may be asked for, and the environment that it makes."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.allocators import ALLOCATORS
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate.runtime import (
    ARGUMENTS,
    PRECISIONS,
    Runtime,
    apply_visible_devices,
    environment_of,
    parse_tf_runtime,
)

DEVICES = 'logical_devices is a count by kind of device, such as {"CPU": 2}'
ENVIRONMENT = "env is a mapping of names to strings (None unsets a variable)"
THREADS = "a whole number of threads, at least 1"


def parsed(**arguments):
    return parse_tf_runtime([((), arguments)])


def refusal(*markers):
    with pytest.raises(TfmemError) as refused:
        parse_tf_runtime(markers)
    return str(refused.value)


class Array:
    """Equal to anything element by element, with no hash and no truth, as NumPy's are."""

    __hash__ = None

    def __eq__(self, other):
        return self

    def __bool__(self):
        raise ValueError

    def __repr__(self):
        return "Array()"


@pytest.mark.parametrize(
    ("name", "value", "runtime"),
    [
        *(("allocator", name, Runtime(allocator=name)) for name in ALLOCATORS),
        ("memory_limit", "4 GiB", Runtime(memory_limit_bytes=4 << 30)),
        ("memory_limit", 1 << 20, Runtime(memory_limit_bytes=1 << 20)),
        ("gpus", 0, Runtime(gpus=0)),
        ("gpus", 8, Runtime(gpus=8)),
        ("jit", True, Runtime(jit=True)),
        ("jit", False, Runtime(jit=False)),
        *(("precision", name, Runtime(precision=name)) for name in PRECISIONS),
        ("cpu_allocator", "bfc", Runtime(cpu_allocator="bfc")),
        ("cpu_allocator", "default", Runtime(cpu_allocator="default")),
        ("logical_devices", {"CPU": 2}, Runtime(logical_devices={"CPU": 2})),
        ("intra_op_threads", 1, Runtime(intra_op_threads=1)),
        ("inter_op_threads", 2, Runtime(inter_op_threads=2)),
        ("env", {"A": "1", "B": None, "C": ""}, Runtime(env={"A": "1", "B": None, "C": ""})),
    ],
)
def test_every_argument_is_taken(name, value, runtime):
    assert parsed(**{name: value}) == runtime


def test_there_is_an_example_of_every_argument():
    (examples,) = (mark.args[1] for mark in test_every_argument_is_taken.pytestmark)
    taken = {name for name, *_ in examples}
    assert taken == set(ARGUMENTS)


def test_no_marker_asks_for_nothing():
    assert parse_tf_runtime([]) == Runtime()
    assert parsed() == Runtime()


@pytest.mark.parametrize(
    ("name", "value", "shown", "right"),
    [
        ("allocator", "cuda", "'cuda'", f"allocator is one of {', '.join(ALLOCATORS)}, or a list of them"),
        ("allocator", Array(), "Array()", f"allocator is one of {', '.join(ALLOCATORS)}, or a list of them"),
        ("gpus", -1, "-1", "gpus is a whole number of cards"),
        ("gpus", True, "True", "gpus is a whole number of cards"),
        ("gpus", "1", "'1'", "gpus is a whole number of cards"),
        ("gpus", 1 << 17, "131072", "gpus is a whole number of cards"),
        ("jit", 1, "1", "jit is True or False"),
        ("jit", "autoclustering", "'autoclustering'", "jit is True or False"),
        ("precision", "fp16", "'fp16'", f"precision is one of {', '.join(PRECISIONS)}"),
        ("precision", Array(), "Array()", f"precision is one of {', '.join(PRECISIONS)}"),
        ("cpu_allocator", "BFC", "'BFC'", "cpu_allocator is 'bfc' or 'default'"),
        ("cpu_allocator", ["bfc"], "['bfc']", "cpu_allocator is 'bfc' or 'default'"),
        ("cpu_allocator", Array(), "Array()", "cpu_allocator is 'bfc' or 'default'"),
        ("logical_devices", 2, "2", DEVICES),
        ("logical_devices", {"TPU": 1}, "{'TPU': 1}", DEVICES),
        ("logical_devices", {"CPU": 0}, "{'CPU': 0}", DEVICES),
        ("logical_devices", {"CPU": True}, "{'CPU': True}", DEVICES),
        ("intra_op_threads", 0, "0", f"intra_op_threads is {THREADS}"),
        ("intra_op_threads", 2.0, "2.0", f"intra_op_threads is {THREADS}"),
        ("inter_op_threads", None, "None", f"inter_op_threads is {THREADS}"),
        ("env", "A=1", "'A=1'", ENVIRONMENT),
        ("env", {"A": 1}, "{'A': 1}", ENVIRONMENT),
        ("env", {"": "1"}, "{'': '1'}", ENVIRONMENT),
        ("env", {None: "1"}, "{None: '1'}", ENVIRONMENT),
        ("env", {"A=B": "1"}, "{'A=B': '1'}", ENVIRONMENT),
        ("env", {"A\0": "1"}, r"{'A\x00': '1'}", ENVIRONMENT),
        ("env", {"A": "\0"}, r"{'A': '\x00'}", ENVIRONMENT),
        ("env", {"A": "\udcff"}, r"{'A': '\udcff'}", ENVIRONMENT),
    ],
)
def test_every_argument_is_refused_for_what_it_cannot_be(name, value, shown, right):
    assert refusal(((), {name: value})) == f"tf_runtime({name}={shown}) is not possible; {right}"


@pytest.mark.parametrize(
    ("limit", "size", "right"),
    [
        ("1 GB", 10**9, "'953 MiB' or '954 MiB'"),
        ((1 << 20) + 1, (1 << 20) + 1, "'1 MiB' or '2 MiB'"),
        ("512 KiB", 1 << 19, "'1 MiB'"),
        (0, 0, "'1 MiB'"),
    ],
)
def test_a_limit_of_which_tensorflow_would_make_another_is_refused(limit, size, right):
    assert refusal(((), {"memory_limit": limit})) == (
        f"tf_runtime(memory_limit=...): {size} bytes are not a number of whole MiB, in which TensorFlow counts;"
        f" write {right}"
    )


def test_gpus_are_divided_only_by_memory():
    assert refusal(((), {"logical_devices": {"CPU": 2, "GPU": 2}})) == (
        "tf_runtime(logical_devices=...) divides GPUs, which TensorFlow does only by memory;"
        " write memory_limit too, the limit of each logical GPU"
    )
    assert parsed(logical_devices={"GPU": 2}, memory_limit="1 GiB").logical_devices == {"GPU": 2}


@pytest.mark.parametrize("gpus", [0, 1])
def test_cards_are_named_in_one_way(gpus):
    message = "tf_runtime has gpus, and sets CUDA_VISIBLE_DEVICES in env; leave one of the two out"
    assert refusal(((), {"gpus": gpus}), ((), {"env": {"CUDA_VISIBLE_DEVICES": "0"}})) == message


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], f"[]) names no allocator; name some of {', '.join(ALLOCATORS)}"),
        (["bfc", "growth", "bfc"], "['bfc', 'growth', 'bfc']) names bfc twice; name each once"),
        (
            ("bfc", "growth"),
            (
                "('bfc', 'growth')) makes one test of each, which can be done only of a function that pytest"
                " collects, not of a method of unittest.TestCase, of a doctest, or by a marker that is added later;"
                " name one allocator"
            ),
        ),
    ],
)
def test_a_list_of_allocators_that_has_made_no_tests_is_refused(value, said):
    assert refusal(((), {"allocator": value})) == f"tf_runtime(allocator={said}"


def test_a_limit_that_is_no_size_is_refused():
    assert refusal(((), {"memory_limit": "4 gigs"})) == (
        "tf_runtime(memory_limit=...): '4 gigs' has an unknown unit 'gigs';"
        " the units are B, KiB, MiB, GiB, TiB, kB, MB, GB, TB"
    )


def test_a_long_value_is_cut():
    message = refusal(((), {"precision": "x" * 1000}))
    assert message.startswith("tf_runtime(precision='xxx")
    assert len(message.partition(") is not possible")[0]) < 90


@pytest.mark.parametrize(
    ("name", "meant"),
    [("memory_limits", "did you mean 'memory_limit'? "), ("Jit", "did you mean 'jit'? "), ("zzz", "")],
)
def test_an_unknown_argument_is_refused_with_the_nearest(name, meant):
    message = f"tf_runtime has no argument {name!r}; {meant}It has {', '.join(ARGUMENTS)}"
    assert refusal(((), {name: 1})) == message


def test_an_argument_without_its_name_is_refused():
    assert refusal(((True,), {})) == "tf_runtime takes keyword arguments only; write tf_runtime(jit=True)"


def test_the_closest_marker_wins_argument_by_argument():
    closest_first = [((), {"jit": True}), ((), {"jit": False, "gpus": 1}), ((), {"gpus": 2, "precision": "float16"})]
    assert parse_tf_runtime(closest_first) == Runtime(jit=True, gpus=1, precision="float16")


def test_what_a_closer_marker_overrides_is_not_judged():
    assert parse_tf_runtime([((), {"gpus": 1}), ((), {"gpus": "all"})]) == Runtime(gpus=1)


def test_a_dictionary_in_a_marker_may_change_afterwards():
    given_env = {"A": "1"}
    runtime = parsed(env=given_env)
    given_env["A"] = "2"
    assert runtime == Runtime(env={"A": "1"})


FREE = {"PATH": "/bin"}
SET = {"TF_GPU_ALLOCATOR": "cuda_malloc_async", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


@pytest.mark.parametrize("inherited", [FREE, FREE | SET], ids=["unset", "set"])
@pytest.mark.parametrize(
    ("allocator", "gpu_allocator", "growth"),
    [
        ("cuda_malloc_async", "cuda_malloc_async", None),
        ("cuda_malloc", "cuda_malloc", None),
        ("growth", None, "true"),
        ("bfc", None, "false"),
    ],
)
def test_each_allocator_is_in_force_whatever_was_set_before(allocator, gpu_allocator, growth, inherited):
    made = environment_of(Runtime(allocator=allocator), inherited)
    assert made.get("TF_GPU_ALLOCATOR") == gpu_allocator
    assert made.get("TF_FORCE_GPU_ALLOW_GROWTH") == (growth or inherited.get("TF_FORCE_GPU_ALLOW_GROWTH"))
    assert made["PATH"] == "/bin"


@given(st.dictionaries(st.sampled_from(["PATH", *SET, "CUDA_VISIBLE_DEVICES"]), st.text()))
def test_a_runtime_that_asks_for_nothing_changes_nothing(inherited):
    before = dict(inherited)
    assert environment_of(Runtime(), inherited) == before
    assert inherited == before


@pytest.mark.parametrize(
    ("runtime", "changed"),
    [
        (Runtime(cpu_allocator="bfc"), {"TF_CPU_ALLOCATOR_USE_BFC": "true"}),
        (Runtime(cpu_allocator="default"), {"TF_CPU_ALLOCATOR_USE_BFC": "false"}),
        (Runtime(intra_op_threads=3), {"TF_NUM_INTRAOP_THREADS": "3"}),
        (Runtime(inter_op_threads=4), {"TF_NUM_INTEROP_THREADS": "4"}),
        (Runtime(gpus=0), {"CUDA_VISIBLE_DEVICES": "-1"}),
        (Runtime(gpus=2), {}),
        (Runtime(env={"A": "1"}), {"A": "1"}),
        (
            Runtime(allocator="growth", env={"TF_FORCE_GPU_ALLOW_GROWTH": "false"}),
            {"TF_FORCE_GPU_ALLOW_GROWTH": "false"},
        ),
    ],
)
def test_each_argument_has_its_variable(runtime, changed):
    assert environment_of(runtime, FREE) == FREE | changed


def test_no_cards_are_visible_to_a_test_that_wants_none_whatever_was_visible():
    assert environment_of(Runtime(gpus=0), {"CUDA_VISIBLE_DEVICES": "3,5"}) == {"CUDA_VISIBLE_DEVICES": "-1"}


def test_which_cards_a_test_holds_is_not_settled_by_its_runtime():
    listed = {"CUDA_VISIBLE_DEVICES": "3,5"}
    assert environment_of(Runtime(gpus=1), listed) == listed


def test_the_cards_that_a_test_holds_are_those_that_cuda_will_see(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    apply_visible_devices("GPU-aa,GPU-bb")
    assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["CUDA_DEVICE_ORDER"]) == ("GPU-aa,GPU-bb", "PCI_BUS_ID")


def test_a_variable_can_be_unset():
    assert environment_of(Runtime(env={"PATH": None, "NONE": None}), FREE) == {}


@pytest.mark.parametrize(
    ("runtime", "needs"),
    [
        (Runtime(), False),
        (Runtime(allocator="growth", gpus=1, intra_op_threads=1, env={"A": "1"}, cpu_allocator="bfc"), False),
        (Runtime(memory_limit_bytes=0), True),
        (Runtime(jit=False), True),
        (Runtime(precision="float32"), True),
        (Runtime(logical_devices={"CPU": 2}), True),
    ],
)
def test_tensorflow_is_imported_only_for_what_no_variable_can_say(runtime, needs):
    assert runtime.needs_tensorflow is needs
