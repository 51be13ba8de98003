"""What the base allows: its budgets file beside the head's."""

from __future__ import annotations

import datetime as dt
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tfmem.attempts.checkout import file_at
from pytest_tfmem.budgets.audit import stale
from pytest_tfmem.budgets.file import load_budgets
from pytest_tfmem.budgets.model import BudgetsFile, Tolerance, WaiverEntry
from pytest_tfmem.budgets.raises import Raise, raises, stricter
from pytest_tfmem.budgets.resolve import active_profiles, resolve
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.gate.result import Stale
from pytest_tfmem.history.commits import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_tfmem.attempts.checkout import Checkout
    from pytest_tfmem.attempts.revision import Revision
    from pytest_tfmem.figures import Limit

_NO_FILE = BudgetsFile(shown="budgets.yaml")


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """The budgets files of base and head. `profiles`: those that hold on the machine."""

    base: BudgetsFile
    head: BudgetsFile
    profiles: frozenset[str]
    base_commit: str
    today: dt.date
    problem: str = ""

    def stricter_limits(self, limits: Mapping[str, Limit], base_id: str) -> dict[str, Limit]:
        """The limits that the base's file has for a test, where they refuse what those in force in the head pass.

        Of a limit in a marker it is not known here what it was in the base: that is for attempts of the base to show.
        """
        found = resolve(base_id, (), self.base, profiles=self.profiles, today=self.today).limits
        return {figure: limit for figure, limit in found.items() if stricter(limit, limits.get(figure))}

    def is_in_file(self, limit: Limit | None) -> bool:
        return limit is None or limit.where.startswith(f"{self.head.shown}:")

    def at_base(self, limit: Limit) -> str:
        return f"{limit.where} at {shortened(self.base_commit)}"

    @property
    def tolerance(self) -> Tolerance | None:
        """The base's, if the head's is wider: a change is not to be judged by what it has itself loosened."""
        before, now = self.base.defaults.tolerance, self.head.defaults.tolerance
        if before is None or now is None:
            return now
        return Tolerance(fraction=min(before.fraction, now.fraction), bytes=min(before.bytes, now.bytes))

    def raises(self, nodeids: Iterable[str]) -> list[Raise]:
        return raises(self.base, self.head, nodeids, profiles=self.profiles, today=self.today)

    def stale(self, nodeids: Sequence[str]) -> list[Stale]:
        """Entries of the head's file that match none of these, which must be all tests that there are."""
        return [
            Stale(
                where=one.where,
                kind="waiver" if isinstance(one, WaiverEntry) else "budget",
                test=one.pattern.text,
            )
            for one in stale(self.head, nodeids)
        ]


def read_allowed(head: Revision, checkout: Checkout, base_commit: str, gpu_names: Sequence[str]) -> Allowed:
    """The budgets of the head, and those of the base at the same place. Raises TfmemError if the head's are wrong.

    If the base's are, it has none, and `problem` says why.
    """
    facts = head.facts
    path = Path(facts.budgets) if facts and facts.budgets else None
    ours = load_budgets(path, shown=_shown(path, Path(facts.rootdir))) if path and facts else _NO_FILE
    inside = path or (Path(facts.rootdir, _NO_FILE.shown) if facts else None)
    problem = ""
    try:
        theirs = _at_base(checkout, base_commit, inside, head.tree, ours.shown)
    except TfmemError as error:
        theirs, problem = BudgetsFile(shown=ours.shown), f"the base's budgets cannot be read: {error}"
    profiles = active_profiles(ours, gpu_names) | active_profiles(theirs, gpu_names)
    today = dt.datetime.now(tz=dt.UTC).date()
    return Allowed(base=theirs, head=ours, profiles=profiles, base_commit=base_commit, today=today, problem=problem)


def _at_base(checkout: Checkout, commit: str, path: Path | None, tree: Path, shown: str) -> BudgetsFile:
    inside = path.resolve() if path else None
    if inside is None or not inside.is_relative_to(tree.resolve()):
        return _NO_FILE
    text = file_at(checkout, commit, inside.relative_to(tree.resolve()))
    if text is None:
        return BudgetsFile(shown=shown)
    with tempfile.TemporaryDirectory(prefix="tfmem-base-") as folder:
        copy = Path(folder, "budgets.yaml")
        copy.write_text(text, encoding="utf-8")
        return load_budgets(copy, shown=shown)


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
