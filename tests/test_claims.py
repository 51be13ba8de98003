"""The page of claims: it is what the generator makes of what the tests of examples/claims found, each of them on it."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.beside import ADDOPTS

ROOT = Path(__file__).parents[1]
CLAIMS = ROOT / "examples" / "claims"
PAGE = ROOT / "docs" / "claims.md"
MACHINE = {
    "system": "Linux 6.18",
    "processor": "x86_64",
    "cores": 2,
    "python": "3.12.1",
    "packages": {"tensorflow": "2.21.0"},
    "start_method": "spawn",
}

NOT_SO = '''
def test_not_so(claim):
    """One is two."""
    claim.calculated("one", "counted", [1.0])
    assert claim.rows[0].median == 2
    claim.holds(figure="1", why="")
'''


def made_up(**given) -> dict:
    """A result as a test writes it: two things of which one takes twice as much as the other."""
    rows = [
        {"what": "one | <a>", "figure": "rss_growth", "unit": "bytes", "values": [1 << 20, 1 << 20, 3 << 20]},
        {"what": "two", "figure": "rss_growth", "unit": "bytes", "values": [2 << 20]},
        {"what": "two over one", "figure": "ratio", "unit": "times", "values": [2.0], "plotted": False},
    ]
    return {
        "schema": "tfmem.claim/1",
        "id": "made-up",
        "claim": "Two take twice as much as one.",
        "verdict": "holds",
        "figure": "2 times",
        "why": "Two are two.",
        "objections": {"Three:": "were not there."},
        "plot": {"title": "One & two"},
        "rows": rows,
        "file": "test_made_up.py",
        "test": "test_made_up",
        "measured_on": "2026-11-21",
        "seconds": 3.5,
        "machine": MACHINE,
        **given,
    }


def made_of(results: Path, docs: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, CLAIMS / "page.py", results, docs]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def page_of(tmp_path):
    """The folder that the generator fills, for results that are made up."""

    def make(*results: dict) -> Path:
        folder = tmp_path / "results"
        folder.mkdir()
        for result in results:
            folder.joinpath(f"{result['id']}.json").write_text(json.dumps(result), encoding="utf-8")
        made = made_of(folder, tmp_path / "docs")
        assert made.returncode == 0, made.stderr
        return tmp_path / "docs"

    return make


def stated() -> dict[str, tuple[str, str]]:
    """By claim, the file of its test and what its docstring says first."""
    found = {}
    for path in CLAIMS.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
                found[node.name.removeprefix("test_").replace("_", "-")] = (path.name, said)
    return found


def test_every_claim_that_is_tested_has_its_result_and_the_other_way_round():
    results = [json.loads(path.read_text(encoding="utf-8")) for path in CLAIMS.glob("results/*.json")]
    assert {result["id"]: (result["file"], result["claim"]) for result in results} == stated()


def test_every_claim_is_on_the_page_and_in_its_contents():
    text = PAGE.read_text(encoding="utf-8")
    contents, sections = (
        re.findall(shape, text, re.MULTILINE) for shape in (r"^\| \[([\w-]+)\]\(#\1\)", r"^## (\S+)$")
    )
    assert contents == sections == sorted(stated())


def test_the_page_and_its_pictures_are_what_is_made_of_the_results(tmp_path):
    made = made_of(CLAIMS / "results", tmp_path)
    assert made.returncode == 0, made.stderr
    expected = {path.relative_to(tmp_path): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.*")}
    kept = [PAGE, *ROOT.glob("docs/images/claims/*.svg")]
    assert {path.relative_to(ROOT / "docs"): path.read_text(encoding="utf-8") for path in kept} == expected


def test_a_claim_that_is_called_false_says_what_was_tried_against_that():
    results = [json.loads(path.read_text(encoding="utf-8")) for path in CLAIMS.glob("results/*.json")]
    assert [result["id"] for result in results if result["verdict"] == "fails" and not result["objections"]] == []


def test_a_result_becomes_an_entry_and_a_section(page_of):
    text = page_of(made_up()).joinpath("claims.md").read_text(encoding="utf-8")
    assert "| [made-up](#made-up): Two take twice as much as one. | holds | 2 times |" in text
    assert "1 claim: 1 holds, 0 **fail**, 0 *depend*. All together they took 0 minutes to measure." in text
    assert "| two | `rss_growth` | 2.0 MiB | the same | 1 |" in text
    assert "| one &#124; &lt;a> | `rss_growth` | 1.0 MiB | 1.0 MiB to 3.0 MiB | 3 |" in text
    assert "| two over one | ratio | 2 times | the same | 1 |" in text
    assert "- Three: were not there." in text
    assert "Linux 6.18, x86_64, 2 cores; Python 3.12.1, tensorflow 2.21.0" in text


def test_a_page_of_several_machines_says_which_measured_what(page_of):
    on_a_card = made_up(id="on-a-card", machine=MACHINE | {"card": "stand-in"}, seconds=200)
    text = page_of(made_up(), on_a_card).joinpath("claims.md").read_text(encoding="utf-8")
    assert "fresh processes by spawn; no GPU (`made-up`)" in text
    assert "stand-in CUDA libraries: bytes are real there, results are not (`on-a-card`)" in text
    assert "2 claims: 2 hold, 0 **fail**, 0 *depend*. All together they took 3 minutes to measure." in text


def test_what_was_measured_without_a_real_card_says_so_in_the_table_and_in_its_section(page_of):
    on_a_card = made_up(id="on-a-card", machine=MACHINE | {"card": "stand-in"})
    text = page_of(made_up(), on_a_card).joinpath("claims.md").read_text(encoding="utf-8")
    assert "| [on-a-card](#on-a-card): Two take twice as much as one. | holds (stand-in) | 2 times |" in text
    assert "| [made-up](#made-up): Two take twice as much as one. | holds | 2 times |" in text
    assert text.count("on stand-in CUDA libraries: no real card.") == text.count("The claim holds (stand-in): ") == 1


def measured(what: str, **runtime: str) -> dict:
    return {"what": what, "figure": "rss_growth", "unit": "bytes", "values": [1 << 20], "runtime": runtime}


def test_what_all_processes_were_run_with_stands_under_the_table_once(page_of):
    calculated = {"what": "twice", "figure": "ratio", "unit": "times", "values": [2.0]}
    rows = [measured("one", inter_op_threads="1"), measured("two", inter_op_threads="1"), calculated]
    text = page_of(made_up(rows=rows, conditions=["They were counted."])).joinpath("claims.md").read_text("utf-8")
    assert "Conditions: Every process was run with `inter_op_threads=1`. They were counted." in text
    assert "| twice | ratio | 2 times | the same | 1 |\n" in text


def test_what_some_processes_were_run_with_stands_with_their_rows(page_of):
    rows = [measured("one", cpu_allocator="bfc", jit="True"), measured("two")]
    text = page_of(made_up(rows=rows)).joinpath("claims.md").read_text(encoding="utf-8")
    assert "| measured | figure | median | least to most | N | run with |" in text
    assert "| one | `rss_growth` | 1.0 MiB | the same | 1 | `cpu_allocator=bfc`, `jit=True` |" in text
    assert "| two | `rss_growth` | 1.0 MiB | the same | 1 |  |" in text
    assert "Conditions:" not in text


def test_a_processor_that_says_its_model_is_called_by_it(page_of):
    text = page_of(made_up(machine=MACHINE | {"model": "Z80"})).joinpath("claims.md").read_text(encoding="utf-8")
    assert "Linux 6.18, Z80 (x86_64), 2 cores;" in text


def test_of_a_few_kibibytes_a_digit_more_is_shown(page_of):
    row = {"what": "one", "figure": "growth", "unit": "bytes per call", "values": [4588.0, 4700.0, -2000.0, 12_288.0]}
    text = page_of(made_up(rows=[row])).joinpath("claims.md").read_text(encoding="utf-8")
    assert "| one | growth | 4.5 KiB per call | -2.0 KiB per call to 12 KiB per call | 4 |" in text


def test_bars_are_as_long_as_their_medians_and_carry_their_spread(page_of):
    picture = ET.parse(page_of(made_up()).joinpath("images/claims/made-up.svg")).getroot()
    of = "{http://www.w3.org/2000/svg}"
    one, two = (float(bar.get("width")) for bar in picture.findall(f"{of}rect")[1:])
    assert two == pytest.approx(2 * one, abs=0.2)
    assert [text.text for text in picture.findall(f"{of}text")][:2] == ["One & two", "one | <a>"]
    assert len([line for line in picture.findall(f"{of}line") if line.get("class") == "whisker"]) == 3


def test_rows_along_an_axis_are_lines_one_for_each_series(page_of):
    rows = [
        {"what": f"{name} {x}", "figure": "f", "unit": "bytes", "values": [x * 100], "series": name, "x": x}
        for name in ("few", "many")
        for x in (1, 2, 5)
    ]
    docs = page_of(made_up(rows=rows, plot={"title": "Growth", "x": "layers"}))
    text = docs.joinpath("images/claims/made-up.svg").read_text(encoding="utf-8")
    assert (text.count("<polyline"), text.count(">few<"), text.count(">layers<")) == (2, 1, 1)


def test_what_is_no_result_is_named_and_no_page_is_written(tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    results.joinpath("a.json").write_text(json.dumps(made_up(verdict="perhaps")), encoding="utf-8")
    made = made_of(results, tmp_path / "docs")
    assert made.returncode == 1
    assert "a.json: Invalid enum value 'perhaps' - at `$.verdict`" in made.stderr
    assert "Traceback" not in made.stderr
    assert not tmp_path.joinpath("docs").exists()


def run_claims(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As the page says, on a machine without a GPU; results go to `folder`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"CUDA_VISIBLE_DEVICES": "-1", "CLAIMS_RESULTS": str(folder), "PYTEST_ADDOPTS": ADDOPTS}
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)


def test_a_claim_is_found_to_be_what_the_page_says(tmp_path):
    ran = run_claims(tmp_path, "examples/claims/test_calls.py::test_symbolic")
    assert ran.returncode == 0, ran.stdout
    (found,) = [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*.json")]
    kept = json.loads(CLAIMS.joinpath("results", "symbolic.json").read_text(encoding="utf-8"))
    of_both = ("id", "claim", "verdict", "file", "test")
    assert {key: found[key] for key in of_both} == {key: kept[key] for key in of_both}
    assert [row["what"] for row in found["rows"]] == [row["what"] for row in kept["rows"]]
    assert len({value for row in found["rows"] for value in row["values"]}) > 3  # measured, not made up


def test_a_claim_whose_test_fails_is_not_written(tmp_path):
    folder = tmp_path / "claims"
    folder.mkdir()
    for name in ("conftest.py", "claim.py"):
        shutil.copy(CLAIMS / name, folder)
    folder.joinpath("test_one.py").write_text(NOT_SO, encoding="utf-8")
    ran = run_claims(tmp_path / "results", f"--rootdir={folder}", "--no-tfmem", str(folder))
    assert ran.returncode == 1, ran.stdout
    assert not tmp_path.joinpath("results").exists()


def test_the_examples_alone_run_none_of_the_claims():
    ran = run_claims(ROOT, "--collect-only", "-q", "examples")
    assert ran.returncode == 0
    assert "claims" not in ran.stdout
