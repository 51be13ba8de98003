"""What README and docs say is true: their examples run, their tables hold what the code declares, their links lead."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import tomllib
from typing import TYPE_CHECKING, get_args
from xml.etree import ElementTree as ET

import msgspec
import pytest
import yaml
from click import Context
from jsonschema import Draft202012Validator

from pytest_tfmem import settings
from pytest_tfmem.budgets import written
from pytest_tfmem.budgets.file import load_budgets
from pytest_tfmem.budgets.schema import budgets_schema
from pytest_tfmem.cli import COMMANDS, tfmem
from pytest_tfmem.explanations import Explanation, Holder
from pytest_tfmem.figures import (
    FIGURES,
    Limit,
    MeasuredFunction,
    Measurement,
    Reading,
    Regression,
    Section,
    Timeline,
    Verdict,
    Waiver,
)
from pytest_tfmem.history.environment import Environment
from pytest_tfmem.history.rundocument import Run, RunDocument, read_run_document
from pytest_tfmem.isolate.runtime import ARGUMENTS
from pytest_tfmem.isolate.started import TOKEN_VARIABLE
from pytest_tfmem.leaks import Findings, Kept, Leak
from pytest_tfmem.measure.host import peak_error_bytes
from pytest_tfmem.measure.marks import Marks, PhaseMarks
from pytest_tfmem.measure.nvml import gpu_names
from pytest_tfmem.measure.readings import phase_figures
from pytest_tfmem.settings import options
from pytest_tfmem.units import parse_size
from tests.beside import WITHOUT
from tests.pages import ROOT, TUTORIAL, commit, examples_of, git, prose, run, words_of

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(ROOT.glob("docs/**/*.md"))

THE_SUITE = "python -m pytest"  # what runs this test
THE_SUITE_ON_ALL_CORES = "python -m pytest -n auto --dist worksteal"
NOT_RUN = {
    # Installing is what the reader's machine is for; this one has it behind it.
    "python3 -m venv .venv": "makes the environment",
    "python -m pip install --quiet '.[tensorflow-cpu]'": "installs",
    "python -m pip install --quiet --upgrade pip": "installs",
    "python -m pip install --quiet --editable . --group test": "installs",
    "pip install 'pytest-tfmem[explain]'": "installs",
    "pip install 'pytest-tfmem[tensorflow-gpu]'": "installs",
    "pip install 'pytest-tfmem[tensorflow-cpu]'": "installs",
    "pip install pytest-tfmem": "installs",
    "pip install 'pytest-tfmem[sql]'": "installs",
    "pip install tox": "installs",
    THE_SUITE: "it is what runs this",
    THE_SUITE_ON_ALL_CORES: "the same",
    "tox -p auto": "the suite, many times over",
    "tox run -e gpu": "it needs a GPU",
    "tox run -e docs": "the test of the site does it",
    "bencher run --project my-project --testbed ci-t4 --adapter json --file memory.json": "it needs an account",
}
A_SMALL_TEST = """
import pytest

@pytest.mark.memory_budget(rss_growth="64 MiB")
def test_step():
    assert len(bytearray(8 << 20)) == 8 << 20
"""
A_TEST_THAT_GREW = """
import pytest

@pytest.mark.memory_budget(rss_growth="400 MiB")
def test_train_step():
    assert len(bytearray(b"x") * ({} << 20)) == {} << 20

@pytest.mark.memory_budget(rss_growth="64 MiB")
def test_load():
    assert len(bytearray(b"x") * (32 << 20)) == 32 << 20
"""


EXAMPLES = [example for page in PAGES for example in examples_of(page)]


def of_language(*languages: str) -> pytest.MarkDecorator:
    chosen = [example for example in EXAMPLES if example.language in languages and example.page != TUTORIAL]
    return pytest.mark.parametrize("example", chosen, ids=str)


# --- examples -----------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    """A reader's project: one small test, and a budget for it."""
    folder = tmp_path / "project"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "test_train.py").write_text(A_SMALL_TEST)
    shutil.copy(ROOT / "examples" / "train.py", folder)
    (folder / "budgets.yaml").write_text("version: 1\nbudgets:\n  - {test: tests/test_train.py, rss: 1 GiB}\n")
    git(folder, "init", "--initial-branch=main")
    for _ in range(2):
        commit(folder)
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD~1")
    return folder


