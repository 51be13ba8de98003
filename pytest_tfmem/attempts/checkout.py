"""The user's checkout, and work trees of its commits beside it, which are gone again afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.history.commits import find_commit
from pytest_tfmem.history.git import git

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")  # what a project does after a checkout of its user's, not of ours


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """A git repository that is checked out: where its files begin, and where in them we were called."""

    top: Path
    below: Path


def find_checkout(directory: Path) -> Checkout:
    """The checkout that `directory` is in. Raises TfmemError if it is in none."""
    top = git(directory, "rev-parse", "--show-toplevel")
    if top is None or not top.strip():
        hint = "run it in a checkout" if shutil.which("git") else "install git"
        raise TfmemError("this is no git repository, or there is no git here", hint=hint)
    whole = Path(top.rstrip("\n")).resolve()
    return Checkout(top=whole, below=directory.resolve().relative_to(whole))


def named_commit(checkout: Checkout, revision: str) -> str:
    """The id of the commit that a revision names. Raises TfmemError if there is none."""
    found = find_commit(checkout.top, revision)
    if found is None:
        hint = "name a branch, a tag or a commit that was fetched, such as origin/main"
        raise TfmemError(f"git knows no commit as {one_line(repr(revision), most=80)}", where="--base", hint=hint)
    return found


def merge_base(checkout: Checkout, one: str, other: str) -> str:
    """The commit from which both came. Raises TfmemError if git knows none."""
    found = git(checkout.top, "merge-base", one, other)
    if found is None or not found.strip():
        shallow = (git(checkout.top, "rev-parse", "--is-shallow-repository") or "").strip() == "true"
        hint = "fetch its whole history (git fetch --unshallow, fetch-depth: 0)" if shallow else "name another base"
        raise TfmemError("the base and HEAD have no commit in common", where="--base", hint=hint)
    return found.split()[0]


def has_changes(checkout: Checkout) -> bool:
    """Whether files differ from the commit: tracked ones, or new ones that git does not ignore."""
    return bool(git(checkout.top, "status", "--porcelain"))


def file_at(checkout: Checkout, commit: str, path: Path) -> str | None:
    """The text of a file, by its path from the top, as a commit has it; None if it has none."""
    return git(checkout.top, "show", f"{commit}:{path.as_posix()}")


@contextmanager
def work_tree(checkout: Checkout, commit: str, folder: Path) -> Iterator[Path]:
    """The files of a commit in `folder`, which must not exist yet, and which is gone afterwards.

    Raises TfmemError if git cannot check them out. Submodules are left empty, as git leaves them.
    """
    try:
        _git(checkout, *_NO_HOOKS, "worktree", "add", "--detach", "--quiet", str(folder), commit)
        yield folder
    finally:
        with _undisturbed():
            _remove(checkout, folder)


def _remove(checkout: Checkout, folder: Path) -> None:
    entry = git(folder, "rev-parse", "--absolute-git-dir") if folder.exists() else None
    # Twice: also if git is still at it, and so has locked it.
    git(checkout.top, "worktree", "remove", "--force", "--force", str(folder))
    shutil.rmtree(folder, ignore_errors=True)
    if entry and Path(entry.strip()).parent.name == "worktrees":
        shutil.rmtree(entry.strip(), ignore_errors=True)  # what git keeps of this work tree, where it could not remove


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not come between: it would leave what the first was to remove."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: list[tuple[int, Any]] = [(number, signal.signal(number, signal.SIG_IGN)) for number in _STOPPING]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


_STOPPING = (signal.SIGINT, signal.SIGTERM)


def _git(checkout: Checkout, *arguments: str) -> None:
    """Without a limit of time: to check out a large commit takes what it takes."""
    done = subprocess.run(  # noqa: S603  commits' ids and our own words, and no shell
        ["git", "-C", str(checkout.top), *arguments],  # noqa: S607  whichever git the user has
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = [line for line in done.stderr.decode(errors="backslashreplace").splitlines() if line.strip()]
        why = one_line(said[-1]) if said else "it does not say why"
        raise TfmemError(f"git could not check out a work tree: {why}")
