"""The workflow that comments: its scripts, on a stand-in for `gh` that notes its calls and answers from files."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import zipfile
from types import SimpleNamespace

import msgspec
import pytest

from pytest_tfmem.gate.result import GateResult, Judged
from tests.acceptance.on_github import Runner

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq, which does what gh's --jq does")

GH = """\
#!/usr/bin/env bash
set -euo pipefail
shift
method=GET path="" jq=""
while [ $# -gt 0 ]; do
  case $1 in
    --method) method=$2; shift 2 ;;
    --jq) jq=$2; shift 2 ;;
    --raw-field) shift 2 ;;
    --field) [ "${2%%=*}" = body ] && cp "${2#body=@}" "$ANSWERS/body"; shift 2 ;;
    --silent | --paginate) shift ;;
    *) path=$1; shift ;;
  esac
done
printf '%s %s\\n' "$method" "$path" >> "$ANSWERS/calls"
[ "$method" = GET ] || exit 0
answer="$ANSWERS/${path//\\//_}"
if [ -n "$jq" ]; then jq --raw-output "$jq" "$answer"; else cat "$answer"; fi
"""
ISSUE = "repos/o/r/issues/12/comments"
HOSTILE = "tests/t.py::test[<img src=x>@team [a](b) | `c` <!-- tfmem --> https://x.example]"
BOT = {"login": "github-actions[bot]"}
GREW = Judged(nodeid=HOSTILE, figure="rss_anon", verdict="regressed", weight="fails", base_bytes=9, head_bytes=99)
RESULT = GateResult(
    status=1,
    sentence="not passed: 1 test regressed",
    base="origin/main",
    head="a" * 40,
    merge_base="b" * 40,
    tests=1,
    runs=6,
    sessions=3,
    decided=1,
    plan=None,
    judged=[
        Judged(nodeid=HOSTILE, figure="rss_anon", verdict="regressed", weight="fails", base_bytes=9, head_bytes=99)
    ],
)


def packed(**members):
    """An artifact with these members: `gate` is gate.json, others are called as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr({"gate": "gate.json", "run": "run.jsonl"}.get(name, name), content)
    return buffer.getvalue()


def pull(number, *, sha="a" * 40, repository="fork/r"):
    return {"number": number, "head": {"sha": sha, "repo": {"full_name": repository}}}


def artifact(number, *, name="tfmem", size=1000, created="2026-11-21T10:00:00Z", expired=False):
    return {"id": number, "name": name, "size_in_bytes": size, "created_at": created, "expired": expired}


@pytest.fixture
def comment(tmp_path):
    """Does the workflow's job with what GitHub answers, and says what it was asked and what was written."""

    def do(
        *, pulls=(), artifacts=(), comments=(), archive=b"", branch="change", event="pull_request", temporary="temp"
    ):
        answers = tmp_path / f"answers-{temporary}"
        answers.mkdir()
        (answers / "gh").write_text(GH, encoding="utf-8")
        (answers / "gh").chmod(0o755)
        for path, answer in {
            "repos/o/r/pulls": [*pulls],
            "repos/o/r/actions/runs/77/artifacts": {"artifacts": [*artifacts]},
            ISSUE: [*comments],
        }.items():
            (answers / path.replace("/", "_")).write_text(json.dumps(answer), encoding="utf-8")
        (answers / "repos_o_r_actions_artifacts_5_zip").write_bytes(archive)
        run = {"event": event, "conclusion": "failure", "id": 77, "head_sha": "a" * 40, "head_branch": branch}
        run |= {"head_repository": {"full_name": "fork/r", "owner": {"login": "fork"}}}
        runner = Runner(
            tmp_path,
            tmp_path / temporary,
            environment={
                **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
                "STUBS": str(answers),
                "ANSWERS": str(answers),
                "GITHUB_REPOSITORY": "o/r",
                "GITHUB_SERVER_URL": "https://github.example",
            },
            contexts={"github": {"token": "t", "event": {"workflow_run": run}}},
        )
        done = runner.job("tfmem-comment.yml", "comment", leave_out="pip install")
        calls = (answers / "calls").read_text(encoding="utf-8").splitlines() if (answers / "calls").exists() else []
        body = (answers / "body").read_text(encoding="utf-8") if (answers / "body").exists() else ""
        return SimpleNamespace(done=done, calls=calls, written=[one for one in calls if "GET" not in one], body=body)

    return do