@pytest.fixture
def checkout(tmp_path):
    """This repository as a reader of the README has it, with one small test in place of its own."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("budgets.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_train.py").write_text(A_SMALL_TEST)
    return folder


def let_a_test_grow(folder: Path) -> None:
    """Make of the folder a branch whose commit made a test grow, after six runs on the main branch."""
    (folder / "budgets.yaml").unlink()  # whose entries are for other tests
    test = folder / "tests" / "test_train.py"
    test.write_text(A_TEST_THAT_GREW.replace("{}", "200"))
    git(folder, "init", "--initial-branch=main")
    (folder / ".git" / "info" / "exclude").write_text("__pycache__/\n")  # else a run changes what is committed
    commit(folder)
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(folder, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    assert run("pytest", folder).returncode == 0
    (recorded,) = (folder / ".tfmem" / "runs").glob("*.jsonl")
    first, *lines = recorded.read_text(encoding="utf-8").splitlines()
    for day in range(1, 6):
        header = json.loads(first)
        header["run"] |= {"id": f"{day:032x}", "started_at": f"2026-11-{day:02}T08:00:00Z"}
        recorded.with_name(f"earlier-{day}.jsonl").write_text("\n".join([json.dumps(header), *lines, ""]))
    git(folder, "switch", "--create", "wider")
    test.write_text(A_TEST_THAT_GREW.replace("{}", "208"))
    commit(folder)


def is_run(command: str) -> bool:
    return command.replace(".venv/bin/", "") not in NOT_RUN


def test_every_example_is_of_a_kind_that_is_tested():
    kinds = {"python", "yaml", "console", "bash", "toml", "json", "diff"} | {"{include}", "{toctree}"}  # the site's own
    assert [(str(example), example.language) for example in EXAMPLES if example.language not in kinds] == []


@pytest.mark.long
def test_python_examples_pass_as_tests(pytester):
    """In one session, each in a file of its own: most of them import TensorFlow."""
    examples = {
        f"test_{example.page.stem.replace('-', '_')}_{example.line}".lower(): example.text
        for example in EXAMPLES
        if example.language == "python" and example.page != TUTORIAL
    }
    pytester.makepyfile(**examples)
    result = pytester.runpytest_subprocess("--strict-markers", "--junitxml=junit.xml", *WITHOUT)
    assert result.ret == 0
    cases = list(ET.parse(pytester.path / "junit.xml").getroot().iter("testcase"))
    for name, text in examples.items():
        found = [case for case in cases if case.get("classname") == name]
        assert len(found) == text.count("\ndef test_"), name
        assert [
            case for case in found for skipped in case.iter("skipped") if skipped.get("type") != "pytest.xfail"
        ] == []
        properties = {one.get("name") for case in found for one in case.iter("property")}
        assert "tfmem.rss_bytes" in properties, f"no test of the example was measured: {name}"


@of_language("yaml")
def test_yaml_examples_are_budgets_or_workflows(example, tmp_path):
    if "\njobs:\n" in example.text:
        assert_is_workflow(yaml.load(example.text, Loader=yaml.BaseLoader))
        return
    if "  script:\n" in example.text:
        assert_is_job_of_gitlab(yaml.load(example.text, Loader=yaml.BaseLoader))
        return
    path = tmp_path / "budgets.yaml"
    path.write_text(example.text, encoding="utf-8")
    assert load_budgets(path, shown=str(example)).entries
    Draft202012Validator(budgets_schema()).validate(yaml.load(example.text, Loader=yaml.BaseLoader) | {"version": 1})


def assert_is_workflow(workflow: dict) -> None:
    """With no more rights than it needs, actions by their full hash, and commands that there are."""
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    for step in steps:
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"(benchmark-)?actions?/[\w/-]+@[0-9a-f]{40}|\./\.github/actions/tfmem", step["uses"])
        elif step["run"].startswith("tfmem "):
            assert_is_understood(shlex.split(step["run"])[1:])


def assert_is_job_of_gitlab(jobs: dict) -> None:
    """With commands that there are, which write what the job then uploads."""
    for job in jobs.values():
        for command in job["script"]:
            if command.startswith("tfmem "):
                assert_is_understood(shlex.split(command)[1:])
        assert all(any(name in command for command in job["script"]) for name in job["artifacts"]["reports"].values())


def assert_is_understood(arguments: list[str]) -> None:
    """The command `tfmem` has these options."""
    command = tfmem.get_command(Context(tfmem), arguments[0])
    assert command is not None, arguments
    command.make_context(arguments[0], arguments[1:])


@of_language("bash", "console")
def test_commands_do_what_the_page_says(example, project, checkout):
    folder = checkout if example.page.name == "README.md" else project
    if "suspect" in example.output or "regressed" in example.output:
        let_a_test_grow(folder)
    if "tfmem export" in example.text:
        assert run("pytest", folder).returncode == 0
    for command in filter(is_run, example.commands):
        result = run(command, folder)
        fails = "FAILED" in example.output or "regressed" in example.output
        assert result.returncode == fails, f"{command}\n{result.stdout}\n{result.stderr}"
        if example.output and not gpu_names():  # the page shows a machine without one
            said = result.stdout + told_of_memory(result.stderr)
            assert words_of(said) == words_of(example.output), said


def told_of_memory(stderr: str) -> str:
    """What `tfmem run` says there, behind what TensorFlow does."""
    return "".join(stderr.partition("\nmemory of ")[1:])


def test_commands_that_a_page_only_speaks_of_are_understood():
    """Those with what a page cannot know, such as a file's name, stand in the text, in blocks without a language."""
    spoken = [
        line for page in PAGES for line in re.findall(r"^ {4,}tfmem (\w.*?)(?: >.*)?$", prose(page), flags=re.MULTILINE)
    ]
    assert spoken
    for line in spoken:
        assert_is_understood(shlex.split(line))


