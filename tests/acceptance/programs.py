"""Programs for `tfmem run`, in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

from pytest_tfmem.history.rundocument import read_run_document


class Folder:
    """A folder with programs in it, run by `tfmem run` or by python itself."""

    def __init__(self, path):
        self.path = path

    def write(self, name, code):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        return path

    def command(self, *words):
        return [sys.executable, "-m", "pytest_tfmem", "run", "--gpu=off", "--json", "run.json", *words]

    def start(self, command, **options):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TF_"))}
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        environment = kept | {"COLUMNS": "160"} | options.pop("environment", {})
        return subprocess.Popen(command, cwd=self.path, env=environment, text=True, **(streams | options))

    def run(self, *words, stdin="", **options):
        with self.start(self.command(*words), **options) as process:
            out, err = process.communicate(stdin)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def python(self, *words, stdin=""):
        with self.start([sys.executable, *words]) as process:
            out, err = process.communicate(stdin)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def measured(self):
        (test,) = read_run_document(self.path / "run.json").tests
        return test
