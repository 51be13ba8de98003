"""The steps of an action or a workflow's job, done as GitHub's runner does them: the scripts for real, by bash.

Of the actions that steps use, uploading is done (into `artifacts`), and the others are noted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "tfmem" / "action.yml"
WORKFLOWS = ROOT / "docs" / "workflows"
_HERE = str(Path(sys.executable).parent)
_TOKEN = re.compile(r"'(?:[^']|'')*'|[a-z_]+(?:\.[\w-]+)+|[a-z]+\(\)|&&|\|\||!=|!")
_WORDS = {"&&": " and ", "||": " or ", "!": " not ", "!=": " != ", "cancelled()": "False", "always()": "True"}


@dataclass
class Done:
    """What came of the steps. `status`: that of the first that failed."""

    status: int = 0
    log: str = ""
    summary: str = ""
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    artifacts: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def commands(self) -> list[str]:
        """What the runner takes for its commands: not what stands where they are stopped."""
        found, stopped = [], ""
        for line in self.log.splitlines():
            command = re.match(r"::([\w-]+)[^:]*::", line)
            if stopped:
                stopped = "" if line == f"::{stopped}::" else stopped
            elif command and command[1] == "stop-commands":
                stopped = line.removeprefix("::stop-commands::")
            elif command:
                found.append(line)
        return found


class Runner:
    """`contexts`: what expressions may name, such as github. `environment`: what each script has beside its own."""

    def __init__(self, workspace: Path, temporary: Path, *, environment: dict[str, str], contexts: dict[str, object]):
        temporary.mkdir(parents=True)
        self.workspace = workspace
        self.temporary = temporary
        self.contexts = {"runner": {"temp": str(temporary)}, **contexts}
        self.environment = environment | {
            "PATH": os.pathsep.join(filter(None, [environment.get("STUBS"), _HERE, os.environ["PATH"]])),
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(workspace),
            "RUNNER_TEMP": str(temporary),
        }

    def action(self, **inputs: str) -> Done:
        """The action, with these inputs (`_` for `-`) in place of its defaults."""
        written = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert set(given) <= set(written["inputs"])
        known = {name: one["default"] for name, one in written["inputs"].items()} | given
        done = self._do(written["runs"]["steps"], {**self.contexts, "inputs": known})
        of_action = {name: self._filled(one["value"], self._seen) for name, one in written["outputs"].items()}
        return _with(done, "action", of_action)

    def job(self, workflow: str, job: str, *, leave_out: str) -> Done:
        """A job of a workflow, without the scripts that have `leave_out` in them."""
        written = yaml.safe_load(WORKFLOWS.joinpath(workflow).read_text(encoding="utf-8"))["jobs"][job]
        contexts = {**self.contexts, "matrix": {name: ones[0] for name, ones in written["strategy"]["matrix"].items()}}
        self.environment |= {name: self._filled(value, contexts) for name, value in written.get("env", {}).items()}
        if not self._evaluated(written["if"], contexts):
            return Done()
        return self._do([step for step in written["steps"] if leave_out not in step.get("run", "")], contexts)

    def _do(self, steps: list[dict], contexts: dict[str, object]) -> Done:
        done = Done()
        self._seen = {**contexts, "steps": {}}
        for number, step in enumerate(steps):
            asked = str(step.get("if", "")).removeprefix("${{").removesuffix("}}")
            if done.status and "cancelled()" not in asked:
                continue
            if asked and not self._evaluated(asked, self._seen):
                continue
            if "uses" in step:
                self._use(step, done)
            else:
                self._script(step, done, self.temporary / f"{number}-{len(list(self.temporary.iterdir()))}")
        return done

    def _use(self, step: dict, done: Done) -> None:
        name = step["uses"].partition("@")[0]
        given = {key: self._filled(str(value), self._seen) for key, value in step.get("with", {}).items()}
        done.used.append((name, given))
        if name == "actions/upload-artifact":
            patterns = [Path(line) for line in given["path"].splitlines()]
            paths = [path for pattern in patterns for path in pattern.parent.glob(pattern.name)]
            done.artifacts[given["name"]] = {path.name: path.read_bytes() for path in paths if path.is_file()}

    def _script(self, step: dict, done: Done, files: Path) -> None:
        files.mkdir()
        files.joinpath("script").write_text(step["run"], encoding="utf-8")
        variables = {name: self._filled(str(value), self._seen) for name, value in step.get("env", {}).items()}
        theirs = {f"GITHUB_{name}": str(files / name) for name in ("OUTPUT", "ENV", "STEP_SUMMARY")}
        for path in theirs.values():
            Path(path).touch()
        assert "${{" not in step["run"]
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(files / "script")],
            cwd=self.workspace / self._filled(step.get("working-directory", "."), self._seen),
            env=self.environment | theirs | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        done.status = done.status or ran.returncode
        done.log += ran.stdout
        done.summary += Path(theirs["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8")
        self.environment |= _pairs(Path(theirs["GITHUB_ENV"]))
        outputs = _pairs(Path(theirs["GITHUB_OUTPUT"]))
        self._seen["steps"][step.get("id", files.name)] = {"outputs": outputs}
        done.outputs[step.get("id", files.name)] = outputs

    def _filled(self, text: str, contexts: dict[str, object]) -> str:
        return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(self._evaluated(found[1], contexts)), text)

    def _evaluated(self, expression: str, contexts: dict[str, object]) -> object:
        """An expression of comparisons, strings and names: what is not there is empty, as in GitHub's own."""

        def word(found: re.Match[str]) -> str:
            token = found[0]
            return _WORDS.get(token) or (token if token.startswith("'") else repr(_named(contexts, token)))

        return eval(_TOKEN.sub(word, expression).strip(), {"__builtins__": {}})


def _named(contexts: object, path: str) -> object:
    found = contexts
    for name in path.split("."):
        found = found.get(name, "") if isinstance(found, dict) else ""
    return found


def _pairs(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _with(done: Done, name: str, outputs: dict[str, str]) -> Done:
    done.outputs[name] = outputs
    return done