def test_what_is_not_run_because_it_installs_can_be_installed():
    project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8"))
    for command in NOT_RUN:
        assert set(re.findall(r"\[(.+)\]", command)) <= set(project["project"]["optional-dependencies"])
        assert set(re.findall(r"--group (\S+)", command)) <= set(project["dependency-groups"])


def test_environments_of_tox_that_pages_name_are_there():
    sections = ROOT.joinpath("tox.ini").read_text(encoding="utf-8")
    named = {name for page in PAGES for name in re.findall(r"tox run -e (\w+)", page.read_text(encoding="utf-8"))}
    assert named
    assert [name for name in named if f"[testenv:{name}]" not in sections] == []


def test_commands_that_are_not_run_are_still_in_the_pages():
    typed = {command.replace(".venv/bin/", "") for example in EXAMPLES for command in example.commands}
    assert set(NOT_RUN) - typed == set()


@of_language("toml")
def test_settings_are_taken_by_pytest_and_by_coverage(example, pytester):
    tool = tomllib.loads(example.text)["tool"]
    pytester.makepyprojecttoml(example.text)
    named = tool.get("pytest", {}).get("ini_options", {}).get("tfmem_budgets")
    if named:
        path = pytester.path / named
        path.parent.mkdir(parents=True)
        path.write_text("version: 1\n")
    result = pytester.runpytest_subprocess("--strict-config", "-p", "no:randomly", "-p", "no:asyncio")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    ran = pytester.run(sys.executable, "-m", "coverage", "run", "-m", "this")  # which an unknown value would stop
    assert ran.ret == 0


