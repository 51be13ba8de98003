"""`tfmem gate`, from the question to the result."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tfmem.attempts.checkout import find_checkout, has_changes, merge_base, named_commit
from pytest_tfmem.attempts.revision import CannotBeBuiltError, Revision, revision
from pytest_tfmem.budgets.raises import raised_limit
from pytest_tfmem.gate.renames import renamed
from pytest_tfmem.gate.result import GateResult, Renamed
from pytest_tfmem.gating.allowed import read_allowed
from pytest_tfmem.gating.before import Before, find_before
from pytest_tfmem.gating.evidence import Court
from pytest_tfmem.gating.head import Head, read_head, run_head
from pytest_tfmem.gating.rounds import Chosen, Rounds
from pytest_tfmem.gating.summing import sentence, status_of
from pytest_tfmem.gating.suspects import nominate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_tfmem.attempts.checkout import Checkout
    from pytest_tfmem.budgets.raises import Raise
    from pytest_tfmem.gate.result import Judged
    from pytest_tfmem.gating.allowed import Allowed
    from pytest_tfmem.gating.asked import Asked, Say
    from pytest_tfmem.gating.suspects import Suspects


def gate(asked: Asked, say: Say) -> GateResult:
    """Judge the commit that is checked out against where it left the base.

    Raises TfmemError for what the user can mend in the question, CouldNotDecideError where nothing can be judged.
    """
    checkout = find_checkout(asked.directory)
    head = named_commit(checkout, "HEAD")
    base = merge_base(checkout, named_commit(checkout, asked.base), head)
    with ExitStack() as ended:
        folder = ended.enter_context(tempfile.TemporaryDirectory(prefix="tfmem-gate-", ignore_cleanup_errors=True))
        return _Gate(asked, say, checkout, head=head, base=base, folder=Path(folder), ended=ended).result()


@dataclass(frozen=True, kw_only=True)
class _First:
    """What the first stage has brought."""

    ours: Revision
    head: Head
    allowed: Allowed
    before: Before


class _Gate:
    """One gate, and what it finds on its way."""

    def __init__(
        self, asked: Asked, say: Say, checkout: Checkout, *, head: str, base: str, folder: Path, ended: ExitStack
    ) -> None:
        self._asked = asked
        self._say = say
        self._checkout = checkout
        self._head_commit = head
        self._base_commit = base
        self._folder = folder
        self._ended = ended
        self._sessions = 0
        self._warnings: list[str] = []

    def result(self) -> GateResult:
        if has_changes(self._checkout):
            self._warnings.append("the checkout has changes that are not committed: they are not judged")
        ours = self._revision("head", self._head_commit)
        head = self._run(ours)
        allowed = read_allowed(ours, self._checkout, self._base_commit, head.gpu_names)
        before = find_before(self._asked, self._checkout, ours, self._base_commit)
        self._warnings += [*before.warnings, *([allowed.problem] if allowed.problem else [])]
        first = _First(ours=ours, head=head, allowed=allowed, before=before)
        old_ids = renamed(before.nodeids, head.tests, moved=before.moved, are_all=head.is_whole)
        suspects = nominate(
            head,
            before.history,
            allowed,
            old_ids,
            decide_all=self._asked.decide_all,
            attempts=self._asked.attempts,
        )
        return self._decided(first, suspects, old_ids)

    def _run(self, ours: Revision) -> Head:
        if self._asked.runs:
            self._say("collecting the head's tests", 0, 0)
            return read_head(ours, self._asked.runs, self._asked.arguments)
        self._say("running the head", 0, 0)
        self._sessions += 1
        return run_head(ours, self._asked.arguments)

    def _decided(self, first: _First, suspects: Suspects, old_ids: Mapping[str, str]) -> GateResult:
        head, tests = first.head, suspects.tests()
        base = self._base(head.facts.arguments if head.chosen_by_user else ()) if tests else None
        base_ids = frozenset(base.facts.nodeids) if base and base.facts else None
        if base_ids is not None:
            old_ids = renamed(base_ids, head.facts.nodeids, moved=first.before.moved, are_all=head.is_whole)
        tests = suspects.tests(with_base=base is not None)
        chosen = [_chosen(nodeid, needed, base_ids, old_ids) for nodeid, needed in tests.items()]
        rounds = Rounds(first.ours, base, chosen, of=len(head.tests), say=self._say)
        rounds.run()
        self._sessions += rounds.sessions
        if rounds.why_no_base:
            self._no_base(rounds.why_no_base)
        court = Court(
            head=head,
            suspects=suspects,
            allowed=first.allowed,
            tries=rounds.tries,
            old_ids=old_ids,
            base_ids=base_ids if not rounds.why_no_base else None,
            allow_raises=self._asked.allow_raises,
        )
        return self._result(first, suspects, court)

    def _result(self, first: _First, suspects: Suspects, court: Court) -> GateResult:
        head, judged, ids = first.head, court.verdicts(), first.head.facts.nodeids
        lacks_base = self._asked.decide_all and court.base_ids is None
        return GateResult(
            status=status_of(judged, lacks_base=lacks_base),
            sentence=sentence(judged, lacks_base=lacks_base),
            base=self._asked.base,
            head=self._head_commit,
            merge_base=self._base_commit,
            tests=len(head.tests),
            runs=first.before.runs,
            sessions=self._sessions,
            decided=len({done.nodeid for done in court.tries}),
            plan=suspects.plan if suspects.plan.series else None,
            judged=judged,
            raised=_raised(first.allowed.raises(ids), judged),
            renamed=[Renamed(nodeid=new, renamed_from=old) for new, old in court.old_ids.items() if new in head.tests],
            gone=_gone(first, court),
            stale=first.allowed.stale(ids) if head.is_whole else [],
            warnings=self._warnings,
        )

    def _base(self, places: Sequence[str]) -> Revision | None:
        """The base, collected; None if it cannot be built, of which is warned."""
        self._say("preparing the base", 0, 0)
        try:
            found = self._revision("base", self._base_commit)
            done = found.collect(places=places)
        except CannotBeBuiltError as error:
            self._no_base(str(error))
            return None
        if found.facts is None:
            self._no_base(done.said)
            return None
        return found

    def _no_base(self, why: str) -> None:
        hint = "" if self._asked.setup else "; --base-setup makes an environment of its own for it"
        self._warnings.append(f"the base could not be run, and history alone only warns: {why}{hint}")

    def _revision(self, name: str, commit: str) -> Revision:
        of_base = name == "base"
        return self._ended.enter_context(
            revision(
                name,
                commit,
                self._checkout,
                self._folder,
                arguments=self._asked.arguments,
                setup=self._asked.setup if of_base else None,
                python=self._asked.python if of_base else None,
                # The checkout's code is the head's own.
                may_load_checkout=not of_base and not self._warnings,
            )
        )


def _chosen(nodeid: str, needed: int, base_ids: frozenset[str] | None, old_ids: Mapping[str, str]) -> Chosen:
    old = old_ids.get(nodeid, nodeid)
    return Chosen(nodeid=nodeid, base_id=old if base_ids and old in base_ids else None, needed=needed)


def _raised(in_file: Sequence[Raise], judged: Sequence[Judged]) -> list[Raise]:
    """What the file allows, and what markers do, as far as the base's are known: of tests that it was run for."""
    known = {(one.where_before, one.figure) for one in in_file}
    others = [
        raised_limit(one.nodeid, one.figure, one.base_limit, one.limit)
        for one in judged
        if one.base_limit is not None and (one.base_limit.where, one.figure) not in known
    ]
    return [*in_file, *others]


def _gone(first: _First, court: Court) -> list[str]:
    """Tests that were measured in the base and are no more. Known only if the whole suite was run."""
    if not first.head.is_whole:
        return []
    known = first.before.nodeids if court.base_ids is None else first.before.nodeids & court.base_ids
    return sorted(known - set(first.head.facts.nodeids) - set(court.old_ids.values()))
