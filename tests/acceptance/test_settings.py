"""Every setting by every way in: option, ini key, each with xdist and without."""

from __future__ import annotations

import json

import pytest

MODULE = """
    @budget(gpu="1 GiB")
    def test_marked(): note(os.environ.get("TF_GPU_ALLOCATOR")); note("body")

    def test_plain(): note("body")
"""
HANGS = "import time\n\n@budget(gpu='1 GiB')\ndef test_hangs(): time.sleep(30)"
OTHER = 'version: 1\nbudgets:\n  - test: "test_it.py::test_plain"\n    rss: 1 MiB\n'

TOGETHER = {
    "tfmem_all": "true",
    "tfmem_gpu": "require",
    "tfmem_allocator": "cuda_malloc_async",
    "tfmem_budgets": "other.yaml",
    "tfmem_interval": "30",
    "tfmem_json": "run.json",
    "tfmem_start_method": "spawn",
}


def _arguments(way_in, values):
    if way_in == "key":
        return [argument for name, value in values.items() for argument in ("-o", f"{name}={value}")]
    options = {name: "--" + name.replace("_", "-") for name in values}
    return [options[name] + (f"={value}" if value != "true" else "") for name, value in values.items()]


pytestmark = pytest.mark.of_any_start_method
ways_in = pytest.mark.parametrize("way_in", ["option", "key"])
with_and_without_xdist = pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["alone", "xdist"])


@ways_in
@with_and_without_xdist
def test_settings_hold_by_option_and_by_key(project, way_in, workers):
    project.write("test_it.py", MODULE)
    project.write("other.yaml", OTHER)
    project.write("pytest.ini", "[pytest]\n")
    ran = project.run(*_arguments(way_in, TOGETHER), *workers)
    assert ran.notes_of_children().count("body") == 2, "tfmem_all isolates every test"
    assert ran.outcomes == {"test_marked": "failed", "test_plain": "failed"}
    assert "gpu not measured (no GPU)" in ran.text, "tfmem_gpu fails the one"
    assert "rss: limit set in other.yaml:4" in ran.text, "tfmem_budgets fails the other"
    assert "cuda_malloc_async" in ran.notes_of_children(), "tfmem_allocator"
    assert len(ran.measured["test_marked"]["timeline"]["seconds"]) <= 12, "tfmem_interval: at starts and ends only"
    document = json.loads((project.path / "run.json").read_text())
    assert {test["nodeid"] for test in document["tests"]} == {"test_it.py::test_marked", "test_it.py::test_plain"}


@ways_in
@with_and_without_xdist
def test_a_timeout_and_no_look_at_the_gpu_by_option_and_by_key(project, way_in, workers):
    project.write("test_it.py", HANGS)
    ran = project.run(*_arguments(way_in, {"tfmem_timeout": "0.3", "tfmem_gpu": "off"}), *workers)
    assert ran.outcomes == {"test_hangs": "failed"}
    assert "timeout: the test was still in call after 0.3 s, and was ended" in ran.text
    assert ran.measured["test_hangs"]["readings"]["gpu"] == {"not_measured": "switched off by --tfmem-gpu=off"}


@ways_in
@with_and_without_xdist
def test_no_isolation_by_option_and_by_key(project, way_in, workers):
    project.write("test_it.py", MODULE)
    ran = project.run(*_arguments(way_in, {"no_tfmem": "true"}), *workers)
    assert ran.outcomes == {"test_marked": "passed", "test_plain": "passed"}
    assert not ran.children
    assert "1 test ran unmeasured" in ran.text


def test_an_option_wins_over_the_key(project):
    project.write("test_it.py", MODULE)
    project.write("pytest.ini", "[pytest]\ntfmem_gpu = require\ntfmem_json = never.json\n")
    ran = project.run("--tfmem-gpu=auto", "--tfmem-json=run.json")
    assert ran.outcomes == {"test_marked": "passed", "test_plain": "passed"}
    assert (project.path / "run.json").exists()
    assert not (project.path / "never.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tfmem-gpu=sometimes"], "*--tfmem-gpu: invalid choice: 'sometimes'*"),
        (["-o", "tfmem_gpu=sometimes"], "ERROR: ini: tfmem_gpu: 'sometimes' is not a choice; choose one of auto*"),
        (["-o", "tfmem_start_method=fork"], "ERROR: ini: tfmem_start_method: 'fork' is not a choice; *"),
        (["--tfmem-timeout=soon"], "ERROR: --tfmem-timeout: *"),
        (["--tfmem-interval=-1"], "ERROR: --tfmem-interval: *"),
        (["--tfmem-json=there/is/none"], "ERROR: --tfmem-json: * is in a folder that does not exist; name a file"),
        (["--tfmem-budgets=none.yaml"], "ERROR: *none.yaml*"),
    ],
)
def test_a_value_that_is_none_ends_the_session_with_one_line(project, arguments, said):
    project.write("test_it.py", "def test_it(): note('never')")
    ran = project.run(*arguments)
    assert ran.returncode == 4
    assert ran.notes == []
    ran.stderr.fnmatch_lines([said])
    assert "Traceback" not in ran.errors + ran.text
