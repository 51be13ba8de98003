"""`tfmem check`, as a user runs it: real processes, real projects in a folder of their own."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_tfmem.budgets.file import load_budgets
from pytest_tfmem.check.collected import Collected, CollectedTest
from pytest_tfmem.check.findings import find
from pytest_tfmem.check.nearest import nearest
from tests.beside import ADDOPTS

_TODAY = dt.datetime.now(tz=dt.UTC).date()
_TESTS = """
import pytest

def test_step(): pass

@pytest.mark.memory_budget(rss="2 GiB")
class TestFit:
    @pytest.mark.memory_budget(rss="1 GiB")
    def test_fit(self): pass

@pytest.mark.parametrize("size", [1, 2])
def test_sizes(size): pass
"""
_BUDGETS = """\
version: 1
defaults: {rss: 4 GiB}
profiles: {lab: {gpu: "NVIDIA Nonesuch"}, cpu: {gpu: "*"}}
budgets:
  - test: tests/test_train.py
    rss: 3 GiB
    gpu: {lab: 1 GiB}
"""


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("PYTEST_PLUGINS", "TF_GPU_ALLOCATOR", "TF_FORCE_GPU_ALLOW_GROWTH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", ADDOPTS)


@pytest.fixture
def project(tmp_path):
    """Writes files of a project, which has one file of tests if none is named."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def write(files=None, **named):
        for name, text in ({"tests/test_train.py": _TESTS} | (files or {}) | named).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def _check(folder, *arguments, script=True):
    tfmem = [str(Path(sys.executable).with_name("tfmem"))] if script else [sys.executable, "-m", "pytest_tfmem"]
    return subprocess.run(
        [*tfmem, "check", *arguments], cwd=folder, capture_output=True, text=True, check=False, env=os.environ
    )


def _budget(*lines):
    return "version: 1\n" + "\n".join(lines) + "\n"


def _waiver(expires, test="tests/test_train.py"):
    return _budget(
        "waivers:",
        f'  - {{test: "{test}", figure: rss, limit: 2 GiB, expires: {expires}, issue: "#7", reason: a known leak}}',
    )


def test_a_project_in_order_has_nothing_to_mend(project):
    done = _check(project({"budgets.yaml": _BUDGETS}))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "4 tests collected, 4 to be measured",
        "1 budget and 0 waivers in budgets.yaml",
        "nothing to mend",
    ]


def test_a_project_without_budgets_is_told_so(project):
    done = _check(project())
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["4 tests collected, 1 to be measured", "no budgets file", "nothing to mend"]


def test_a_test_that_asks_for_the_fixture_is_measured_without_a_marker(project):
    asks = "import pytest\n\n@pytest.fixture\ndef load(tfmem): pass\n\ndef test_a(load): pass\n\ndef test_b(): pass\n"
    done = _check(project({"tests/test_asks.py": asks}))
    assert done.stdout.splitlines()[0] == "6 tests collected, 2 to be measured"


def test_what_does_nothing_is_listed_in_the_order_of_the_files_lines(project):
    folder = project(
        {
            "budgets.yaml": _budget(
                "budgets:",
                "  - {test: 'tests/**', rss: 2 GiB}",
                "  - {test: 'tests/test_train.py::test_stepp', rss: 2 GiB}",
                "  - {test: 'tests/test_train.py', rss: 2 GiB}",
                "  - {test: 'old/**', rss: 2 GiB}",
                "waivers:",
                "  - {test: 'tests/test_gone.py', figure: rss, limit: 1 GiB, expires: 2999-01-01, reason: why}",
            )
        }
    )
    done = _check(folder)
    assert done.returncode == 1
    assert done.stdout.splitlines()[:-3] == [
        "budgets.yaml:3: the budget for 'tests/**' never wins: 'tests/test_train.py' in budgets.yaml:5 comes first",
        (
            "budgets.yaml:4: no test matches the budget for 'tests/test_train.py::test_stepp'; did you mean"
            " 'tests/test_train.py::test_step'?"
        ),
        "budgets.yaml:6: no test matches the budget for 'old/**'",
        "budgets.yaml:8: no test matches the waiver for 'tests/test_gone.py'",
    ]
    assert done.stdout.splitlines()[-1] == "4 things to mend"


