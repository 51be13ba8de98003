"""`tfmem gate` and what a call keeps: a limit on `leak` is judged in base and head, by the ends of their intervals."""

from __future__ import annotations

import shutil

import pytest

from tests.acceptance.gated import Repository
from tests.beside import ADDOPTS

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

LIMIT = 4096
TEST = """\
import pytest

kept = []


@pytest.mark.memory_budget(leak="4 KiB", calls=10)
def test_keeps():
    kept.append(bytearray(16))
"""


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "temporary").mkdir()
    made = Repository(tmp_path / "leaks", environment={"TMPDIR": str(tmp_path / "temporary")})
    made.path.mkdir()
    made.git("init", "--quiet", "--initial-branch=main")
    made.write("pytest.ini", f"[pytest]\naddopts = {ADDOPTS}\n")
    made.write(".gitignore", ".tfmem/\n__pycache__/\n")
    made.write("test_it.py", TEST)
    made.commit("a test that is called again and again")
    made.branch()
    return made


def leak(decided):
    (found,) = [one for one in decided.result["judged"] if one["figure"] == "leak"]
    return found


def test_a_change_by_which_calls_keep_nothing_more_is_green_without_a_second_run(repository):
    repository.write("README", "nothing that a test would see")
    repository.commit("nothing")
    decided = repository.gate()
    assert (decided.status, decided.result["sessions"], leak(decided)["weight"]) == (0, 1, "fine")
    assert leak(decided)["now_bytes"] < LIMIT


def test_a_change_by_which_calls_keep_more_than_they_may_is_red_also_by_the_limit_alone(repository):
    repository.replace("test_it.py", "bytearray(16)", "bytearray(16 << 10)")
    repository.commit("more")
    decided = repository.gate("--attempts=2")
    found = leak(decided)
    assert (decided.status, found["verdict"], found["limit"]["bytes"]) == (1, "regressed", LIMIT)
    assert found["base_bytes"] < LIMIT < 16 << 10 <= found["head_bytes"] < 17 << 10
    (line,) = [line for line in decided.text.splitlines() if " leak " in line]
    assert line.startswith("regressed  test_it.py::test_keeps  leak")
    assert line.endswith("  4 KiB")
    alone = repository.gate("--attempts=2", "--base-setup=exit 7")
    assert (alone.status, leak(alone)["verdict"], leak(alone)["weight"]) == (1, "over", "fails")
