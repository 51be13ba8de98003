from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys

import msgspec

from pytest_tfmem.history import environment
from pytest_tfmem.history.environment import describe_environment


def test_versions_are_told_without_importing_what_they_are_of():
    script = (
        "import sys; from pytest_tfmem.history.environment import describe_environment as d; d();"
        "print([m for m in ('tensorflow', 'keras', 'numpy', 'pynvml') if m in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "[]"


def test_it_names_the_interpreter_and_the_machine():
    told = describe_environment()
    assert told.python == platform.python_version()
    assert told.python_implementation == sys.implementation.name.replace("cpython", "CPython")
    assert told.kernel == platform.release()
    assert told.machine == platform.machine()
    assert told.packages["pytest"] == importlib.metadata.version("pytest")


def test_the_distribution_that_provides_tensorflow_is_named(tmp_path, monkeypatch):
    for name, version in (("intel-tensorflow", "2.20.1"), ("keras_nightly", "4.0")):
        metadata = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert describe_environment().packages == {"intel-tensorflow": "2.20.1", "keras-nightly": "4.0"}


def test_a_distribution_with_broken_metadata_is_not_named(tmp_path, monkeypatch):
    (tmp_path / "numpy-2.0.dist-info").mkdir()
    (tmp_path / "numpy-2.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert describe_environment().packages == {}


def test_settings_that_matter_are_kept_and_nothing_else_of_the_environment():
    told = describe_environment(
        environ={
            "TF_ENABLE_ONEDNN_OPTS": "0",
            "TF_GPU_ALLOCATOR": "cuda_malloc_async",
            "TF_API_TOKEN": "s3cret",
            "AWS_SECRET_ACCESS_KEY": "s3cret",
        }
    )
    assert told.onednn == "0"
    assert told.settings == {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_GPU_ALLOCATOR": "cuda_malloc_async"}
    assert b"s3cret" not in msgspec.json.encode(told)


def test_a_long_setting_is_cut():
    assert len(describe_environment(environ={"XLA_FLAGS": "x" * 10_000}).settings["XLA_FLAGS"]) == 500


def test_without_settings_the_defaults_hold():
    told = describe_environment(environ={})
    assert (told.onednn, told.settings) == (None, {})


def test_gpus_are_those_that_the_caller_has_seen():
    told = describe_environment(gpus=["NVIDIA H200", "NVIDIA H200"], gpu_driver="570.86")
    assert (told.gpus, told.gpu_driver) == (["NVIDIA H200", "NVIDIA H200"], "570.86")
    assert describe_environment().gpus == []


def test_cores_allowed_follow_the_affinity(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5, 7}, raising=False)
    assert describe_environment().cores_allowed == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert describe_environment().cores_allowed is None


def test_the_mode_of_huge_pages_is_the_one_in_brackets(tmp_path, monkeypatch):
    enabled = tmp_path / "enabled"
    monkeypatch.setattr(environment, "_HUGE_PAGES", enabled)
    assert describe_environment().transparent_huge_pages is None
    enabled.write_text("always [madvise] never\n")
    assert describe_environment().transparent_huge_pages == "madvise"


def test_a_system_without_a_release_file_is_named_by_python(monkeypatch):
    def absent():
        raise OSError("no os-release")

    assert describe_environment().os
    monkeypatch.setattr(platform, "freedesktop_os_release", absent)
    assert describe_environment().os == platform.platform(terse=True)


def test_it_survives_a_round_trip():
    told = describe_environment(gpus=["NVIDIA H200"], environ={"OMP_NUM_THREADS": "2"})
    assert msgspec.json.decode(msgspec.json.encode(told), type=type(told)) == told