def gate(result=RESULT):
    return packed(gate=msgspec.json.encode(result))


def test_the_verdict_is_a_comment_on_the_pull_request_and_then_the_same_comment_again(comment):
    others = [
        {"id": 1, "user": {"login": "someone"}, "body": "<!-- tfmem -->\nI am it"},
        {"id": 2, "user": BOT, "body": "of another workflow, which quotes <!-- tfmem -->"},
    ]
    of_it = {"pulls": [pull(12)], "artifacts": [artifact(5)], "archive": gate()}
    first = comment(**of_it, comments=others)
    assert (first.done.status, first.written) == (0, [f"POST {ISSUE}"]), first.done.log
    assert first.body.startswith("<!-- tfmem -->\n")
    assert "regressed" in first.body
    assert "(https://github.example/o/r/actions/runs/77)" in first.body
    ours = {"id": 34, "user": BOT, "body": first.body}
    again = comment(**of_it, comments=[*others, ours, ours | {"id": 35}], temporary="again")
    assert (again.written, again.body) == (["PATCH repos/o/r/issues/comments/34"], first.body)


def test_what_a_test_is_called_is_no_markup_in_the_comment(comment):
    body = comment(pulls=[pull(12)], artifacts=[artifact(5)], archive=gate()).body
    outside = re.sub(r"(`+).*?(?<!`)\1(?!`)", "", body.replace("<!-- tfmem -->\n", ""))  # of code spans
    assert HOSTILE[:20] in body
    assert [one for one in ("<img", "@team", "](b)", "<!--", "x.example") if one in outside] == []


@pytest.mark.parametrize(
    "pulls",
    [
        [],
        [pull(12, sha="c" * 40)],  # it has a newer commit
        [pull(12, repository="o/r")],  # a branch of the same name, of another repository
        [pull(12), pull(13)],
        [pull("12/../13")],
        [pull("1\n2")],
    ],
    ids=["none", "moved on", "of another", "two", "a path", "two lines"],
)
def test_without_one_pull_request_that_has_this_head_nothing_is_written(comment, pulls):
    found = comment(pulls=pulls, artifacts=[artifact(5)], archive=gate())
    assert (found.done.status, found.calls) == (0, ["GET repos/o/r/pulls"])
    assert found.done.summary == "There is no comment: this commit is not the head of one open pull request.\n"


def test_a_push_has_no_comment(comment):
    assert comment(event="push", pulls=[pull(12)]).calls == []


def test_no_branch_is_run_by_a_shell(comment, tmp_path):
    name = f"$(touch${{IFS}}{tmp_path}/mark)`touch${{IFS}}{tmp_path}/mark`"
    assert comment(pulls=[pull(12)], branch=name).done.status == 0
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("artifacts", "archive"),
    [
        ([], b""),
        ([artifact(5, name="other"), artifact(5, expired=True), artifact(5, size=20_000_001)], gate()),
        ([artifact("5/../6")], gate()),
        ([artifact(5)], b"no archive"),
        ([artifact(5)], packed(gate="{}")),
        ([artifact(5)], packed(gate="[" * 100_000)),
        ([artifact(5)], packed(**{"../gate.json": "x", "/gate.json": "x", "dir/gate.json": "x"})),
        ([artifact(5)], packed(gate=msgspec.json.encode(RESULT) + b" " * 50_000_000)),
        ([artifact(5)], packed(run="nothing that is a run", gate=msgspec.json.encode(RESULT))),
    ],
    ids=["none", "others", "a path", "no archive", "no result", "deep", "other paths", "a bomb", "no run"],
)
def test_where_there_is_no_result_the_comment_says_that(comment, tmp_path, artifacts, archive):
    before = {path.name for path in tmp_path.iterdir()}
    found = comment(pulls=[pull(12)], artifacts=artifacts, archive=archive)
    assert (found.done.status, found.written) == (0, [f"POST {ISSUE}"]), found.done.log
    assert "The memory of the tests is not decided: there is no result that can be read." in found.body
    assert {path.name for path in tmp_path.iterdir()} - before == {"temp", "answers-temp"}
    assert not os.path.lexists("/gate.json")


def test_the_newest_artifact_counts(comment):
    older = artifact(6, created="2026-11-21T09:00:00Z")
    found = comment(pulls=[pull(12)], artifacts=[artifact(5), older], archive=gate())
    assert "GET repos/o/r/actions/artifacts/5/zip" in found.calls
