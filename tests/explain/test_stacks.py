"""Whose memory a stack says it is."""

from __future__ import annotations

import pytest

from pytest_tfmem.explain.stacks import IN_REGION, INSIDE, Frame, place_of

ROOT = "/home/me/project/"
LIB = "/home/me/project/.venv/lib/python3.12/site-packages"


def of_user(function, line, file="tests/test_a.py"):
    return Frame(function, ROOT + file, line)


def of_library(function, file, line=1):
    return Frame(function, f"{LIB}/{file}", line)


PYTEST = of_library("pytest_pyfunc_call", "_pytest/python.py")


def test_it_is_the_innermost_frame_of_the_users_own_code():
    stack = [of_library("ones", "numpy/_core/numeric.py"), of_user("load", 4), of_user("test_a", 9), PYTEST]
    found = place_of(stack, ROOT)
    assert (found.what, found.where, found.kind) == ("load", "tests/test_a.py:4", "python")
    assert found.detail == "numeric.ones"
    assert found.path == ("test_a tests/test_a.py:9", "load tests/test_a.py:4")


def test_a_recursion_is_one_place_however_deep_it_is():
    deep, shallow = ([*[of_user("build", 5)] * depth, of_user("test_a", 9), PYTEST] for depth in (12, 2))
    assert place_of(deep, ROOT) == place_of(shallow, ROOT)
    assert place_of(deep, ROOT).path == ("test_a tests/test_a.py:9", "build tests/test_a.py:5")


def test_what_is_installed_below_the_root_directory_is_not_the_users():
    assert place_of([of_library("f", "helper/__init__.py"), of_user("test_a", 9)], ROOT).what == "test_a"


def test_a_folder_whose_name_only_begins_like_the_root_directorys_is_another():
    assert not place_of([Frame("f", "/home/me/project-2/a.py", 1)], ROOT).where


def test_what_is_called_is_told_by_its_landmarks_without_the_plumbing_between_them():
    stack = [
        Frame("tsl::port::AlignedMalloc(unsigned long)", "<unknown>", 0),
        Frame("tensorflow::FillOp<Eigen::ThreadPoolDevice, float, int>::Compute(OpKernelContext*)", "<unknown>", 0),
        of_library("quick_execute", "tensorflow/python/eager/execute.py"),
        of_library("zeros", "keras/src/backend/tensorflow/numpy.py"),
        of_library("build", "keras/src/optimizers/adam.py"),
        of_library("error_handler", "keras/src/utils/traceback_utils.py"),
        of_library("fit", "keras/src/backend/tensorflow/trainer.py"),
        of_user("test_fit", 12),
    ]
    assert place_of(stack, ROOT).detail == "trainer.fit -> adam.build -> operation Fill"


@pytest.mark.parametrize("between", [[], [Frame("_PyEval_EvalFrameDefault", "ceval.c", 1)]])
def test_an_import_is_of_the_line_that_imports_and_names_the_outermost_package(between):
    importing = Frame("_call_with_frames_removed", "<frozen importlib._bootstrap>", 480)
    stack = [
        of_library("<module>", "numpy/linalg/__init__.py"),
        importing,
        of_library("<module>", "tensorflow/__init__.py"),
        *between,
        importing,
        of_user("test_a", 3),
    ]
    found = place_of(stack, ROOT)
    assert (found.what, found.where, found.detail) == ("import tensorflow", "tests/test_a.py:3", "")


def test_a_region_of_tensorflows_allocator_is_said_to_be_one():
    stack = [Frame("tsl::BFCAllocator::Extend(unsigned long, unsigned long)", "<unknown>", 0), of_user("test_a", 3)]
    assert place_of(stack, ROOT).detail == IN_REGION


@pytest.mark.parametrize(
    ("stack", "what"),
    [
        ([PYTEST], INSIDE),
        ([Frame("read", "/checkout/pytest_tfmem/measure/nested.py", 1)], INSIDE),
        ([Frame("loads", "/usr/lib/python3.12/json/__init__.py", 1), PYTEST], INSIDE),
        ([Frame("run", "/usr/lib/python3.12/threading.py", 1)], "threading, not called by the test"),
        ([Frame("malloc", "", 0), Frame("dnnl::jit(int)", "", 0), Frame("clone3", "", 0)], "dnnl::jit"),
        ([Frame("malloc", "", 0)], "unknown"),
        ([], "unknown"),
        ([Frame("tensorflow::data::BatchDatasetOp::Dataset::Iterator::GetNextInternal(x)", "", 0)], "operation Batch"),
    ],
)
def test_what_the_test_did_not_call_is_told_by_what_it_is(stack, what):
    found = place_of(stack, ROOT)
    assert (found.what, found.where) == (what, "")
