"""One commit that can be measured again and again: its work tree, its interpreter, and attempts of chosen tests."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.attempts import witness
from pytest_tfmem.attempts.checkout import work_tree
from pytest_tfmem.attempts.facts import read_facts
from pytest_tfmem.attempts.pytest_session import attempt, whole_command
from pytest_tfmem.attempts.search_path import python_path, rewritten, search_path
from pytest_tfmem.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.attempts.checkout import Checkout
    from pytest_tfmem.attempts.facts import Facts
    from pytest_tfmem.attempts.pytest_session import Attempt

_OF_ITS_OWN = (Path(".venv", "bin", "python"), Path(".venv", "Scripts", "python.exe"))
_ABSENT = ("No module named pytest", "No module named 'tfmem'", "No module named 'pytest_tfmem", "--tfmem-fail-on")
_MOST_LINES = 5


class CannotBeBuiltError(Exception):
    """A commit that cannot be measured here, and why: a sentence without a full stop."""


class Revision:
    """One of the two sides, "head" or "base". `tree` is where its files are; `directory` where pytest is called."""

    def __init__(
        self,
        name: str,
        commit: str,
        checkout: Checkout,
        tree: Path,
        *,
        arguments: Sequence[str],
        python: str,
        may_load_checkout: bool,
    ) -> None:
        self.name = name
        self.commit = commit
        self.tree = tree
        self.facts: Facts | None = None
        self._checkout = checkout
        self._python = python
        self._may_load_checkout = may_load_checkout
        self._arguments = rewritten(arguments, checkout.top, tree)
        self._numbers = itertools.count()

    @property
    def directory(self) -> Path:
        return self.tree / self._checkout.below

    def collect(self, *, places: Sequence[str] = ()) -> Attempt:
        """Have pytest collect, and run nothing: `facts` are then known.

        `places`: those of the user's arguments that say what to run. Of those that are not here the others are taken,
        and of a test's id its file: the test may have had another name here.
        """
        asked = set(rewritten(places, self._checkout.top, self.tree))
        arguments = [self._file(argument) if argument in asked else argument for argument in self._arguments]
        return self._attempt([*filter(None, arguments), "--collect-only", "-qq"])

    def _file(self, place: str) -> str:
        path = place.partition("::")[0]
        return path if (self.directory / path).exists() else ""

    def whole(self) -> Attempt:
        """One run of all that the user's arguments ask for: `facts` are then known."""
        return self._attempt(self._arguments)

    def chosen(self, nodeids: Sequence[str]) -> Attempt:
        """One run of these tests alone, which must be there. `facts` must be known."""
        assert self.facts is not None  # noqa: S101  our own order of things
        with tempfile.TemporaryDirectory(prefix="tfmem-chosen-") as folder:
            # In a file: there may be more of them than a command line holds.
            chosen = Path(folder, "tests.txt")
            ids = "".join(f"{Path(self.facts.rootdir) / nodeid}\n" for nodeid in nodeids)
            chosen.write_text(ids, encoding="utf-8")
            return self._attempt([*self._options(self.facts), f"@{chosen}"], keep_facts=True)

    def _options(self, facts: Facts) -> list[str]:
        """The user's options without what chooses tests, and with what pytest found out by the user's arguments."""
        asked = set(facts.arguments)
        options = [argument for argument in self._arguments if argument not in asked]
        ini = [] if facts.inifile is None else ["-c", facts.inifile]
        return [*options, f"--rootdir={facts.rootdir}", *ini, "-k", "", "-m", "", "--maxfail=0"]

    def _attempt(self, arguments: Sequence[str], *, keep_facts: bool = False) -> Attempt:
        with tempfile.TemporaryDirectory(prefix="tfmem-witness-") as folder:
            top, paths = self._checkout.top, sys.path
            own_path = python_path(paths, top, self.tree, given=os.environ.get("PYTHONPATH", ""))
            done = attempt(
                ["-p", "pytest_tfmem.attempts.witness", *arguments],
                directory=self.directory,
                python=self._python,
                environment={
                    "PYTHONPATH": own_path or None,
                    "PWD": str(self.directory),
                    witness.FOLDER: folder,
                    witness.CHECKOUT: str(top),
                    witness.TREE: os.path.realpath(self.tree),
                },
                search_path=search_path(paths, top, self.tree),
            )
            self._refuse_foreign(Path(folder, witness.FOREIGN_FILE))
            facts = read_facts(Path(folder, witness.FACTS_FILE))
            if not keep_facts:
                self.facts = facts or self.facts
        if done.run is None and any(absent in done.said for absent in _ABSENT):
            said = f"{done.said}: the interpreter {self._python} needs this version of pytest-tfmem"
            return msgspec.structs.replace(done, said=said)
        return done

    def _refuse_foreign(self, written: Path) -> None:
        if self._may_load_checkout or not written.exists():
            return
        lines = [line.split("\t") for line in written.read_text(encoding="utf-8").splitlines() if "\t" in line]
        # The package rather than what is in it, and rather what a user has written than our own plugin.
        name, path = min(lines, key=lambda line: (line[0].startswith("pytest_tfmem"), line[0].count("."), line[0]))
        said = (
            f"its tests load the module {name} from {path}, which is the checkout and not the work tree of the commit"
        )
        raise CannotBeBuiltError(one_line(said, most=1000))


@contextmanager
def revision(
    name: str,
    commit: str,
    checkout: Checkout,
    folder: Path,
    *,
    arguments: Sequence[str],
    setup: str | None = None,
    python: str | None = None,
    may_load_checkout: bool = False,
) -> Iterator[Revision]:
    """A commit in a work tree in `folder`, made ready by a command of the user's if there is one.

    Raises CannotBeBuiltError if the command fails. Of the interpreter: `python`, that in .venv if the command has made
    one, or our own.
    """
    with work_tree(checkout, commit, folder / name) as tree:
        if setup:
            _set_up(setup, tree)
        made = [tree / place for place in _OF_ITS_OWN if setup and (tree / place).exists()]
        found = python or next(map(str, made), sys.executable)
        yield Revision(
            name, commit, checkout, tree, arguments=arguments, python=found, may_load_checkout=may_load_checkout
        )


def _set_up(setup: str, tree: Path) -> None:
    shell = ["cmd", "/c", setup] if sys.platform == "win32" else ["/bin/sh", "-c", setup]
    ended = whole_command(shell, directory=tree)
    if ended is not None and ended.returncode:
        text = (ended.stdout + ended.stderr).decode("utf-8", "backslashreplace")
        last = [line.strip() for line in text.splitlines() if line.strip()][-_MOST_LINES:]
        said = one_line(" | ".join(last), most=1000) if last else "it said nothing"
        raise CannotBeBuiltError(f"its setup ended with status {ended.returncode}: {said}")
