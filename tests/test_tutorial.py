"""The tutorial is run from its first line to its last, in a repository of its own, with a real Keras model."""

from __future__ import annotations

import subprocess

import pytest

from pytest_tfmem.measure.nvml import gpu_names
from tests.pages import TUTORIAL, commit, examples_of, git, run, words_of

pytest.importorskip("keras", reason="Keras is not installed: pip install --group test")
EXAMPLES = examples_of(TUTORIAL)
TYPED = [example for example in EXAMPLES if example.commands and example.language in {"bash", "console"}]
# One attempt of each revision in place of five: the same words in a quarter of the time.
LONG = "tfmem gate --base main --all --tfmem-all --json gate.json"
SHORTER = {LONG: f"{LONG} --attempts 1"}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository with the two files with which the tutorial begins."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (tmp_path / "gitconfig").write_text("[user]\n\tname = a\n\temail = a@example.org\n")
    folder = tmp_path / "project"
    folder.mkdir()
    model, test = [example.text for example in EXAMPLES if example.language == "python"]
    (folder / "model.py").write_text(model + "\n")
    (folder / "test_model.py").write_text(test + "\n")
    git(folder, "init", "--initial-branch=main")
    commit(folder)
    return folder


def test_the_tutorial_takes_five_commands():
    after = TUTORIAL.read_text(encoding="utf-8").splitlines().index("## Make it last")
    assert [len(example.commands) for example in TYPED if example.line < after] == [1] * 5


@pytest.mark.long
def test_the_tutorial_ends_where_it_says(repository):
    assert TYPED[0].text.startswith("pip install 'pytest-tfmem[")  # which this machine has behind it
    for example in EXAMPLES:
        if example.language == "diff":
            subprocess.run(["git", "apply"], cwd=repository, input=example.text + "\n", text=True, check=True)
        elif example in TYPED[1:]:
            follow(example, repository)
    assert "Not passed: 1 test regressed." in (repository / "report.html").read_text(encoding="utf-8")
    assert (repository / "budgets.yaml").exists()


def follow(example, folder):
    for command in example.commands:
        result = run(SHORTER.get(command, command), folder)
        assert result.returncode == ("not passed" in example.output), f"{command}\n{result.stdout}\n{result.stderr}"
        if example.output and not gpu_names():  # the page shows a machine without one
            shown, printed = words_of(example.output), words_of(result.stdout)
            assert printed[-len(shown) :] == shown, result.stdout  # the page leaves out how pytest begins
