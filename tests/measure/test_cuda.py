"""What is asked of CUDA's driver, and its failures, by drivers of a few lines of C."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import msgspec
import pytest

from pytest_tfmem.measure.cuda import Probe, probe_cards, start_probe
from pytest_tfmem.measure.cuda_driver import may_be_loaded
from pytest_tfmem.measure.devices import Card

CARD = Card(
    ordinal=0,
    uuid="GPU-1",
    pci_bus_id="0000:01:00.0",
    name="NVIDIA One",
    total_bytes=8 << 30,
    compute_capability=(8, 0),
    has_pools=True,
)
# One card, whose every answer can be replaced by a definition (-D).
DRIVER = """
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifndef INIT
#define INIT return 0;
#endif
#ifndef NAME
#define NAME "NVIDIA One"
#endif
#ifndef STATE
#define STATE *active = 1; return 0;
#endif
int cuInit(unsigned flags) { INIT }
int cuDriverGetVersion(int *version) { *version = 12090; return 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int size, int device) { snprintf(name, size, NAME); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = 1 << 30; return 0; }
int cuDeviceGetAttribute(int *value, int which, int device) { *value = which == 75 ? 9 : 0; return 0; }
int cuDeviceGetPCIBusId(char *id, int size, int device) { snprintf(id, size, "0000:0%d:00.0", device); return 0; }
int UUID(unsigned char *uuid, int device) { memset(uuid, 0xa0 + device, 16); return 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { STATE }
int cuGetErrorName(int error, const char **name) { *name = "CUDA_ERROR_OF_THIS_TEST"; return 0; }
"""


@pytest.fixture
def driver(tmp_path):
    """Builds a driver; gives the variables with which a process finds it."""

    def build(**definitions):
        if shutil.which("gcc") is None:
            pytest.skip("gcc is not installed")
        source = tmp_path / "driver.c"
        source.write_text(DRIVER)
        defined = [f"-D{name}={value}" for name, value in ({"UUID": "cuDeviceGetUuid_v2"} | definitions).items()]
        library = tmp_path / "libcuda.so.1"
        subprocess.run(["gcc", "-shared", "-fPIC", "-w", *defined, "-o", library, source], check=True)
        return {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}

    return build


def told_in_new_process(code, environment):
    """What `code` prints, as JSON, in an interpreter with this environment."""
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def test_a_probe_describes_each_card(driver):
    probe = probe_cards(driver())
    assert probe.problem == ""
    assert probe.cuda_version == 12090
    assert probe.cards[1] == Card(
        ordinal=1,
        uuid="GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1",
        pci_bus_id="0000:01:00.0",
        name="NVIDIA One",
        total_bytes=1 << 30,
        compute_capability=(9, 0),
        has_pools=False,
    )


def test_a_part_of_a_card_has_a_uuid_of_its_kind(driver):
    probe = probe_cards(driver(NAME='"NVIDIA A100 MIG 1g.5gb"'))
    assert probe.cards[0].uuid == "MIG-a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0"


def test_an_old_driver_knows_only_the_first_way_to_ask_for_a_uuid(driver):
    assert probe_cards(driver(UUID="cuDeviceGetUuid")).cards[0].uuid.startswith("GPU-a0a0a0a0-")


@pytest.mark.parametrize(
    ("init", "problem"),
    [
        ("return 100;", "cuInit failed with CUDA_ERROR_OF_THIS_TEST (100)"),
        ("*(volatile int *)0 = 1;", "the process that asked CUDA's driver for the GPUs was ended by SIGSEGV"),
        ("_exit(7);", "the process that asked CUDA's driver for the GPUs ended with status 7"),
        (
            'write(1, "hello", 5); _exit(0);',
            "the process that asked CUDA's driver for the GPUs gave an answer that is not ours",
        ),
    ],
    ids=["refused", "crashed", "ended", "printed"],
)
def test_a_driver_that_fails_is_the_probes_problem(driver, init, problem):
    assert probe_cards(driver(INIT=init)) == Probe(problem=problem)


def test_a_driver_that_does_not_answer_is_given_up(driver):
    pending = start_probe(driver(INIT="pause();"))
    assert pending.result(timeout_seconds=0.2) == Probe(problem="CUDA's driver did not answer within 0.2 seconds")
    assert pending.result() == pending.result(timeout_seconds=0.2)


def test_a_probe_that_nobody_collects_can_be_ended(driver):
    pending = start_probe(driver(INIT="pause();"))
    pending.abandon()
    assert pending.result().cards == []


def test_a_driver_that_is_not_there_is_the_probes_problem(driver, tmp_path):
    environment = driver()
    (tmp_path / "libcuda.so.1").write_bytes(b"")  # found before the machine's own, and no library
    assert probe_cards(environment).problem == "CUDA's driver (libcuda.so.1) is not installed here"


def test_a_probe_that_cannot_be_started_is_a_problem(driver, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    problem = "the process that asks for the GPUs could not be started (No such file or directory)"
    assert start_probe(driver()).result() == Probe(problem=problem)


@pytest.mark.skipif(may_be_loaded({}), reason="this machine has CUDA's driver")
def test_where_there_is_no_driver_no_process_is_started_to_ask_it(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert start_probe({"LD_LIBRARY_PATH": "/nowhere:/nowhere/else"}).result().why_none() == "no GPU"


@pytest.mark.parametrize(
    ("changes", "cuda_version", "reason"),
    [
        ({}, 11020, ""),
        ({}, 11010, "the driver's CUDA is 11.1, and it needs 11.2 or later"),
        ({"compute_capability": (5, 2)}, 12000, "NVIDIA One has compute capability 5.2, and it needs 6.0 or higher"),
        ({"has_pools": False}, 12000, "NVIDIA One has no memory pools"),
    ],
)
def test_cuda_malloc_async_needs_what_tensorflow_would_abort_without(changes, cuda_version, reason):
    able, other = CARD, msgspec.structs.replace(CARD, **changes)
    assert Probe(cards=[able, other], cuda_version=cuda_version).why_no_async() == reason


def test_without_a_card_there_is_no_reason_against_cuda_malloc_async():
    assert Probe(problem="no driver").why_no_async() == ""


def test_a_process_without_the_driver_uses_no_cards():
    code = """if True:
        import json
        from pytest_tfmem.measure.cuda import cards_here, read_pools, reset_pools
        here = cards_here()
        print(json.dumps([here.visible, here.used, here.problem, reset_pools([]), read_pools([]).pools,
            "libcuda" in open("/proc/self/maps").read()]))
    """
    assert told_in_new_process(code, dict(os.environ)) == [0, [], "", "", [], False]


def test_where_the_driver_refuses_the_cards_are_not_known_rather_than_none(driver):
    code = """if True:
        import ctypes, json
        from pytest_tfmem.measure.cuda import cards_here
        held = ctypes.CDLL("libcuda.so.1")
        print(json.dumps([len(cards_here().used), cards_here().problem]))
    """
    refusal = "cuDevicePrimaryCtxGetState failed with CUDA_ERROR_OF_THIS_TEST (999)"
    assert told_in_new_process(code, driver(STATE="return 999;")) == [0, refusal]
    assert told_in_new_process(code, driver()) == [2, ""]


def test_pools_of_a_driver_that_has_none_are_not_known(driver):
    code = """if True:
        import ctypes, json, msgspec
        from pytest_tfmem.measure.cuda import cards_here, read_pools, reset_pools
        held = ctypes.CDLL("libcuda.so.1")
        cards = [msgspec.structs.replace(card, has_pools=True) for card in cards_here().used]
        print(json.dumps([reset_pools(cards), read_pools(cards).problem, read_pools(cards_here().used).problem]))
    """
    missing = "CUDA's driver has no cuDeviceGetDefaultMemPool"
    assert told_in_new_process(code, driver()) == [missing, missing, ""]