def _ending(tmp_path, days, soon_days=14):
    path = tmp_path / "budgets.yaml"
    path.write_text(_waiver(_TODAY + dt.timedelta(days)))
    test = CollectedTest(nodeid="tests/test_train.py::test_step", measured=True, markers=[])
    collected = Collected(budgets=str(path), shown="budgets.yaml", places=[""], tests=[test])
    file = load_budgets(path, shown="budgets.yaml")
    return find(collected, file, today=_TODAY, soon_days=soon_days, environ={})


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (-1, f"expired on {_TODAY - dt.timedelta(1)}"),
        (0, f"expires today, on {_TODAY}"),
        (1, f"expires tomorrow, on {_TODAY + dt.timedelta(1)}"),
        (14, f"expires in 14 days, on {_TODAY + dt.timedelta(14)}"),
    ],
)
def test_a_waiver_that_has_ended_or_will_within_14_days_is_to_be_mended(tmp_path, days, said):
    line = f"budgets.yaml:3: the waiver of rss for 'tests/test_train.py' {said} (#7, a known leak)"
    assert _ending(tmp_path, days) == [line]


def test_a_waiver_that_ends_later_is_in_order(tmp_path):
    assert _ending(tmp_path, 15) == []
    assert len(_ending(tmp_path, 15, soon_days=15)) == 1


def test_how_soon_a_waiver_ends_is_counted_from_today(project):
    folder = project({"budgets.yaml": _waiver(_TODAY + dt.timedelta(5))})
    assert _check(folder, "--soon", "3").returncode == 0
    assert _check(folder).returncode == 1


def test_every_marker_that_is_wrong_is_listed_once_with_its_line(project):
    folder = project(
        {
            "tests/test_marked.py": """
import pytest

@pytest.mark.memory_budget(rss="10 megs")
@pytest.mark.tf_runtime(allocator="cuda_maloc_async")
@pytest.mark.parametrize("size", [1, 2])
def test_twice_wrong(size): pass

@pytest.mark.tf_runtime(env={"TF_GPU_ALLOCATOR": "cuda_maloc"})
def test_ignored(): pass
"""
        }
    )
    done = _check(folder)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert [line.partition(": ")[0] for line in lines[:3]] == [f"tests/test_marked.py:{line}" for line in (4, 5, 9)]
    assert "'10 megs' has an unknown unit" in lines[0]
    assert "tf_runtime(allocator='cuda_maloc_async') is not possible" in lines[1]
    assert "TensorFlow ignores TF_GPU_ALLOCATOR='cuda_maloc' without a word; did you mean 'cuda_malloc'?" in lines[2]
    assert lines[-1] == "3 things to mend"


def test_a_marker_that_a_conftest_adds_is_looked_at(project):
    hook = """
import pytest

def pytest_collection_modifyitems(items):
    items[0].add_marker(pytest.mark.memory_budget(vram="1 GiB"))
"""
    done = _check(project({"conftest.py": hook}))
    assert done.returncode == 1
    assert "unknown figure 'vram'; did you mean 'gpu'?" in done.stdout.splitlines()[0]


def test_an_allocator_in_the_environment_that_tensorflow_ignores_is_to_be_mended(project, monkeypatch):
    monkeypatch.setenv("TF_GPU_ALLOCATOR", "cuda-malloc-async")
    done = _check(project())
    assert done.returncode == 1
    assert done.stdout.startswith("environment: TensorFlow ignores TF_GPU_ALLOCATOR='cuda-malloc-async'")


def test_a_file_that_cannot_be_collected_is_named_and_its_budgets_are_not_called_stale(project):
    folder = project(
        {
            "tests/test_broken.py": "import nonesuch\n",
            "budgets.yaml": _budget("budgets:", "  - {test: 'tests/test_broken.py::test_a', rss: 2 GiB}"),
        }
    )
    done = _check(folder)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "tests/test_broken.py: could not be collected: ModuleNotFoundError: No module named 'nonesuch'",
        "4 tests collected, 1 to be measured",
        "1 budget and 0 waivers in budgets.yaml, 1 of them for tests that were not collected, and not looked at",
        "1 thing to mend",
    ]


def test_budgets_of_tests_that_were_not_asked_for_are_not_called_stale(project):
    folder = project(
        {
            "other/test_other.py": "def test_a(): pass\n",
            "budgets.yaml": _budget(
                "budgets:",
                "  - {test: 'other/**', rss: 2 GiB}",
                "  - {test: 'tests/test_train.py::test_gone', rss: 2 GiB}",
            ),
        }
    )
    for arguments in (["tests"], ["tests/test_train.py", "-v"]):
        done = _check(folder, *arguments)
        assert done.stdout.splitlines()[0].startswith("budgets.yaml:4: no test matches")
        assert "1 of them for tests that were not collected" in done.stdout.splitlines()[-2]
        assert done.stdout.splitlines()[-1] == "1 thing to mend"


