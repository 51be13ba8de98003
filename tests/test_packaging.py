"""What users install is what is meant: the wheel's contents, its entry points, and the versions that it names."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

from pytest_tfmem.budgets.schema import SCHEMA_FILE

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
BUILD = "from hatchling.build import build_wheel; import sys; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel as hatchling builds it, by the hook that pip calls."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def read(wheel: zipfile.ZipFile, ending: str) -> str:
    (name,) = [name for name in wheel.namelist() if name.endswith(ending)]
    return wheel.read(name).decode()


def test_the_wheel_holds_every_module_and_no_test(wheel):
    modules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("pytest_tfmem/**/*.py")}
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {name for name in inside if name.endswith(".py")} == modules
    assert {name.split("/")[0] for name in inside} == {"pytest_tfmem"}


def test_the_wheel_tells_type_checkers_and_editors(wheel):
    assert "pytest_tfmem/py.typed" in wheel.namelist()
    schema = wheel.read(SCHEMA_FILE.relative_to(ROOT).as_posix())
    assert schema == SCHEMA_FILE.read_bytes()


def test_the_wheel_holds_what_pages_are_made_of(wheel):
    folder = ROOT / "pytest_tfmem" / "page"
    made_of = {
        path.relative_to(ROOT).as_posix() for path in folder.rglob("*.*") if path.suffix in {".j2", ".css", ".js"}
    }
    assert {"templates", "styles", "scripts"} == {path.split("/")[2] for path in made_of}
    assert made_of <= set(wheel.namelist())


def test_the_wheel_carries_its_licence_and_the_readme(wheel):
    assert read(wheel, "licenses/LICENSE") == ROOT.joinpath("LICENSE").read_text(encoding="utf-8")
    metadata = Parser().parsestr(read(wheel, "/METADATA"))
    assert metadata["Name"] == "pytest-tfmem"
    assert metadata.get_payload() == ROOT.joinpath("README.md").read_text(encoding="utf-8")


def test_the_entry_points_are_the_plugin_and_the_command(wheel):
    points = configparser.ConfigParser()
    points.read_string(read(wheel, "/entry_points.txt"))
    assert dict(points["pytest11"]) == {"tfmem": "pytest_tfmem.plugin"}
    assert dict(points["console_scripts"]) == {"tfmem": "pytest_tfmem.cli:main"}


@pytest.mark.parametrize("module", ["pytest_tfmem.plugin", "pytest_tfmem.cli:main"])
def test_what_an_entry_point_names_is_there(module):
    name, _, attribute = module.partition(":")
    found = __import__(name, fromlist=["_"])
    assert not attribute or callable(getattr(found, attribute))


def classified() -> list[str]:
    """The Python versions of the classifiers, such as "3.12"."""
    found = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line) for line in PROJECT["classifiers"]]
    return [match[1] for match in found if match]


def tox_environments() -> list[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "tox.ini")
    return [name.strip() for part in split_outside_braces(config["tox"]["env_list"]) for name in expanded(part)]


def split_outside_braces(text: str) -> list[str]:
    return re.findall(r"(?:[^,{]|\{[^}]*\})+", text)


def expanded(name: str) -> list[str]:
    """`py3{11,12}-x` written out."""
    braces = re.search(r"\{([^}]*)\}", name)
    if not braces:
        return [name]
    return [each for one in braces[1].split(",") for each in expanded(name.replace(braces[0], one, 1))]


def ci_matrix() -> dict[str, str]:
    """The Python version by tox environment."""
    ci = yaml.safe_load(ROOT.joinpath(".github", "workflows", "ci.yml").read_text(encoding="utf-8"))
    return {entry["env"]: entry["python"] for entry in ci["jobs"]["tests"]["strategy"]["matrix"]["include"]}


def version_of(environment: str) -> str | None:
    match = re.match(r"py3(\d+)", environment)
    return f"3.{match[1]}" if match else None


def test_ci_runs_every_environment_of_tox():
    assert sorted(ci_matrix()) == sorted(tox_environments())


def test_every_python_that_is_named_is_tested_and_no_other():
    assert sorted({version_of(name) for name in tox_environments()} - {None}) == classified()
    assert sorted(set(ci_matrix().values())) == classified()
    assert PROJECT["requires-python"] == f">={classified()[0]},<3.{int(classified()[-1][2:]) + 1}"


def test_ci_gives_each_environment_the_python_of_its_name():
    named = {name: version for name, version in ci_matrix().items() if version_of(name)}
    assert {name: version_of(name) for name in named} == named


def test_the_oldest_pytest_that_is_allowed_is_tested():
    (allowed,) = [line.removeprefix("pytest>=") for line in PROJECT["dependencies"] if line.startswith("pytest>=")]
    assert f"oldest: pytest=={allowed}" in ROOT.joinpath("tox.ini").read_text(encoding="utf-8")