@of_language("json")
def test_run_documents_are_read(example, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(example.text, encoding="utf-8")
    (test,) = read_run_document(path).tests
    assert set(test.verdicts) == set(test.limits)


# --- what must be the same in two places --------------------------------------------------------------------------


def test_the_second_command_of_the_readme_is_what_ci_runs():
    script = ROOT.joinpath(".ci", "run").read_text(encoding="utf-8").splitlines()
    (command,) = [line for line in script if line.startswith("python3 -m venv")]
    readme = ROOT.joinpath("README.md").read_text(encoding="utf-8").splitlines()
    set_up = [line for line in readme if "venv .venv" in line]
    assert len(set_up) == 2
    assert set_up[1] == command


def links() -> list:
    found = [(page, target) for page in PAGES for target in re.findall(r"\]\(([^)\s]+)\)", prose(page))]
    return [pytest.param(page, target, id=f"{page.name}-{target}") for page, target in found if "://" not in target]


@pytest.mark.parametrize(("page", "target"), links())
def test_links_lead_somewhere(page, target):
    path, _, anchor = target.partition("#")
    found = (page.parent / path) if path else page
    assert found.exists()
    if anchor:
        assert anchor in anchors(found)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_contents_of_the_site():
    index = ROOT / "docs" / "index.md"
    contents = [
        line for example in examples_of(index) if example.language == "{toctree}" for line in example.text.splitlines()
    ]
    pages = {page.relative_to(index.parent).with_suffix("").as_posix() for page in index.parent.glob("**/*.md")}
    assert sorted(line for line in contents if line and not line.startswith(":")) == sorted(pages - {"index"})


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, each a list of its cells, without the head."""
    below = re.split(rf"^#+ {re.escape(heading)}$", prose(ROOT / page), flags=re.MULTILINE)[1]
    rows = re.search(r"(?:^\|.*\|$\n)+", below, flags=re.MULTILINE)
    assert rows, f"{page} has no table below {heading!r}"
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[0].splitlines()[2:]]


def test_tables_are_read_by_their_cells():
    assert table("docs/measuring.md", "Measuring")[0] == ["`exact`", "the counter is exact"]


def names(cells: list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def first_names(page: str, heading: str) -> list[str]:
    return names([row[0] for row in table(page, heading)])


def of_row(page: str, heading: str, row: str) -> list[str]:
    """What the row of this name lists, without what it says in brackets."""
    (cells,) = [cells for cells in table(page, heading) if cells[0].strip("`") == row]
    return names([re.sub(r"\([^)]*\)", "", cells[1])])


@pytest.mark.parametrize(("page", "heading"), [("README.md", "What is measured"), ("docs/reference.md", "Figures")])
def test_the_tables_of_figures_have_every_figure(page, heading):
    assert first_names(page, heading) == list(FIGURES)


class Declared:
    """Stands in for pytest's parser and keeps what is declared to it."""

    def __init__(self):
        self.options = {}
        self.inis = {}

    def getgroup(self, *_):
        return self

    def addoption(self, option, *, dest, default, help, metavar=None, **_):  # noqa: A002  pytest's name
        assert default is None
        self.options[dest] = f"{option}={metavar}" if metavar else option

    def addini(self, name, help, *, default, **_):  # noqa: A002  pytest's name
        found = re.search(r"\(default: (.*)\)$", help)
        self.inis[name] = found[1] if found else str(default).lower()


def test_the_table_of_options_is_what_is_declared():
    declared = Declared()
    options.declare(declared)
    expected = [
        (declared.options.get(name, ""), name, default.replace("none", "off") if is_switch(name) else default)
        for name, default in declared.inis.items()
    ]
    shown = [("".join(names([option])), *names([ini]), default) for option, ini, default, _ in options_table()]
    assert shown == expected


def options_table() -> list[list[str]]:
    return [row if len(row) == 4 else ["", *row] for row in table("docs/reference.md", "Options")]


def is_switch(name: str) -> bool:
    return name in {"tfmem_all", "no_tfmem"}


def test_the_defaults_of_the_table_hold(pytester):
    found = settings.read_settings(pytester.parseconfig("-p", "no:asyncio"))
    assert (found.budgets, found.allocator, found.timeout_seconds, found.json) == (None, None, None, None)
    assert (found.gpu, found.interval_seconds, found.measure_all, found.in_process) == ("auto", 0.02, False, "")
    assert (found.explain, found.lease_dir, found.junit_properties) == ("off", None, True)


def fields(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("the document", ["schema", *fields(RunDocument)]),
        ("run", fields(Run)),
        ("a limit", fields(Limit)),
        ("a waiver", fields(Waiver)),
        ("a regression", fields(Regression)),
        ("timeline", fields(Timeline)),
        ("a section", fields(Section)),
        ("environment", fields(Environment)),
        ("a test", fields(Measurement)),
        ("a reading", [*fields(Reading), "not_measured"]),
        ("a leak", fields(Leak)),
        ("a part", fields(Kept)),
        ("an explanation", fields(Explanation)),
        ("a holder", fields(Holder)),
        ("a measured function", fields(MeasuredFunction)),
        ("findings", fields(Findings)),
    ],
)
def test_the_fields_of_the_run_document_are_listed(row, expected):
    assert sorted(of_row("docs/reference.md", "The run document", row)) == sorted(expected)