def test_an_entry_is_not_called_shadowed_for_tests_that_were_not_asked_for(project):
    folder = project(
        {
            "tests/test_other.py": "def test_a(): pass\n",
            "budgets.yaml": _budget(
                "budgets:",
                "  - {test: 'tests/**', rss: 2 GiB}",
                "  - {test: 'tests/test_train.py', rss: 2 GiB}",
            ),
        }
    )
    assert _check(folder, "tests/test_train.py").returncode == 0


def test_tests_that_are_deselected_count_as_collected(project):
    done = _check(project({"budgets.yaml": _BUDGETS}), "-k", "nothing_has_this_name")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "4 tests collected, 4 to be measured")


def test_what_pytest_would_write_or_measure_is_left_alone(project, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS")  # which leaves out what is asked for here
    addopts = "[pytest]\naddopts = --junitxml=junit.xml --cov=tests --lf\n"
    folder = project({"pytest.ini": addopts})
    done = _check(folder, "-n", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert not (folder / "junit.xml").exists()
    assert not (folder / ".coverage").exists()


def test_the_budgets_file_of_the_ini_key_is_the_one_that_is_checked(project):
    folder = project(
        {
            "pytest.ini": "[pytest]\ntfmem_budgets = limits.yaml\n",
            "limits.yaml": _budget("budgets:", "  - {test: tests/gone.py, rss: 1}"),
        }
    )
    assert _check(folder).stdout.startswith("limits.yaml:3: no test matches")


def test_another_budgets_file_is_checked_when_it_is_named(project):
    folder = project({"budgets.yaml": _BUDGETS, "new.yaml": _budget("budgets:", "  - {test: tests/gone.py, rss: 1}")})
    assert _check(folder, "--budgets", "new.yaml").stdout.startswith("new.yaml:3: no test matches")


def test_a_file_that_is_wrong_ends_as_pytest_ends(project):
    folder = project({"budgets.yaml": "version: 1\nbudgets:\n  - {test: tests/a.py, rss: 10 megs}\n"})
    of_pytest = subprocess.run(
        [sys.executable, "-m", "pytest"], cwd=folder, capture_output=True, text=True, check=False
    )
    done = _check(folder)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("ERROR: budgets.yaml:3:29: '10 megs' has an unknown unit")
    assert (done.returncode, done.stderr.strip()) == (of_pytest.returncode, of_pytest.stderr.strip())


def test_a_file_that_is_not_there_is_one_line(project):
    done = _check(project(), "--budgets", "gone.yaml")
    assert done.returncode == 4
    assert done.stderr == "ERROR: gone.yaml: this file cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nonesuch"], "pytest could not collect the tests: unrecognized arguments: --nonesuch"),
        (["gone"], "pytest could not collect the tests: file or directory not found: gone"),
        (["-p", "no:tfmem"], "pytest could not collect the tests: the plugin pytest-tfmem is switched off"),
        (["--soon", "x"], "Invalid value for '--soon'"),
        (["--soon", "-1"], "Invalid value for '--soon'"),
    ],
)
def test_arguments_that_are_wrong_are_one_line_with_status_2(project, arguments, said):
    done = _check(project(), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ERROR: {said}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("conftest", "said"),
    [
        ("import nonesuch", "ModuleNotFoundError: No module named 'nonesuch'"),
        ("def pytest_collection(): 1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_conftest_that_fails_is_one_line_with_status_2(project, conftest, said):
    done = _check(project({"conftest.py": conftest}))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_modules_in_the_current_directory_are_found_as_python_m_pytest_finds_them(project):
    folder = project({"helper.py": "", "tests/test_helped.py": "import helper\n\ndef test_a(): pass\n"})
    assert "No module named 'helper'" in _check(folder).stdout
    assert _check(folder, script=False).returncode == 0


def test_what_a_file_says_cannot_act_on_the_terminal(project):
    folder = project({"budgets.yaml": _budget("budgets:", '  - {test: "tests/\\e[2J.py", rss: 1}')})
    done = _check(folder)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\\x1b[2J" in done.stdout


def test_explain_tells_the_winner_and_why_the_others_lost(project):
    folder = project({"budgets.yaml": _BUDGETS})
    done = _check(folder, "--explain", "tests/test_train.py::TestFit::test_fit")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "tests/test_train.py::TestFit::test_fit",
        "  rss: 1.00 GiB, from a marker in tests/test_train.py:8",
        "    not 2.00 GiB, a marker in tests/test_train.py:6: a marker in tests/test_train.py:8 comes first",
        (
            "    not 3.00 GiB, the entry 'tests/test_train.py' in budgets.yaml:6: a marker in tests/test_train.py:8"
            " comes first"
        ),
        "    not 4.00 GiB, the defaults in budgets.yaml:2: a marker in tests/test_train.py:8 comes first",
        "  gpu: no limit on this machine",
        (
            "    not the entry 'tests/test_train.py' in budgets.yaml:7: none of its profiles (lab) is active here,"
            " and it has no default"
        ),
        "  no limit on rss_growth, rss_anon, rss_tree, gpu_tensors, gpu_reserved, gpu_footprint, cpu_tensors, leak",
        "  profiles that hold on this machine: none",
    ]


def test_explain_tells_a_waiver_that_holds_and_what_else_was_asked_for(project):
    lines = ["budgets:", "  - {test: tests/test_train.py, rss: 1 GiB, level: warn, timeout: 60, warmup: 2,"]
    lines += ["     gpu_tensors: true}"]
    waiver = _waiver(_TODAY + dt.timedelta(20)).partition("\n")[2]
    folder = project({"budgets.yaml": _budget(*lines) + waiver})
    done = _check(folder, "--explain", "tests/test_train.py::test_step")
    assert done.stdout.splitlines()[1:4] == [
        "  rss: 1.00 GiB, level warn, from the entry 'tests/test_train.py' in budgets.yaml:3",
        f"    waived up to 2.00 GiB until {_TODAY + dt.timedelta(20)} in budgets.yaml:6: #7, a known leak",
        (
            "  no limit on rss_growth, rss_anon, rss_tree, gpu, gpu_tensors, gpu_reserved, gpu_footprint, cpu_tensors,"
            " leak"
        ),
    ]
    assert done.stdout.splitlines()[4:] == [
        "  gpu_tensors: measured without a limit",
        "  warm-up: 2 calls before the one that is measured",
        "  timeout: 60 s",
    ]


def test_explain_says_that_a_test_is_not_measured(project):
    done = _check(project(), "--explain", "tests/test_train.py::test_step")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].startswith("  is not measured")


def test_explain_says_that_a_marker_of_the_test_is_wrong(project):
    wrong = "import pytest\n\n@pytest.mark.memory_budget(rss='x')\ndef test_a(): pass\n"
    done = _check(project({"tests/test_wrong.py": wrong}), "--explain", "tests/test_wrong.py::test_a")
    assert "wrong, so that the test cannot be run: tests/test_wrong.py:3: " in done.stdout


_IDS = [
    "tests/test_train.py::test_step",
    "tests/test_train.py::TestFit::test_fit",
    "tests/test_train.py::test_sizes[1]",
    "tests/test_train.py::test_sizes[2]",
]


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("tests/test_train.py::test_stpe", "tests/test_train.py::test_step"),
        ("tests/test_trian.py::test_step", "tests/test_train.py::test_step"),
        ("moved/elsewhere.py::test_fit", "tests/test_train.py::TestFit::test_fit"),
        ("tests/test_trian.py::test_gone", "tests/test_train.py"),
        ("tests/test_trian.py", "tests/test_train.py"),
        ("tests/test_train.py::test_size[2]", "tests/test_train.py::test_sizes[2]"),
        ("tests/test_train.py::test_gone", ""),
        ("tests/test_gone.py", ""),
        ("\x1b[2J", ""),
        ("", ""),
    ],
)
def test_the_test_that_was_meant_is_the_one_most_like_it_or_none(wanted, meant):
    assert nearest(wanted, _IDS) == meant


@pytest.mark.parametrize(
    ("nodeid", "hint"),
    [
        ("tests/test_train.py::test_stpe", "did you mean 'tests/test_train.py::test_step'?"),
        ("tests/test_train.py::test_sizes", "name one, such as 'tests/test_train.py::test_sizes[1]'"),
        ("\x1b[2J", "4 tests were collected"),
    ],
)
def test_explain_of_an_id_that_no_test_has_says_which_was_meant(project, nodeid, hint):
    done = _check(project(), "--explain", nodeid)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.rstrip("\n").endswith(hint)
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


def test_the_schema_that_is_printed_is_the_one_that_is_published(tmp_path):
    published = Path(__file__).parents[1] / "pytest_tfmem/budgets/budgets.schema.json"
    done = _check(tmp_path, "--schema")
    assert done.returncode == 0
    assert json.loads(done.stdout) == json.loads(published.read_text())
