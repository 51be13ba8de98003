"""The kernel's count of processes killed for want of memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pytest_tfmem.measure import oom
from pytest_tfmem.measure.oom import oom_kills

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/vmstat")


@pytest.fixture
def vmstat(tmp_path, monkeypatch):
    """Writes what stands in for /proc/vmstat."""
    path = tmp_path / "vmstat"
    real_open = os.open
    monkeypatch.setattr(oom.os, "open", lambda _path, flags: real_open(path, flags))
    return path.write_text


@linux
def test_it_is_the_kernels_own_count():
    told = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    assert oom_kills() == int(told["oom_kill"])


def test_the_count_is_found_among_the_others(vmstat):
    vmstat("pgfault 12\noom_kill_other 9\noom_kill 3\ndrop_pagecache 0\n")
    assert oom_kills() == 3


def test_a_kernel_that_does_not_count_is_not_zero(vmstat):
    vmstat("pgfault 12\n")
    assert oom_kills() is None


def test_a_system_without_the_file_is_not_zero(vmstat):
    assert oom_kills() is None  # nothing was written


def test_a_file_that_cannot_be_read_is_not_zero(monkeypatch, tmp_path):
    real_open = os.open
    monkeypatch.setattr(oom.os, "open", lambda _path, flags: real_open(tmp_path, flags))
    assert oom_kills() is None  # a folder: it opens and gives EISDIR
