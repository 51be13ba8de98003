"""The workflows and the action are what GitHub and GitLab read, and give nobody more than is needed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click import Context

from pytest_tfmem.cli import tfmem

ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "tfmem" / "action.yml"
WORKFLOWS = sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("docs/workflows/*.yml")])
GITLAB = [path for path in WORKFLOWS if path.name.startswith("gitlab")]
GITHUB = [path for path in WORKFLOWS if path not in GITLAB]
PINNED = re.compile(r"\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\.github/actions/\S+")


def read(path):
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def steps_of(path):
    written = read(path)
    jobs = written["jobs"].values() if "jobs" in written else [written["runs"]]
    return [step for job in jobs for step in job["steps"]]


def check(schema, *paths):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, paths)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_they_are_of_the_forms_that_the_services_read():
    pytest.importorskip("check_jsonschema")
    check("github-workflows", *GITHUB)
    check("github-actions", ACTION)
    check("gitlab-ci", *GITLAB)


@pytest.mark.parametrize("path", [ACTION, *GITHUB], ids=lambda path: path.name)
class TestOfGitHub:
    def test_every_action_is_pinned_by_its_hash_and_names_its_version(self, path):
        used = re.findall(r"^\s+(?:- )?uses: (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert [one for one in used if not PINNED.fullmatch(one)] == []

    def test_one_action_is_the_same_everywhere(self, path):
        everywhere = "".join(one.read_text(encoding="utf-8") for one in [ACTION, *GITHUB])
        for name in re.findall(r"uses: ([^@\s]+)@", path.read_text(encoding="utf-8")):
            assert len(set(re.findall(rf"uses: {re.escape(name)}@(.*)", everywhere))) == 1

    def test_no_expression_stands_in_a_script(self, path):
        assert [step["run"] for step in steps_of(path) if "${{" in step.get("run", "")] == []

    def test_scripts_of_several_lines_end_at_the_first_fault(self, path):
        several = [step["run"] for step in steps_of(path) if "\n" in step.get("run", "").strip()]
        assert [run for run in several if not run.startswith("set -euo pipefail\n")] == []

    def test_commands_of_ours_are_there(self, path):
        for line in re.findall(r"-m pytest_tfmem ([a-z]+)", path.read_text(encoding="utf-8")):
            assert tfmem.get_command(Context(tfmem), shlex.split(line)[0]) is not None


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.name)
def test_no_checkout_leaves_its_token_behind(path):
    checkouts = [step for step in steps_of(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert [one for one in checkouts if one["with"]["persist-credentials"] != "false"] == []


def test_what_measures_may_only_read_and_what_writes_runs_nothing_of_the_change():
    rights = {path.name: read(path)["permissions"] for path in GITHUB}
    assert rights.pop("tfmem-comment.yml") == {}
    assert set(map(str, rights.values())) == {str({"contents": "read"})}
    (job,) = read(ROOT / "docs/workflows/tfmem-comment.yml")["jobs"].values()
    assert job["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step] == ["actions/setup-python"]


def test_the_workflow_that_comments_waits_for_the_one_that_measures():
    measures, comments = (read(ROOT / "docs" / "workflows" / f"tfmem-{name}.yml") for name in ("measure", "comment"))
    assert comments["on"] == {"workflow_run": {"workflows": [measures["name"]], "types": ["completed"]}}
