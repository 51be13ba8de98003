"""Projects whose tests go wrong, each run by a real pytest in a real process that is watched from within."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
# Sockets, descriptors of processes and files for output: of a server, of two module servers and of their spares.
HELD_READY = ("socket", "anon_inode", "")
MOST_HELD_READY = 6
RECORDS = "/.tfmem/runs/"
MARK = "TFMEM_FAULTS_MARK"
SEEN = "TFMEM_FAULTS_SEEN"


@dataclass(frozen=True)
class Seen:
    """What pytest's process held after a test: marked processes beside it, descriptors, its own peak."""

    processes: list[str]
    descriptors: list[str]
    descriptors_before: list[str]
    peak_bytes: int
    ended_at: float

    @property
    def descriptors_left(self) -> list[str]:
        """Those that were not there before the test, and are of no kind that is held ready for the tests to come.

        The session's own record is open from the end of its first test to that of its last.
        """
        left = Counter(path for path in self.descriptors if RECORDS not in path) - Counter(self.descriptors_before)
        return sorted(left - Counter(dict.fromkeys(HELD_READY, MOST_HELD_READY)))


@dataclass
class Ended:
    """A session that is over. `reports` and `seen` are by test id; `temporary` is what lies in its TMPDIR."""

    status: int
    output: str
    reports: dict[str, dict[str, dict[str, Any]]]
    seen: dict[str, Seen]
    temporary: list[str]

    def outcomes(self, test: str) -> dict[str, str]:
        return {when: report["outcome"] for when, report in self.reports[test].items()}

    def text(self, test: str, when: str) -> str:
        """What the user is shown of a failed phase."""
        longrepr = self.reports[test][when]["longrepr"]
        if not isinstance(longrepr, dict):
            return str(longrepr)
        return str(longrepr["reprcrash"]["message"])

    def sections(self, test: str, when: str) -> dict[str, str]:
        return dict(self.reports[test][when]["sections"])


@dataclass
class Project:
    """A folder of tests: `root` is theirs, `seen` is where watch.py and they leave notes, `temporary` their TMPDIR."""

    folder: Path
    start_method: str = "auto"
    mark: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        for folder in (self.root, self.seen, self.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        (self.root / "pytest.ini").write_text("[pytest]\n")

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def seen(self) -> Path:
        return self.folder / "seen"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def write(self, **files: str) -> Project:
        """Files by name, "__" for "/" and ".py" left out."""
        for name, text in files.items():
            path = self.root / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return self

    def start(self, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start pytest here. Only the plugins needed are loaded: each costs every process its import."""
        plugins = ["pytest_tfmem.plugin", "pytest_reportlog.plugin", "watch"]
        command = [sys.executable, "-m", "pytest", *(f"-p{plugin}" for plugin in plugins), "-pno:cacheprovider", "-ra"]
        command += [f"--tfmem-start-method={self.start_method}"]
        command += [f"--report-log={self.seen / 'reports.jsonl'}", *options]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
        with (self.seen / "output").open("wb") as output:
            return subprocess.Popen(
                command,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=inherited
                | {
                    MARK: self.mark,
                    SEEN: str(self.seen),
                    "TMPDIR": str(self.temporary),
                    "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                }
                | environment,
            )

    def run(self, *options: str, **environment: str) -> Ended:
        return self.ended(self.start(*options, **environment))

    def ended(self, process: subprocess.Popen[bytes]) -> Ended:
        """Wait for the session's end."""
        try:
            status = process.wait(240)
        finally:
            process.kill()
        return self.left(status)

    def left(self, status: int) -> Ended:
        """The session that ended with this status, by what it left in the folder."""
        return Ended(
            status=status,
            output=(self.seen / "output").read_text(encoding="utf-8", errors="backslashreplace"),
            reports=_reports(self.seen / "reports.jsonl"),
            seen=_notes(self.seen),
            temporary=sorted(str(path.relative_to(self.temporary)) for path in self.temporary.rglob("*")),
        )

    def processes(self) -> list[int]:
        """Ids of every living process that this project's pytest has started, itself included."""
        wanted = f"{MARK}={self.mark}".encode()
        return [pid for pid in _pids() if wanted in _environment(pid)]

    def noted(self, name: str) -> str:
        """What a test has left in a file of that name in `seen`; empty if nothing yet."""
        path = self.seen / name
        return path.read_text() if path.exists() else ""


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _reports(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            report = json.loads(line)
            if report.get("$report_type") == "TestReport":
                found.setdefault(report["nodeid"], {})[report["when"]] = report
    return found


def _notes(folder: Path) -> dict[str, Seen]:
    found = {}
    for path in folder.glob("watched-*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            note = json.loads(line)
            nodeid = note.pop("nodeid")
            found[nodeid] = Seen(**note)
    return found


def _until(condition: Callable[[], Any], *, seconds: float = 30) -> Any:
    """What `condition()` returns once it is true."""
    deadline = time.monotonic() + seconds
    while True:
        is_last = time.monotonic() > deadline  # asked before the look, which may itself take long
        if met := condition():
            return met
        assert not is_last, f"not so within {seconds:g} s"
        time.sleep(0.01)  # between two looks


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    return _until


@pytest.fixture(scope="module")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Project]]:
    """Makes projects. What still runs of them at the end is ended."""
    made: list[Project] = []

    def make(start_method: str = "auto") -> Project:
        made.append(Project(tmp_path_factory.mktemp("faults"), start_method))
        return made[-1]

    yield make
    for project in made:
        for pid in project.processes():
            with contextlib.suppress(OSError):
                os.kill(pid, 9)
        shutil.rmtree(project.folder, ignore_errors=True)


@pytest.fixture(params=["spawn", "forkserver"])
def project(request: pytest.FixtureRequest, new_project: Callable[[str], Project]) -> Project:
    return new_project(request.param)