def test_the_fields_of_a_phase_are_listed():
    marks = Marks(peak=1, rss=1, file=0, shmem=0, error=0, exact_now=True, since_reset=True, source="")
    phase = phase_figures({"call": PhaseMarks(start=marks, end=marks, seconds=1.0)})["call"]
    assert of_row("docs/reference.md", "The run document", "a phase") == list(phase)


def test_the_arguments_of_the_markers_are_listed():
    assert first_names("docs/reference.md", "tf_runtime") == list(ARGUMENTS)
    assert first_names("docs/reference.md", "memory_budget") == ["level", "timeout", "gpu_tensors", "warmup", "calls"]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("the file", written.WrittenFile),
        ("defaults", written.WrittenDefaults),
        ("a budget", written.WrittenEntry),
        ("a limit", written.WrittenLimit),
        ("a waiver", written.WrittenWaiver),
    ],
)
def test_the_keys_of_budgets_yaml_are_listed(row, kind):
    assert of_row("docs/reference.md", "budgets.yaml", row) == [key for key in written.keys(kind) if key not in FIGURES]


def test_the_key_of_a_profile_is_listed():
    # Of a name with a figure, which is why it is not among those above.
    assert of_row("docs/reference.md", "budgets.yaml", "a profile") == written.keys(written.WrittenProfile)


def test_every_verdict_is_explained():
    assert sorted(first_names("docs/reference.md", "Verdicts")) == sorted(get_args(Verdict))


def test_every_command_is_in_the_reference():
    shown = {name.split()[1] for name in first_names("docs/reference.md", "The command tfmem")}
    assert shown == set(COMMANDS)


def test_the_variable_that_marks_a_tests_process_is_named_as_it_is():
    assert TOKEN_VARIABLE in first_names("docs/reference.md", "Environment variables")


def test_the_largest_errors_are_those_that_readings_carry():
    shown = {int(cpus): parse_size(size) for cpus, size in table("docs/measuring.md", "Host memory on Linux")}
    assert shown == {cpus: peak_error_bytes(cpus, cpus, 4096) for cpus in shown}


def steps() -> list[str]:
    text = prose(ROOT / "docs" / "how-it-works.md")
    return re.findall(r"^\d+\. .*?(?=^\d+\. |^\S|\Z)", text, flags=re.DOTALL | re.MULTILINE)


def test_every_step_of_a_tests_life_names_a_module_that_exists():
    assert len(steps()) == 21
    for step in steps():
        modules = re.findall(r"`((?:\w+/)?\w+\.py)`", step)
        elsewhere = {"conftest.py"}
        assert set(modules) - elsewhere, step
        assert [name for name in modules if not (ROOT / "pytest_tfmem" / name).exists()] == []


def test_no_page_speaks_of_what_is_not_there():
    for page in PAGES:
        for path in re.findall(r"`((?:pytest_tfmem|tests|examples|benchmarks|docs)/[\w/.-]+)`", prose(page)):
            assert (ROOT / path).exists(), f"{page.name} names {path}"
