"""The two sides of `tfmem compare`: found where they are named, or measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_tfmem.cli.ending import in_order
from pytest_tfmem.cli.project import project_here, tolerance
from pytest_tfmem.errors import one_line
from pytest_tfmem.gate.sidebyside import Side, side_of
from pytest_tfmem.history.named import Named, UnknownNameError, find_named
from pytest_tfmem.history.store import is_url, open_store

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pytest_tfmem.budgets.model import Tolerance
    from pytest_tfmem.history.recorded import RecordedRun
    from pytest_tfmem.history.store import Store

_ONE_SESSION = 1


class Sides:
    """What the arguments of the command say of where runs are, and of how many to make."""

    def __init__(
        self, *, history: str | None, budgets: Path | None, sessions: int | None, pytest_args: tuple[str, ...]
    ) -> None:
        self._history = history
        self._budgets = budgets
        self._sessions = sessions
        self._pytest_args = pytest_args

    def find(self, a: str, b: str) -> list[tuple[Side, list[RecordedRun]]]:
        """What each name stands for, and its runs: at least one."""
        found = {"A": self._named(a), "B": self._named(b)}
        wanting = {side: one for side, one in found.items() if one.commit and (self._sessions or not one.runs)}
        self._refuse_what_has_no_use(found.values(), wanting)
        measured = self._measured(wanting) if wanting else {}
        return [self._side(named, measured.get(side)) for side, named in found.items()]

    def tolerance(self) -> Tolerance | None:
        """The tolerance of the budgets file, if there is one and it gives one."""
        return tolerance(self._budgets)

    def _named(self, name: str) -> Named:
        try:
            named = find_named(name, directory=Path.cwd(), history=self._open_history)
        except UnknownNameError as error:
            raise click.UsageError(str(error)) from error
        for fault in named.faults:
            click.echo(f"WARNING: {one_line(fault, most=1000)}", err=True)
        return named

    def _open_history(self) -> Store | None:
        if self._history:
            if not is_url(self._history) and not Path(self._history).exists():
                raise click.UsageError(f"--history: {one_line(self._history)}: no such folder")
            return open_store(self._history, root=Path.cwd())
        project = project_here()
        return open_store(project.history, root=Path(project.root)) if project.history else None

    def _refuse_what_has_no_use(self, found: Collection[Named], wanting: Collection[str]) -> None:
        revisions = any(named.commit for named in found)
        if self._sessions and not revisions:
            raise click.UsageError("-n runs sessions of git revisions, and neither A nor B is one")
        if self._pytest_args and not wanting:
            hint = "with -n N they are run all the same" if revisions else "leave it out"
            given = one_line(" ".join(self._pytest_args), most=100)
            raise click.UsageError(f"{given}: is for sessions of pytest that are to be run, and there is none; {hint}")

    def _measured(self, wanting: Mapping[str, Named]) -> dict[str, list[RecordedRun]]:
        from pytest_tfmem.attempts.checkout import find_checkout  # noqa: PLC0415  only where revisions are measured
        from pytest_tfmem.attempts.inturn import in_turn  # noqa: PLC0415
        from pytest_tfmem.gating.telling import telling  # noqa: PLC0415

        with in_order(), telling() as say:
            return in_turn(
                {side: named.commit for side, named in wanting.items() if named.commit},
                find_checkout(Path.cwd()),
                sessions=self._sessions or _ONE_SESSION,
                arguments=self._pytest_args,
                say=say,
            )

    def _side(self, named: Named, made: list[RecordedRun] | None) -> tuple[Side, list[RecordedRun]]:
        runs = made or named.runs
        return side_of(named.shown, runs, commit=named.commit, measured=bool(made)), runs
